"""Sizes and durations as people write them, and as Muster keeps them.

Normal form: a size is an int of bytes, a duration is an int of seconds.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([kKMGTP]?i?[bB]?)")
_DURATION = re.compile(r"(?:[0-9]{1,10}\s*[smhdw]\s*)+")
_DURATION_PART = re.compile(r"([0-9]{1,10})\s*([smhdw])")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_MAX_SIZE = 1 << 60


def parse_size(value: object) -> int:
    """Bytes of `value`: an int of bytes, or text such as ``2 GiB``, ``512MiB``, ``10 GB``.

    ``GiB`` is 1024³ and ``GB`` is 1000³, as IEC 80000-13 has it. Raises ValueError with a sentence.
    """
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError(f"{value!r} is not a size; write a number with a unit, such as '2 GiB'")
    if isinstance(value, int):
        size = value
    else:
        match = _SIZE.fullmatch(value.strip())  # blanks around it in the pattern would take quadratic time
        if not match:
            raise ValueError(f"'{value:.40}' is not a size; write a number with a unit, such as '2 GiB'")
        number, unit = match.groups()
        unit = unit.lower().removesuffix("b")
        base = 1024 if unit.endswith("i") else 1000
        size = int(float(number) * base ** _POWERS[unit.removesuffix("i")])
    if not 0 < size <= _MAX_SIZE:
        raise ValueError(f"'{value!s:.40}' is out of range; a size lies between 1 B and 1 EiB")
    return size


def format_size(size: int) -> str:
    """`size` bytes for people, exact: the largest binary unit that divides it, else the bytes."""
    for power, unit in ((5, "PiB"), (4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if size and size % 1024**power == 0:
            return f"{size // 1024**power} {unit}"
    return f"{size} B"


def parse_duration(value: object) -> int:
    """Seconds of `value`: an int of seconds, or text such as ``15m``, ``24h``, ``1d 12h``. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError(f"{value!r} is not a duration; write a number with a unit, such as '24h'")
    if isinstance(value, int):
        seconds = value
    elif value.isascii() and value.strip().isdigit() and len(value) < 12:
        seconds = int(value)
    elif _DURATION.fullmatch(value.strip()):
        seconds = sum(int(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(value))
    else:
        raise ValueError(f"'{value:.40}' is not a duration; write a number with a unit, such as '24h'")
    if not 0 < seconds <= 3_155_760_000:
        raise ValueError(f"'{value!s:.40}' is out of range; a duration lies between 1 s and 100 years")
    return seconds


def format_duration(seconds: int) -> str:
    """`seconds` for people, exact: ``90m``, ``24h``, ``7d``; the largest unit that divides it."""
    for unit in ("w", "d", "h", "m"):
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{seconds // _SECONDS[unit]}{unit}"
    return f"{seconds}s"


def format_time(seconds: float) -> str:
    """Epoch `seconds` as rules and reports have a time: ``2026-01-31T12:00:00Z``."""
    return datetime.fromtimestamp(float(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
