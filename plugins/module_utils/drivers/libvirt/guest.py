"""Talking to the guest past its network: QEMU's guest agent, and the console on which a boot shows its progress.

Whatever a guest says is hostile: replies are bounded, decoded leniently and never trusted with more than a display.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

from ..driver import Executed, Failed, Progress, Unreachable
from .connection import libvirt, told

try:
    import libvirt_qemu
except ImportError:
    libvirt_qemu = None

_REPLY_LIMIT = 16 << 20
_OUTPUT_LIMIT = 1 << 20
_POLL = 0.5
_BUSY = 0.4  # of a CPU: an idle guest under emulation still uses a fifth
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[^\x20-\x7e]")


class Agent:
    """The guest agent of one running domain."""

    def __init__(self, domain: Any, site: str) -> None:
        self.domain, self.site, self.vm = domain, site, domain.name()

    def call(self, command: str, arguments: dict[str, Any] | None = None, timeout: int = 10) -> Any:
        """One call of the agent. Raises Unreachable when it does not answer in `timeout` seconds."""
        message: dict[str, Any] = {"execute": command}
        if arguments:
            message["arguments"] = arguments
        try:
            reply = libvirt_qemu.qemuAgentCommand(self.domain, json.dumps(message), timeout, 0)
        except libvirt.libvirtError as error:
            raise Unreachable(
                f"the guest agent did not answer '{command}': {' '.join(str(error).split())[:300]}",
                site=self.site,
                vm=self.vm,
                todo="Check that qemu-guest-agent runs in the guest",
            ) from error
        if len(reply) > _REPLY_LIMIT:
            raise Failed(f"the guest agent answered '{command}' with more than 16 MiB", site=self.site, vm=self.vm)
        try:
            return json.loads(reply)["return"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Failed(
                f"the guest agent answered '{command}' with what is no answer", site=self.site, vm=self.vm
            ) from error

    def answers(self) -> bool:
        """Whether the agent answers now."""
        try:
            self.call("guest-ping", timeout=2)
        except (Unreachable, Failed):
            return False
        return True

    def execute(self, argv: Sequence[str], timeout: float) -> Executed:
        """Run a program. Raises Unreachable when it has not ended after `timeout` seconds; it may still be running."""
        arguments = {"path": argv[0], "arg": list(argv[1:]), "capture-output": True}
        started = self.call("guest-exec", arguments)
        pid = started.get("pid") if isinstance(started, dict) else None
        if not isinstance(pid, int):
            raise Failed("the guest agent did not say what it started", site=self.site, vm=self.vm)
        end = time.monotonic() + timeout
        while True:
            status = self.call("guest-exec-status", {"pid": pid})
            if not isinstance(status, dict):
                raise Failed("the guest agent told no status", site=self.site, vm=self.vm)
            if status.get("exited"):
                break
            if time.monotonic() > end:
                raise Unreachable(
                    f"'{argv[0]}' has not ended in the guest after {timeout:.0f} s; it may still run",
                    site=self.site,
                    vm=self.vm,
                    todo="Look into the guest",
                )
            time.sleep(0.1)
        try:
            output = b"".join(
                base64.b64decode(str(status.get(key) or ""))[:_OUTPUT_LIMIT] for key in ("out-data", "err-data")
            )
        except ValueError as error:
            raise Failed("the guest agent gave an output that is not base64", site=self.site, vm=self.vm) from error
        code = status.get("exitcode")
        return Executed(code if isinstance(code, int) else 255, output.decode("utf-8", "replace"))


def set_clock(domain: Any, progress: Progress) -> None:
    """Set the guest's clock to the present: a running VM that was reverted goes on at the time of its snapshot."""
    try:
        domain.setTime({"seconds": int(time.time()), "nseconds": 0}, 0)
    except libvirt.libvirtError as error:
        progress(f"{domain.name()}: its clock was not set: {' '.join(str(error).split())[:200]}")


class Console:
    """The serial console of a domain, read without waiting. Only a witness of progress: nothing fails without it."""

    def __init__(self, connection: Any, domain: Any) -> None:
        self.line, self.seen, self._rest = "", 0, b""
        self._stream = None
        with contextlib.suppress(libvirt.libvirtError):
            stream = connection.newStream(libvirt.VIR_STREAM_NONBLOCK)
            domain.openConsole(None, stream, 0)
            self._stream = stream

    def drain(self) -> bool:
        """Read what is there; True where something was. `line` is the last full line, made harmless."""
        before = self.seen
        with contextlib.suppress(libvirt.libvirtError):
            while self._stream is not None:
                data = self._stream.recv(8192)
                if not isinstance(data, bytes) or not data:
                    break
                self.seen += len(data)
                *lines, self._rest = (self._rest + data)[-8192:].split(b"\n")
                for raw in lines:
                    text = _CONTROL.sub("", raw.decode("ascii", "replace")).strip()[:160]
                    if text:
                        self.line = text
                        if "Kernel panic" in text:
                            self._stream = None
                            break
        return self.seen > before

    def close(self) -> None:
        """Let the console go, for the next reader."""
        if self._stream is not None:
            with contextlib.suppress(libvirt.libvirtError):
                self._stream.abort()
            self._stream = None


def wait_for_boot(
    connection: Any, domain: Any, site: str, ready: Callable[[], bool], progress: Progress, stall: float, timeout: float
) -> None:
    """Wait until `ready`, as long as the guest makes progress: console output, or CPU time used.

    Raises Failed when it stands still for `stall` seconds, panics, switches itself off, or is not ready after
    `timeout` seconds.
    """
    name = domain.name()
    console = Console(connection, domain)
    start = moved = spoke = time.monotonic()
    cpu, told_line = 0, ""
    try:
        while not ready():
            now = time.monotonic()
            with told(site, name, "follow the boot"):
                info = domain.info()
                state, used = info[0], info[4]
            if state in (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_CRASHED):
                raise Failed(
                    "the guest switched itself off while it booted" + _last(console),
                    site=site,
                    vm=name,
                    todo="Look at its console (virsh start --console)",
                )
            if console.drain() or used - cpu > _BUSY * 1e9 * (now - moved) + 2e8:
                cpu, moved = used, now
            if "Kernel panic" in console.line:
                raise Failed(
                    "the guest's kernel panicked" + _last(console),
                    site=site,
                    vm=name,
                    todo="The VM was left as it is; look at its console, or restore it from a restore point",
                )
            if now - moved > stall:
                raise Failed(
                    f"the guest never became ready and stood still for {stall:.0f} s" + _last(console),
                    site=site,
                    vm=name,
                    todo="The VM was left running; check that its image boots and has a guest agent",
                )
            if now - start > timeout:
                raise Failed(
                    f"the guest was not ready after {timeout:.0f} s" + _last(console),
                    site=site,
                    vm=name,
                    todo="The VM was left running; look at its console (virsh console)",
                )
            if console.line != told_line or now - spoke > 5:
                told_line, spoke = console.line, now
                progress(f"{name}: booting, {now - start:.0f} s: {told_line or 'its console shows nothing yet'}")
            time.sleep(_POLL)
    finally:
        console.close()


def _last(console: Console) -> str:
    return f"; the last line of its console: '{console.line}'" if console.line else "; its console showed nothing"
