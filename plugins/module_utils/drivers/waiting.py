"""What another task of the platform holds is waited for, never broken."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from .driver import Locked, Progress

Result = TypeVar("Result")
LONGEST = 2.0  # seconds between two tries; the wait grows up to this
_TOLD = 10.0  # seconds between two words of progress


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
