"""Health: whether a VM serves, asked the way its users ask. A check that could not be made is never a pass."""

from __future__ import annotations

import contextlib
import http.client
import io
import re
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..drivers.driver import Driver, DriverError, Progress, Unsupported, silent
from ..model.vm import VM

_BODY_LIMIT = 1 << 20
_TRAFFIC_LIMIT = 8 << 20  # bytes of one whole answer, with headers and what the encoding adds
_CONTROL = re.compile(r"[^\x20-\x7e]+")
_POLL = 1.0
_TOTAL = 30.0  # seconds for one HTTP answer: a guest that drips its bytes would hold us for ever


@dataclass(frozen=True)
class Check:
    """One question and its answer; `outcome` is ``passed``, ``failed`` or ``not_tested``."""

    name: str
    outcome: str
    detail: str = ""

    def as_dict(self) -> dict[str, str]:
        """The check in a report."""
        return {"name": self.name, "outcome": self.outcome, "detail": self.detail}


OFF = Check("power", "failed", "it is off")  # the one answer of a VM that does not run


def clean(text: str, limit: int = 200) -> str:
    """What a guest said, fit to be shown: printable ASCII on one line, cut at `limit` characters."""
    return _CONTROL.sub(" ", text).strip()[:limit]


def verdict(checks: list[Check]) -> str:
    """``healthy``, ``unhealthy``, or ``unknown`` where nothing was asked or nothing could be."""
    if any(check.outcome == "failed" for check in checks):
        return "unhealthy"
    return "healthy" if checks and all(check.outcome == "passed" for check in checks) else "unknown"


def ports(health: list[Mapping[str, Any]] | None) -> list[int]:
    """The ports inside the guest that `health` asks."""
    asked = [item.get(kind) for item in health or () for kind in ("http", "tcp")]
    return sorted({int(options.get("port") or 80) for options in asked if options is not None})


def ask(
    driver: Driver, vm: VM, health: list[Mapping[str, Any]] | None, patience: float = 0, progress: Progress = silent
) -> list[Check]:
    """The answers of `vm` to its `health` checks; each is asked again until it passes or `patience` seconds are over.
    """
    end = time.monotonic() + patience
    answers = []
    for item in health or ():
        kind, options = next((kind, options) for kind, options in item.items() if options is not None)
        answer = _ASK[kind](driver, vm, options)
        while answer.outcome == "failed" and time.monotonic() < end:
            progress(f"{vm.name}: waiting for {answer.name}: {answer.detail}")
            time.sleep(_POLL)
            answer = _ASK[kind](driver, vm, options)
        answers.append(answer)
    return answers


_LOOK = """said() { echo "$1: ${2:-none}"; }
said "failed units" "$(systemctl --failed --plain --no-legend | cut -d' ' -f1 | paste -sd' ')"
said "listening" "$(ss -Hltn | awk '{print $4}' | paste -sd' ')"
said "addresses" "$(ip -br -4 address | awk '{print $1, $3}' | paste -sd' ')"
"""


def inside(driver: Driver, vm: VM) -> str:
    """What a Linux guest itself says of why it may not serve, on one line; empty where it cannot be asked."""
    try:
        found = driver.execute(vm, ["/bin/sh", "-c", _LOOK], timeout=30)
    except DriverError:
        return ""
    return "" if found.code else clean("; ".join(found.output.strip().splitlines()), 400)


def _http(driver: Driver, vm: VM, options: Mapping[str, Any]) -> Check:
    port, path = int(options.get("port") or 80), str(options.get("path") or "/")
    status, contains = int(options.get("status") or 200), options.get("contains")
    name = f"http :{port}{path}"
    try:
        host, at = driver.endpoint(vm, port)
        connection = http.client.HTTPConnection(host, at, timeout=10)
        connection.response_class = _Answer
        connection.connect()
        cut = threading.Timer(_TOTAL, _hang_up, (connection.sock,))
        try:
            cut.start()
            connection.request("GET", path, headers={"Host": vm.name, "User-Agent": "muster"})
            answer = connection.getresponse()
            raw = answer.read(_BODY_LIMIT)
            if answer.length and len(raw) < _BODY_LIMIT:
                raise http.client.IncompleteRead(raw, answer.length)
            body = raw.decode("utf-8", "replace")
        finally:
            cut.cancel()
            connection.close()
    except Unsupported as error:
        return Check(name, "not_tested", clean(error.what))
    except (OSError, ValueError, http.client.HTTPException, DriverError) as error:
        return Check(name, "failed", clean(f"no answer: {error}"))
    if answer.status != status:
        return Check(name, "failed", f"answered {answer.status}, expected {status}")
    if contains and contains not in body:
        return Check(name, "failed", f"answered {status}, but without '{contains}': '{clean(body, 80)}'")
    return Check(name, "passed", f"answered {status}" + (f" with '{contains}'" if contains else ""))


class _Answer(http.client.HTTPResponse):
    """An answer that ends at a bound: Python's reader believes a chunk of -1 bytes and reads until memory is full."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fp = io.BufferedReader(_Metered(self.fp))


class _Metered(io.RawIOBase):
    """A stream of which at most `_TRAFFIC_LIMIT` bytes are read."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.left = inner, _TRAFFIC_LIMIT

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = int(self.inner.readinto1(buffer) or 0)
        self.left -= count
        if self.left < 0:
            raise OSError(f"it sent more than {_TRAFFIC_LIMIT >> 20} MiB")
        return count

    def close(self) -> None:
        self.inner.close()
        super().close()


def _hang_up(connection: socket.socket) -> None:
    """End a connection under the thread that reads from it."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _tcp(driver: Driver, vm: VM, options: Mapping[str, Any]) -> Check:
    port = int(options["port"])
    try:
        with socket.create_connection(driver.endpoint(vm, port), timeout=10) as connection:
            # A forward accepts before the guest does; it hangs up at once where nobody listens.
            connection.settimeout(1.0)
            try:
                if connection.recv(1) == b"":
                    return Check(f"tcp :{port}", "failed", "the connection was closed at once")
            except TimeoutError:
                pass  # silent and open: the service waits for us to speak
    except Unsupported as error:
        return Check(f"tcp :{port}", "not_tested", clean(error.what))
    except (OSError, DriverError) as error:
        return Check(f"tcp :{port}", "failed", clean(f"no connection: {error}"))
    return Check(f"tcp :{port}", "passed", "accepts connections")


def _command(driver: Driver, vm: VM, options: Mapping[str, Any]) -> Check:
    argv, contains = [str(word) for word in options["run"]], options.get("contains")
    name = clean("command " + " ".join(argv), 80)
    try:
        result = driver.execute(vm, argv, timeout=60)
    except Unsupported as error:  # nobody asked the service, so nobody knows
        return Check(name, "not_tested", clean(error.what))
    except DriverError as error:
        return Check(name, "failed", clean(str(error)))
    if result.code != 0:
        return Check(name, "failed", f"exit code {result.code}: {clean(result.output)}")
    if contains and contains not in result.output:
        return Check(name, "failed", f"its output lacks '{contains}': '{clean(result.output, 80)}'")
    return Check(name, "passed", f"its output has '{contains}'" if contains else "exit code 0")


_ASK = {"http": _http, "tcp": _tcp, "command": _command}
