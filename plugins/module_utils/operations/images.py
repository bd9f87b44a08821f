"""Images of a site's catalogue, checked before a VM is made from them."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..drivers.driver import Conflict, Image, Progress, Template
from ..model.fleet import Site
from ..model.vm import VM

_CHUNK = 1 << 20
_LIMIT = 64 << 30
_SPARE = 1 << 30  # bytes that a download leaves free on the disk of the cache
_PATIENCE = 2 * 3600.0  # seconds for one image: a server that drips its bytes would hold us for ever


def resolve(site: Site, vm: VM, progress: Progress) -> Image | Template | None:
    """The image that `vm` is made from, on this machine and of the hash that the catalogue gives, or the site's own
    template; None if it has none.

    Raises Conflict where it is missing, incomplete or another one.
    """
    name = vm["image"]
    if not name:
        return None
    entry = (site["images"] or {}).get(name)
    if entry is None:
        raise Conflict(
            f"the image '{name}' is not in the site's catalogue",
            site=site.name,
            vm=vm.name,
            todo=f"Add it under sites.{site.name}.images",
        )
    if entry.get("template"):
        return Template(name, entry["template"])
    path = Path(entry["path"]) if entry.get("path") else _fetch(entry, site, vm, progress)
    if not path.is_file():
        raise Conflict(
            f"the image '{name}' is missing: there is no file {path}",
            site=site.name,
            vm=vm.name,
            todo="Build it (make image), or name another path",
        )
    if not os.access(path, os.R_OK):
        raise Conflict(
            f"the image '{name}' at {path} cannot be read by this user; nothing was made",
            site=site.name,
            vm=vm.name,
            todo="Give this user the right to read it",
        )
    wanted = entry.get("sha256") or _beside(path)
    if wanted:
        found = sha256(path)
        if found != wanted:
            raise Conflict(
                f"the image '{name}' at {path} is damaged or incomplete: its SHA-256 is {found[:16]}… and "
                f"should be {wanted[:16]}…; nothing was made",
                site=site.name,
                vm=vm.name,
                todo="Build or fetch it again (make image)",
            )
    return Image(name, path, wanted or "")


def _beside(path: Path) -> str:
    """The hash in the file beside an image (``<image>.sha256``), as sha256sum writes it; empty if there is none."""
    try:
        words = path.with_name(path.name + ".sha256").read_text(encoding="ascii").split()
    except (OSError, UnicodeError):
        return ""
    return words[0].lower() if words else ""


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache() -> Path:
    """The image cache: ``MUSTER_CACHE``, else ``/var/cache/muster`` for root and ``~/.cache/muster`` for others."""
    named = os.environ.get("MUSTER_CACHE")
    if named:
        return Path(named) / "images"
    return Path("/var/cache/muster/images" if os.geteuid() == 0 else "~/.cache/muster/images").expanduser()


def _fetch(entry: Mapping[str, Any], site: Site, vm: VM, progress: Progress) -> Path:
    """Bring an image by its URL into the cache, under its hash; one that is there already is used."""
    folder, digest = cache(), entry["sha256"]
    target = folder / f"{digest}.qcow2"
    if target.is_file():
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _fetch_into(folder, target, entry, site, vm, progress)
    except OSError as error:
        raise Conflict(f"the image cache {folder} cannot be written: {error.strerror}", site=site.name, vm=vm.name,
                       todo="Give it space and rights, or name another folder in MUSTER_CACHE") from error


def _fetch_into(folder: Path, target: Path, entry: Mapping[str, Any], site: Site, vm: VM, progress: Progress) -> Path:
    from ansible.module_utils.urls import open_url  # here, because it takes as long to import as all of Muster

    url, digest = entry["url"], entry["sha256"]
    progress(f"{vm.name}: fetching {url}")
    found, size, end = hashlib.sha256(), 0, time.monotonic() + _PATIENCE
    limit = min(_LIMIT, shutil.disk_usage(folder).free - _SPARE)
    buffer = memoryview(bytearray(_CHUNK))  # of a fixed size, whatever size the server gives to its chunks
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".fetch-") as file:
        try:
            # The fleet file allows http and https only, and no redirection leads to a file.
            with open_url(url, timeout=60, http_agent="muster", decompress=False) as answer:
                while count := answer.readinto(buffer):
                    size += count
                    if size > limit:
                        raise OSError(f"it is larger than the {max(0, limit) >> 20} MiB that {folder} has room for")
                    if time.monotonic() > end:
                        raise OSError(f"it did not end within {_PATIENCE:.0f} s")
                    file.write(buffer[:count])
                    found.update(buffer[:count])
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Conflict(
                f"the image at {url} could not be fetched: {error}",
                site=site.name,
                vm=vm.name,
                todo="Check the address, then run again",
            ) from error
        if found.hexdigest() != digest:
            raise Conflict(
                f"what {url} holds has the SHA-256 {found.hexdigest()[:16]}…, and the catalogue says "
                f"{digest[:16]}…; it was thrown away",
                site=site.name,
                vm=vm.name,
                todo="Find out which of the two is right; do not just copy the new one",
            )
        file.flush()
        os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another VM of this image was quicker
            os.link(file.name, target)
    return target
