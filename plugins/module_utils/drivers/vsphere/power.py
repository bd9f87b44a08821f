"""Power and readiness: the guest is asked first; the power is cut only where that was allowed. What a task says is then
looked at."""

from __future__ import annotations

import time
from typing import Any

from ..driver import (
    ALLOW_FORCE,
    Conflict,
    DriverError,
    Failed,
    NotFound,
    Progress,
    StillOn,
    Unknown,
    Unreachable,
    still_paused,
)
from . import questions
from .connection import Session
from .tasks import Tasks

_POLL = 0.2
SETTLE = 60.0  # seconds until what a task reported must show
_HEARD = 15.0  # seconds until what was asked for without an answer shows, if it was heard


class Power:
    """The power of the VMs of one site. `obj` is vCenter's reference of a VM, `settle` in seconds."""

    def __init__(self, session: Session, tasks: Tasks) -> None:
        self.session, self.tasks, self.settle = session, tasks, SETTLE

    def _look(self, obj: Any, name: str, *paths: str) -> dict[str, Any]:
        found = self.session.properties([obj], ["runtime.powerState", *paths], "look at the VM's power", name)
        if not found:
            raise NotFound(
                "unable to look at its power: it is gone",
                site=self.session.site,
                vm=name,
                todo="List the VMs of the site with muster.fleet.vm_info",
            )
        return dict(found[0])

    def state(self, obj: Any, name: str) -> str:
        """vCenter's own word: ``poweredOn``, ``poweredOff`` or ``suspended``."""
        return str(self._look(obj, name)["runtime.powerState"])

    def on(self, obj: Any, name: str, progress: Progress) -> None:
        """Start the VM, or let a suspended one go on."""
        now = self._look(obj, name, questions.PATH)
        if now["runtime.powerState"] != "poweredOn":
            self._refuse(now, name, "start the VM")  # the task that waits for the answer is that of a run before
            self._run("start the VM", obj.PowerOnVM_Task, obj, name, "poweredOn", progress)
        self._settled(obj, name, "poweredOn", self.settle, "start the VM")

    def off(self, obj: Any, name: str, progress: Progress, timeout: float, force: bool) -> None:
        """Shut the guest down within `timeout` seconds; with `force` cut the power at once. Raises StillOn for a guest
        that does not, or that is suspended: it is left as it is."""
        now = self.state(obj, name)
        if now == "poweredOff":
            return
        if now == "suspended" and not force:
            raise still_paused(self.session.site, name)
        if force or now != "poweredOn":
            self._run("stop the VM", obj.PowerOffVM_Task, obj, name, "poweredOff", progress)
            self._settled(obj, name, "poweredOff", self.settle, "stop the VM")
            return
        progress(f"{name}: shutting down")
        doing = "shut the guest down"
        try:
            self.tasks.patiently(lambda: self.session.do(doing, obj.ShutdownGuest, name), name, progress)
        except Failed as error:
            if "ToolsUnavailable" not in error.what:
                raise
            raise StillOn(
                "the guest cannot be asked to shut down, as its VMware Tools do not run; it was left running",
                site=self.session.site,
                vm=name,
                todo=f"Install open-vm-tools in the guest, {ALLOW_FORCE}",
            ) from None
        except Conflict:  # it went off by itself in this moment
            if self.state(obj, name) != "poweredOff":
                raise
        except Unknown as error:
            self._heard(obj, name, "poweredOff", doing, error)
        self._settled(obj, name, "poweredOff", timeout, doing, StillOn(
            f"the guest did not shut down within {timeout:.0f} s; it was left running",
            site=self.session.site,
            vm=name,
            todo=f"Look into the guest, {ALLOW_FORCE}",
        ))

    def _refuse(self, now: dict[str, Any], name: str, doing: str) -> None:
        """Raise Failed for a VM that asks a question."""
        if now.get(questions.PATH) is not None:
            raise questions.error_of(now[questions.PATH], doing, self.session.site, name)

    def _run(self, doing: str, start: Any, obj: Any, name: str, wanted: str, progress: Progress) -> None:
        try:
            self.tasks.run(doing, start, name, progress)
        except Conflict:  # it is so already: somebody else was faster
            if self.state(obj, name) != wanted:
                raise
        except Unknown as error:
            self._heard(obj, name, wanted, doing, error)

    def _heard(self, obj: Any, name: str, wanted: str, doing: str, error: Unknown) -> None:
        """Raise `error` unless the VM shows within a moment that vCenter heard us, though its answer was lost."""
        try:
            self._settled(obj, name, wanted, min(self.settle, _HEARD), doing, error)
        except Unreachable:
            raise error from None

    def _settled(
        self, obj: Any, name: str, wanted: str, timeout: float, doing: str, error: DriverError | None = None
    ) -> None:
        """Look until the VM is as it was asked for."""
        end = time.monotonic() + timeout
        while (now := self._look(obj, name, questions.PATH))["runtime.powerState"] != wanted:
            self._refuse(now, name, doing)
            if time.monotonic() > end:
                raise error or Failed(
                    f"unable to {doing}: vCenter reported no error, and yet the VM is '{now['runtime.powerState']}' "
                    f"after {timeout:.0f} s",
                    site=self.session.site,
                    vm=name,
                    todo="Look at its tasks and events in vCenter",
                )
            time.sleep(_POLL)

    def ready(
        self, obj: Any, name: str, progress: Progress, stall: float, timeout: float, networked: bool = True
    ) -> None:
        """Wait until the guest's VMware Tools run and, where it is `networked`, tell an address. A guest that computes
        nothing for `stall` seconds makes no progress: Failed."""
        began = moved = said = time.monotonic()
        before: Any = None
        while True:
            found = self._look(
                obj, name, "guest.toolsRunningStatus", "guest.ipAddress", "summary.quickStats.overallCpuUsage",
                questions.PATH,
            )
            self._refuse(found, name, "wait for the guest")
            running = found.get("guest.toolsRunningStatus") == "guestToolsRunning"
            if running and (found.get("guest.ipAddress") or not networked):
                return
            now = time.monotonic()
            if found["runtime.powerState"] != "poweredOn":
                raise Failed(
                    "it went off while it was waited for",
                    site=self.session.site,
                    vm=name,
                    todo="Look at its console and its events",
                )
            seen = (found.get("guest.toolsRunningStatus"), found.get("summary.quickStats.overallCpuUsage"))
            if seen != before:
                before, moved = seen, now
            if now - moved > stall or now - began > timeout:
                what = f"for {stall:.0f} s" if now - moved > stall else f"within {timeout:.0f} s"
                raise Failed(
                    f"its VMware Tools told {'no address' if networked else 'nothing'}, and it made no progress {what}",
                    site=self.session.site,
                    vm=name,
                    todo="Look at its console; the guest needs open-vm-tools and a network",
                )
            if now - said > 10:
                said = now
                progress(f"{name}: waiting for VMware Tools, {now - began:.0f} s")
            time.sleep(_POLL)
