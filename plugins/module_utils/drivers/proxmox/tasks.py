"""Tasks and locks: what Proxmox does is followed to its end, and a lock is waited for, never broken."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

from .. import waiting
from ..driver import DriverError, Failed, Locked, Progress, Unknown, silent
from .connection import Api, quoted
from .errors import clean, error_of

Result = TypeVar("Result")
_UPID = re.compile(r"UPID:([A-Za-z0-9.-]+):[0-9A-Fa-f]+:[0-9A-Fa-f]+:[0-9A-Fa-f]+:([^:]*):([^:]*):[^:]+:")
_WARNINGS = re.compile(r"WARNINGS: \d+")
_FIRST = 0.05  # seconds between two looks at a task; the wait grows
LOCK_WAIT = 300.0  # seconds for which somebody else's task is waited for: a backup of a small VM
TASK_WAIT = 4 * 3600.0  # seconds for a task of ours: the copy of a large disk


class Tasks:
    """The tasks of one site. `lock_wait` is in seconds, and so is the `silence` through which a task is followed."""

    def __init__(self, api: Api, lock_wait: float = LOCK_WAIT, silence: float = waiting.SILENCE) -> None:
        self.api, self.lock_wait, self.silence = api, lock_wait, silence

    def finish(
        self, upid: Any, doing: str, vm: str, progress: Progress = silent, timeout: float = TASK_WAIT
    ) -> None:
        """Follow the task `upid` to its end. Raises the contract's error for ``TASK ERROR``; None is no task, and done.

        A task that outlasts `timeout` is not failed, its outcome is unknown, as it is where the site falls silent.
        """
        if upid is None:
            return
        found = _UPID.fullmatch(str(upid))
        if found is None:
            raise Failed(
                f"unable to {doing}: Proxmox answered '{clean(upid)[:80]}' instead of a task",
                site=self.api.site,
                vm=vm,
                todo="Look at the VM in Proxmox, then run again",
            )
        node, kind = found.group(1), found.group(2)
        path = f"nodes/{node}/tasks/{quoted(upid)}"
        end, pause, said = time.monotonic() + timeout, _FIRST, time.monotonic()
        while True:
            state = self.look(f"{path}/status", f"the task {kind}", doing, vm, progress)
            if state.get("status") == "stopped":
                break
            now = time.monotonic()
            if now > end:
                raise Unknown(
                    f"unable to {doing}: the task {kind} on node '{node}' still runs after {timeout:.0f} s, so its "
                    "outcome is not known",
                    site=self.api.site,
                    vm=vm,
                    todo=f"Wait for {upid}, then run again: the run looks at what is there",
                )
            if now - said > 10:
                said = now
                progress(f"{vm}: {kind} {self._line(path, doing, vm)}".rstrip())
            time.sleep(pause)
            pause = min(pause * 1.5, waiting.LONGEST)
        outcome = str(state.get("exitstatus", "no exit status"))
        if outcome != "OK" and not _WARNINGS.fullmatch(outcome):
            raise error_of(doing, outcome, site=self.api.site, vm=vm)

    def look(self, path: str, task: str, doing: str, vm: str, progress: Progress) -> Any:
        """What Proxmox says of `path` while `task` goes on there; it may be silent for a while."""
        return waiting.through_silence(
            lambda: self.api.get(path, doing, vm), task, doing, vm, progress, self.silence
        )

    def _line(self, path: str, doing: str, vm: str) -> str:
        """The last line of a task's log."""
        with contextlib.suppress(DriverError):
            lines = self.api.get(f"{path}/log", doing, vm, limit=1000)
            return clean(lines[-1].get("t", ""))[:100] if lines else ""
        return ""

    def patiently(self, act: Callable[[], Result], vm: str, progress: Progress, path: str) -> Result:
        """`act`, waiting for what somebody else does with the VM at `path` (``nodes/<node>/qemu/<vmid>``); the task
        that does it is named."""
        _nodes, node, _qemu, vmid = path.split("/")

        def named() -> Result:
            try:
                return act()
            except Locked as error:
                holder = self.holder(node, int(vmid))
                what = f"{error.what}, held by {holder}" if holder else error.what
                raise Locked(what, site=error.site, vm=error.vm, todo=error.todo) from None

        return waiting.patiently(named, vm, progress, self.lock_wait, _FIRST)

    def holder(self, node: str, vmid: int) -> str:
        """The task that works on a VM just now, for people; empty where none is found."""
        with contextlib.suppress(DriverError):
            for task in self.api.get(f"nodes/{node}/tasks", "look for tasks", vmid=vmid, source="active"):
                if not task.get("endtime") and not task.get("status"):
                    return f"{clean(task.get('type'))} of {clean(task.get('user'))} ({clean(task.get('upid'))})"
        return ""
