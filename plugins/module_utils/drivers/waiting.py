"""What another task of the platform holds is waited for, never broken."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from .driver import Locked, Progress, Unknown, Unreachable

Result = TypeVar("Result")
LONGEST = 2.0  # seconds between two tries; the wait grows up to this
SILENCE = 120.0  # seconds without an answer through which a task is followed: a switch, or the API, starts anew
_AGAIN = 1.0  # seconds between two looks then
_TOLD = 10.0  # seconds between two words of progress


def through_silence(
    look: Callable[[], Result], task: str, doing: str, vm: str, progress: Progress, silence: float
) -> Result:
    """The answer to a `look` at a `task` of the site. A site that does not answer is asked again until `silence`
    seconds are over; then Unknown: the task goes on without us."""
    end, told = time.monotonic() + silence, float("-inf")
    while True:
        try:
            return look()
        except Unreachable as error:
            if time.monotonic() + _AGAIN > end:
                raise Unknown(
                    f"unable to {doing}: the site did not answer for {silence:.0f} s while {task} was followed, so its "
                    f"outcome is not known, and what it makes was left alone ({error.what})",
                    site=error.site,
                    vm=vm,
                    todo="Wait until the site answers and the task has ended, then run again: the run looks at what is "
                    "there",
                ) from None
            if time.monotonic() - told >= _TOLD:
                told = time.monotonic()
                progress(f"{vm}: the site does not answer; {task} is followed on")
            time.sleep(_AGAIN)


def patiently(act: Callable[[], Result], vm: str, progress: Progress, lock_wait: float, pause: float) -> Result:
    """`act`, again and again while somebody else holds the VM, until `lock_wait` seconds are over; then its Locked.
    `pause` is the first wait, in seconds.

    What was refused for a lock was not begun, so it may be asked for again.
    """
    end, told = time.monotonic() + lock_wait, float("-inf")
    while True:
        try:
            return act()
        except Locked as error:
            if time.monotonic() + pause > end:
                raise Locked(
                    f"{error.what}; it was waited for {lock_wait:.0f} s and left as it is",
                    site=error.site,
                    vm=error.vm,
                    todo=error.todo,
                ) from None
            if time.monotonic() - told >= _TOLD:
                told = time.monotonic()
                progress(f"{vm}: waiting, {error.what}")
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST)
