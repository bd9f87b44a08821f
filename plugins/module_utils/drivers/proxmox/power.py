"""Power: the guest is asked first; the power is cut only where that was allowed. What a task says is then looked at."""

from __future__ import annotations

import time
from typing import Any

from ..driver import ALLOW_FORCE, Failed, Progress, StillOn, still_paused
from .connection import Api
from .tasks import Tasks

_PAUSED = ("paused", "suspended", "prelaunch")  # a guest that nobody can ask, and whose memory holds something
_POLL = 0.2
_SETTLE = 60.0  # seconds until high availability has done what it was asked for


class Power:
    """The power of the VMs of one site. `path` is ``nodes/<node>/qemu/<vmid>``."""

    def __init__(self, api: Api, tasks: Tasks) -> None:
        self.api, self.tasks = api, tasks

    def state(self, path: str, name: str) -> str:
        """QEMU's own word: ``running``, ``stopped``, ``paused``…"""
        return _word(self.api.get(f"{path}/status/current", "look at the VM's power", name))

    def on(self, path: str, name: str, progress: Progress) -> None:
        """Start the VM, or let a paused one go on."""
        now = self.state(path, name)
        if now in _PAUSED:
            self._do(path, "resume", "let the VM go on", name, progress)
        elif now != "running":
            self._do(path, "start", "start the VM", name, progress)
        self._settled(path, name, "running", _SETTLE, "start the VM", progress)

    def off(self, path: str, name: str, progress: Progress, timeout: float, force: bool) -> None:
        """Shut the guest down within `timeout` seconds; with `force` cut the power at once. Raises StillOn for a guest
        that does not, or that is paused: it is left as it is."""
        now = self.state(path, name)
        if now == "stopped":
            return
        if now in _PAUSED and not force:
            raise still_paused(self.api.site, name)
        if force or now != "running":
            self._do(path, "stop", "stop the VM", name, progress)
            self._settled(path, name, "stopped", _SETTLE, "stop the VM", progress)
            return
        progress(f"{name}: shutting down")
        stubborn = StillOn(
            f"the guest did not shut down within {timeout:.0f} s; it was left running",
            site=self.api.site,
            vm=name,
            todo=f"Look into the guest, {ALLOW_FORCE}",
        )
        try:
            self._do(path, "shutdown", "shut the guest down", name, progress, timeout=max(1, round(timeout)))
        except Failed as error:
            if "got timeout" in error.what:
                raise stubborn from None
            if "not running" not in error.what:  # it went off by itself in this moment
                raise
        self._settled(path, name, "stopped", timeout, "shut the guest down", progress, stubborn)

    def _do(self, path: str, action: str, doing: str, name: str, progress: Progress, **parameters: Any) -> None:
        def act() -> None:
            try:
                upid = self.api.post(f"{path}/status/{action}", doing, name, **parameters)
                self.tasks.finish(upid, doing, name, progress)
            except Failed as error:
                if action != "start" or "already running" not in error.what:
                    raise

        self.tasks.patiently(act, name, progress, path)

    def _settled(
        self,
        path: str,
        name: str,
        wanted: str,
        timeout: float,
        doing: str,
        progress: Progress,
        error: Failed | None = None,
    ) -> None:
        """Look until the VM is as it was asked for: high availability answers before it has done anything."""
        end = time.monotonic() + timeout
        where = f"{path}/status/current"
        while (now := _word(self.tasks.look(where, "its change of power", doing, name, progress))) != wanted:
            if time.monotonic() > end:
                raise error or Failed(
                    f"unable to {doing}: Proxmox reported no error, and yet the VM is '{now}' after {timeout:.0f} s",
                    site=self.api.site,
                    vm=name,
                    todo="Look at its tasks and at high availability (ha-manager status)",
                )
            time.sleep(_POLL)


def _word(status: dict[str, Any]) -> str:
    return str(status.get("qmpstatus") or status.get("status"))
