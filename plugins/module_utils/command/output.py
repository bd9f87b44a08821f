"""Where a report goes: the terminal, or a file that is whole or not there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from ..policy.whole_file import write_whole
from .errors import CannotCheckError


def to_file(path: str, pieces: Iterable[str]) -> None:
    """Write `pieces` into the file at `path`, which keeps what it had until all of it is on the disk. Raises
    CannotCheckError."""
    target = Path(path)
    if target.is_dir():
        raise CannotCheckError(f"{path}: is a folder. Name a file in it.")
    if target.exists() and not target.is_file():
        raise CannotCheckError(f"{path}: is a device or a pipe, and a file would take its place. Leave --output out "
                               "to write to standard output.")
    target = target.resolve()  # a link stays one
    try:
        write_whole(target, pieces, _mode(target))
    except OSError as error:
        raise CannotCheckError(f"{path}: cannot be written: {error.strerror}. It is as it was; make room, or name "
                               "another file in a folder that is there and yours.") from None


def _mode(target: Path) -> int:
    """The permissions that the file has, or that a new one would get."""
    try:
        return target.stat().st_mode & 0o777
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


def to_terminal(pieces: Iterable[str]) -> None:
    """Write `pieces` to standard output. A reader that went away is no error."""
    try:
        sys.stdout.writelines(pieces)
        sys.stdout.flush()
    except BrokenPipeError:
        # What Python would still flush at its end goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise CannotCheckError(f"standard output: cannot be written: {error.strerror}.") from None


def width() -> int:
    """The columns of the terminal; 0 where standard output is none."""
    return min(max(os.get_terminal_size(sys.stdout.fileno()).columns, 40), 120) if sys.stdout.isatty() else 0


def colour() -> bool:
    """Whether colours are shown: on a terminal that can, unless NO_COLOR is set."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
