"""Values in words that people read: sizes, durations and times, and text from outside that is safe to show."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

# Control characters but for the line break and the tab, zero-width and direction marks, and halves of characters.
_ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def printable(value: Any) -> str:
    """`value` as text in which nothing acts: control characters, direction marks and halves of characters become
    U+FFFD, so that a guest's host name can neither paint over a terminal nor turn a line around."""
    return _ACTS.sub("\ufffd", str(value))


def one_line(value: Any) -> str:
    """`value` as text on one line in which nothing acts."""
    return printable(value).replace("\n", " ").replace("\t", " ")


def human_size(size: float) -> str:
    """`size` bytes, rounded for people: ``497 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"


def human_duration(seconds: float) -> str:
    """`seconds`, rounded for people: ``4.2 s``, ``35 s``, ``2 min 5 s``, ``24 h``, ``7 d``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s" if seconds % 1 else f"{seconds:.0f} s"
    whole = round(seconds)
    for unit, length, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= 2 * length or (whole >= length and unit != "d"):
            rest = whole % length // part
            return f"{whole // length} {unit}{f' {rest} {smaller}' if rest else ''}"
    return f"{whole} s"


def human_time(value: Any) -> str:
    """A time in ISO 8601 as ``2026-01-31 12:00 UTC``; anything else as it is."""
    try:
        moment = datetime.fromisoformat(str(value)[:64])
    except ValueError:
        return printable(value)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    except OverflowError:
        return printable(value)
