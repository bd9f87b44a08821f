"""Long steps say that they move: one line at the start, one every few seconds, one at the end."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools.errors import ToolError

EVERY = 5.0  # seconds between two lines of one step
PATIENCE = 20.0  # seconds that an interrupted program has to clean up
_PR_SET_PDEATHSIG = 1


class Progress:
    """Prints ``<subject>: <step>, <n> s`` to standard error while a step lasts."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.step = ""
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        print(f"{self.subject}: {text}", file=sys.stderr, flush=True)

    @contextmanager
    def during(self, step: str) -> Iterator[None]:
        """Say ``step`` now and then every few seconds until the block ends, with the seconds since the start."""
        self.step = step
        over = threading.Event()

        def tick() -> None:
            while True:
                self.say(f"{self.step}, {time.monotonic() - self._began:.0f} s")
                if over.wait(EVERY):
                    return

        ticker = threading.Thread(target=tick, daemon=True)
        ticker.start()
        try:
            yield
        finally:
            over.set()
            ticker.join()


def _die_with_parent() -> None:
    """A builder that is killed must not leave its children at work."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def _end(child: subprocess.Popen[str]) -> None:
    """Ask a program and all that it started to end, as Ctrl-C does; what does not listen is killed."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        try:
            # Its output is read meanwhile: a program that cannot write cannot clean up either.
            child.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            continue
        return


def run(argv: Sequence[str], log: Path, on_line: Callable[[str], None] | None = None) -> None:
    """Run ``argv``, append its output to ``log``; an exit code that is not 0 raises ToolError with the last lines."""
    tail: deque[str] = deque(maxlen=8)
    with log.open("a", encoding="utf-8") as out:
        out.write(f"$ {' '.join(argv)}\n")
        try:
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                process_group=0,
                preexec_fn=_die_with_parent,
            )
        except FileNotFoundError:
            raise ToolError(f"{argv[0]} is not installed; run 'make install', which installs it.") from None
        assert child.stdout is not None
        try:
            for line in child.stdout:
                out.write(line)
                if line.strip():
                    tail.append(line.rstrip())
                if on_line:
                    on_line(line)
            code = child.wait()
        except BaseException:
            _end(child)
            raise
    if code != 0:
        lines = "\n  ".join(tail)
        raise ToolError(f"{argv[0]} ended with exit code {code}; the whole output is in {log}. Its end:\n  {lines}")
