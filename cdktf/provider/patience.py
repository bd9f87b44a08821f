"""How long an operation may take: until it is done, until its time is over, or until somebody presses Ctrl-C.

An operation hears of it when it next reports progress. One that does not report, because the site it asks keeps silent,
is left behind after a moment: its outcome is then unknown, and the next run looks at what is there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from typing import TYPE_CHECKING, TypeVar

from muster.model.units import format_duration

from .log import log
from .timeouts import Limit

if TYPE_CHECKING:
    from muster.drivers.driver import Failed, Progress

Result = TypeVar("Result")
GRACE = 5.0  # seconds that an operation has to hear that it shall end
_LOOK = 0.2  # seconds between two looks at whether it shall


class Patience:
    """That of one run."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def ask(self) -> None:
        """Terraform asks the provider to stop."""
        self._asked.set()

    def run(self, site: str, vm: str, limit: Limit, work: Callable[[Progress], Result]) -> Result:
        """`work` on one VM with a `Progress` that logs. Raises what it raises, and Failed where it had to end."""
        end = None if limit.seconds is None else time.monotonic() + limit.seconds

        def report(message: str) -> None:
            log(message)
            if self._over(end):
                raise self._failed(site, vm, limit, "what is made stays")

        if self._over(end):
            raise self._failed(site, vm, limit, "nothing was begun")
        done: Future[Result] = Future()

        def body() -> None:
            try:
                done.set_result(work(report))
            except BaseException as error:
                done.set_exception(error)

        threading.Thread(target=body, name=f"operation on {vm}", daemon=True).start()
        over: float | None = None
        while True:
            try:
                return done.result(_LOOK)
            except NotYet:
                if done.done():  # it raised such an error itself
                    raise
                if not self._over(end):
                    continue
                over = time.monotonic() if over is None else over
                if time.monotonic() - over > GRACE:
                    raise self._failed(site, vm, limit, "it still goes on, so its outcome is not known") from None

    def _over(self, end: float | None) -> bool:
        return self._asked.is_set() or (end is not None and time.monotonic() > end)

    def _failed(self, site: str, vm: str, limit: Limit, left: str) -> Failed:
        from muster.drivers.driver import Failed

        if self._asked.is_set():
            what, more = "the run was interrupted", ""
        else:
            what = f"it was not done within {format_duration(limit.seconds or 0)}"
            more = f", or give it more time with {limit.setting}"
        return Failed(f"{what}; {left}", site=site, vm=vm,
                      todo=f"Apply again: it carries on with what it finds{more}")
