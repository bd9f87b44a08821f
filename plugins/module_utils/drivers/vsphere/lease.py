"""Leases of vCenter: for as long as one is held, the disks of a VM are moved by plain HTTPS to and from its host.

Where the bytes come from, and how many, is said by the platform and so believed within bounds: https alone, the site's
own rules for certificates, no credentials (the ticket is in the address), no redirect, and never more than a disk can
have.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..driver import DriverError, Failed, Progress, Unreachable, Unsupported
from .connection import CONNECT, context_of
from .errors import clean, error_of
from .settings import kind_of
from .vmdk import Stream, largest

if TYPE_CHECKING:
    from .driver import VsphereDriver

_OPENS = 600.0  # seconds until a lease is there: its host prepares the disks
_POLL = 0.1
_SILENCE = 600.0  # seconds without a byte; a host that reads zeros sends nothing
_LEAST, _MOST = 0.2, 30.0  # seconds between two signs of life
_CHUNK = 1 << 20
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9a-fA-F:.]+")
_PATH = re.compile(r"/[!-~]*")
_TYPE = "application/x-vnd.vmware-streamVmdk"


def place_of(device: Any, hardware: Sequence[Any]) -> str:
    """How a lease names a disk of a VM: the class of its controller, the bus and the unit."""
    controller = next((one for one in hardware if one.key == device.controllerKey), None)
    if controller is None:
        return ""
    return f"{kind_of(controller)}{getattr(controller, 'busNumber', 0) or 0}:{device.unitNumber or 0}"


def _places(device: Any) -> set[str]:
    """What vCenter calls a disk; in an import's lease it may be known by the name that the import gave it."""
    return {str(key).rpartition("/")[2] for key in (device.key, device.importKey) if key}


class Lease:
    """A lease that is ready. `entity` is the VM that it is for."""

    def __init__(self, driver: VsphereDriver, reference: Any, info: Any, vm: str) -> None:
        self.driver, self.session, self.reference, self.vm = driver, driver.session, reference, vm
        self.entity = info.entity
        self.patience = max(1, int(info.leaseTimeout or 300))  # seconds for which vCenter waits for a sign of life
        self.devices = list(info.deviceUrl or ())
        self.done, self.total = 0, 1  # bytes, for the signs of life
        self.lost: DriverError | None = None

    def disks(self, wanted: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """The address of each disk of `wanted` (name, place): all of them, and no other. Raises Failed."""
        there = [(_places(device), device) for device in self.devices if device.disk is not False]
        known = {}
        for name, place in wanted:
            found = [device for places, device in there if place in places]
            if len(found) == 1:
                known[name] = found[0]
        if len(wanted) == len(there) == 1:  # whatever it is called
            known = {wanted[0][0]: there[0][1]}
        if not len(known) == len(wanted) == len(there):
            offered = sorted(place for places, _device in there for place in places)
            raise Failed(
                f"vCenter offers the disks {clean(', '.join(offered)) or 'none'}, and the VM has "
                f"{', '.join(place for _name, place in wanted) or 'none'}",
                site=self.session.site,
                vm=self.vm,
                todo="Run again; if it stays, look at the VM's disks in vCenter",
            )
        return known

    # Signs of life

    @contextlib.contextmanager
    def alive(self) -> Iterator[None]:
        """Tell vCenter all along that the lease is in use, however long a host is silent."""
        over = threading.Event()
        pause = min(_MOST, max(_LEAST, self.patience / 4))

        def tell() -> None:
            while not over.wait(pause):
                percent = min(99, 100 * self.done // self.total)
                try:
                    self.session.ask(
                        "keep the lease", lambda: self.reference.HttpNfcLeaseProgress(percent), self.vm  # noqa: B023
                    )
                except DriverError as error:
                    self.lost = error
                    return

        thread = threading.Thread(target=tell, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    # Bytes

    def download(self, device: Any, name: str, size: int, target: Path, progress: Progress) -> tuple[str, int]:
        """Bring the stream of a disk of `size` bytes home: its SHA-1, for vCenter knows no other, and length."""
        doing, most = f"download the disk '{name}'", largest(size)
        digest, total, said = hashlib.sha1(usedforsecurity=False), 0, 0
        buffer = memoryview(bytearray(_CHUNK))
        with self._told(doing), self._asked(device, "GET", doing) as answer, target.open("wb") as file:
            while count := self._part(answer, buffer, doing):
                total += count
                self.done += count
                if total > most:
                    raise self._failed(doing, f"the host sends more than the {most} bytes that it can have")
                digest.update(buffer[:count])
                file.write(buffer[:count])
                if total - said >= 64 * _CHUNK:
                    said = total
                    progress(f"{self.vm}: {total >> 20} MiB of the disk '{name}'")
        return digest.hexdigest(), total

    def _part(self, answer: http.client.HTTPResponse, buffer: memoryview, doing: str) -> int:
        # Only where bytes are read is an OSError the network's; the rest of it is the repository's.
        try:
            count = answer.readinto(buffer)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise self._unreachable(doing, error) from None
        if not count and answer.length:
            raise self._unreachable(doing, http.client.IncompleteRead(b"", answer.length))
        return count

    def upload(self, device: Any, name: str, stream: Stream, progress: Progress) -> None:
        """Send the stream of a disk to its host."""
        doing = f"upload the disk '{name}'"
        headers = {"Content-Type": _TYPE, "Content-Length": str(stream.length)}

        def sent() -> Iterator[bytes]:
            total = said = 0
            for block in stream:
                yield block
                total += len(block)
                self.done += len(block)
                if total - said >= 64 * _CHUNK:
                    said = total
                    progress(f"{self.vm}: {total >> 20} of {stream.length >> 20} MiB of the disk '{name}'")

        with self._told(doing), self._asked(device, "POST", doing, sent(), headers):
            pass

    @contextlib.contextmanager
    def _asked(self, device: Any, method: str, doing: str, body: Any = None, headers: Any = None) -> Iterator[Any]:
        """The answer of a disk's host. Raises Unreachable, and Failed for any but yes."""
        host, port, path = self._address(str(device.url or ""), doing)
        context = context_of(self.driver.access)
        connection = http.client.HTTPSConnection(host, port, timeout=CONNECT, context=context)
        try:
            try:
                connection.connect()
                connection.sock.settimeout(_SILENCE)
                connection.request(method, path, body, headers or {})
                answer = connection.getresponse()
            except (OSError, ValueError, http.client.HTTPException) as error:
                raise self._unreachable(f"{doing} at {host}", error) from None
            if answer.status not in (200, 201, 204):
                words = clean(answer.reason), clean(answer.read(200).decode("utf-8", "replace"))
                raise self._failed(doing, f"{host} answers {answer.status} {' '.join(words)}")
            if str(answer.getheader("Content-Type") or "").startswith("text/html"):
                raise self._failed(doing, f"{host} answers with a page for people")
            yield answer
        finally:
            connection.close()

    def _address(self, url: str, doing: str) -> tuple[str, int, str]:
        """Host, port and path of an address that vCenter gave; ``*`` is the host that we speak with."""
        own = urlsplit(self.session.uri)
        try:
            parts = urlsplit(url.replace("https://*", f"https://{own.netloc}", 1))
            host, port = parts.hostname or "", parts.port or 443
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            plain = parts.scheme == "https" and "@" not in parts.netloc
            sound = plain and _HOST.fullmatch(host) and _PATH.fullmatch(path)
        except ValueError:
            sound = None
        if not sound:
            raise self._failed(doing, f"its address is '{clean(url)[:80]}', which is none that is trusted")
        return host, port, path

    @contextlib.contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        """Where the lease was lost, that is what is to be told, and not what came of it."""
        try:
            yield
        except DriverError as error:
            if self.lost is not None:
                raise self._failed(doing, f"vCenter ended the lease: {self.lost.what}") from error
            raise

    def _unreachable(self, doing: str, error: Exception) -> Unreachable:
        words, site = clean(error) or type(error).__name__, self.session.site
        todo = "Check the network between here and that host, then run again"
        if isinstance(error, ssl.SSLError):
            todo = (f"Name the authority of the hosts in sites.{site}.tls.ca; a fingerprint is of vCenter's own "
                    "certificate, and its hosts have others")
        elif isinstance(error, http.client.IncompleteRead):
            words = "the connection was cut before its end"
        return Unreachable(f"unable to {doing}: {words}", site=site, vm=self.vm, todo=todo)

    def _failed(self, doing: str, words: str) -> Failed:
        todo = "Run again; if it stays, look at the VM's host in vCenter"
        return Failed(f"unable to {doing}: {words}", site=self.session.site, vm=self.vm, todo=todo)

    def manifest(self) -> dict[str, tuple[str, int]]:
        """SHA-1 and length of what was downloaded, by key, as vCenter says; empty where it says none."""
        try:
            told = self.session.ask("read what was sent", self.reference.HttpNfcLeaseGetManifest, self.vm)
        except (Unsupported, Failed):  # hosts of old have none
            return {}
        return {str(one.key): (str(one.sha1).lower(), int(one.size)) for one in told or () if one.sha1 and one.size}


@contextlib.contextmanager
def held(driver: VsphereDriver, doing: str, start: Callable[[], Any], vm: str, progress: Progress) -> Iterator[Lease]:
    """A lease that `start` asks for, ready, and ended with the block: completed, or else aborted."""
    session = driver.session
    reference = driver.tasks.patiently(lambda: session.do(doing, start, vm), vm, progress)
    try:
        lease = Lease(driver, reference, _ready(driver, reference, doing, vm), vm)
        with lease.alive():
            yield lease
        session.do(f"end the lease to {doing}", reference.HttpNfcLeaseComplete, vm)
    except BaseException:
        with contextlib.suppress(Exception):  # the first error is the one to tell; an unused lease ends by itself
            session.do("give the lease back", lambda: reference.HttpNfcLeaseAbort(None), vm)
        raise


def _ready(driver: VsphereDriver, reference: Any, doing: str, vm: str) -> Any:
    """What a lease says when it is ready. Raises the error that it ended with."""
    end = time.monotonic() + _OPENS
    while True:
        found = driver.session.properties([reference], ["state", "error"], doing, vm)
        state = str(found[0].get("state")) if found else "done"
        if state == "ready":  # only then there is more to read
            found = driver.session.properties([reference], ["info"], doing, vm)
            if found and found[0].get("info") is not None:
                return found[0]["info"]
            state = "done"
        if state == "error":
            raise error_of(doing, found[0].get("error"), site=driver.site, vm=vm)
        if state == "done" or time.monotonic() > end:
            what = "vCenter ended the lease" if state == "done" else f"the lease is not ready after {_OPENS:.0f} s"
            raise Failed(f"unable to {doing}: {what}", site=driver.site, vm=vm, todo="Run again")
        time.sleep(_POLL)
