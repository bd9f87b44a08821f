"""Tasks: what vCenter does is followed to its end, and what another task holds is waited for, never broken."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any, TypeVar

from .. import waiting
from ..driver import Progress, Unknown, Unreachable, silent
from . import questions
from .connection import Session
from .errors import clean, error_of
from .sdk import vim

Result = TypeVar("Result")
_FIRST = 0.02  # seconds between two looks at a task; the wait grows
_INFO = ("info.state", "info.error", "info.result", "info.progress", "info.descriptionId", "info.entity")
LOOK = 5.0  # seconds between two looks at whether the VM asks a question
LOCK_WAIT = 300.0  # seconds for which somebody else's task is waited for
TASK_WAIT = 4 * 3600.0  # seconds for a task of ours: the copy of a large disk


class Tasks:
    """The tasks of one site. `lock_wait` is in seconds, and so is the `silence` through which a task is followed."""

    def __init__(self, session: Session, lock_wait: float = LOCK_WAIT, silence: float = waiting.SILENCE) -> None:
        self.session, self.lock_wait, self.silence = session, lock_wait, silence

    def run(self, doing: str, start: Callable[[], Any], vm: str, progress: Progress = silent) -> Any:
        """Start a task and follow it to its end; its result. One that is refused because another task works on the VM
        is begun again when that one is over."""
        return self.patiently(lambda: self.finish(self.session.do(doing, start, vm), doing, vm, progress), vm, progress)

    def finish(self, task: Any, doing: str, vm: str, progress: Progress = silent, timeout: float = TASK_WAIT) -> Any:
        """Follow `task` to its end; its result. Raises the contract's error for the fault that it ended with.

        A task that outlasts `timeout`, or that vCenter does not know any more, is not failed, its outcome is unknown,
        as it is where vCenter falls silent.
        """
        end, pause, said = time.monotonic() + timeout, _FIRST, time.monotonic()
        looked = said
        while True:
            found = waiting.through_silence(
                lambda: self.session.properties([task], _INFO, doing, vm), "its task", doing, vm, progress, self.silence
            )
            info = found[0] if found else {}
            state = info.get("info.state")
            if state == "success":
                return info.get("info.result")
            if state == "error":
                raise error_of(doing, info.get("info.error"), site=self.session.site, vm=vm)
            now = time.monotonic()
            if state is None or now > end:
                lost = "vCenter does not know its task any more"
                what = lost if state is None else f"its task still runs after {timeout:.0f} s"
                raise Unknown(
                    f"unable to {doing}: {what}, so its outcome is not known",
                    site=self.session.site,
                    vm=vm,
                    todo="Look at the VM's tasks in vCenter, then run again: the run looks at what is there",
                )
            if now - said > 10:
                said = now
                progress(f"{vm}: {clean(info.get('info.descriptionId'))} {info.get('info.progress') or 0} %")
            if now - looked > LOOK:
                looked = now
                self._unasked(info.get("info.entity"), doing, vm)
            time.sleep(pause)
            pause = min(pause * 1.5, waiting.LONGEST)

    def _unasked(self, obj: Any, doing: str, vm: str) -> None:
        """Raise Failed where the VM of a task asks a question: until it is answered the task goes on, and on."""
        if isinstance(obj, vim.VirtualMachine):
            seen = []
            with contextlib.suppress(Unreachable):  # whether vCenter is silent for too long the next look says
                seen = self.session.properties([obj], [questions.PATH], doing, vm)
            for found in seen:
                if found.get(questions.PATH) is not None:
                    raise questions.error_of(found[questions.PATH], doing, self.session.site, vm)

    def patiently(self, act: Callable[[], Result], vm: str, progress: Progress = silent) -> Result:
        """`act`, waiting for what somebody else does with the VM."""
        return waiting.patiently(act, vm, progress, self.lock_wait, _FIRST)
