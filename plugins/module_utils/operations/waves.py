"""Waves: a few VMs first, the rest only where these went well. Written as Ansible's ``serial``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

from ..model.errors import ModelError, show

Item = TypeVar("Item")
_ENTRY = re.compile(r"([1-9][0-9]{0,5})(%?)")


def waves_of(items: Sequence[Item], sizes: Sequence[str]) -> list[Sequence[Item]]:
    """`items` in waves. A size is a number of items, or a percentage of all, rounded down and at least one; the last
    one is that of every further wave. Without sizes there is one wave. Raises ModelError for what is no size."""
    counts = [_count(size, len(items)) for size in sizes] or [len(items)]
    found: list[Sequence[Item]] = []
    begin = 0
    while begin < len(items):
        end = begin + max(1, counts[min(len(found), len(counts) - 1)])
        found.append(items[begin:end])
        begin = end
    return found


def _count(size: str, of: int) -> int:
    entry = _ENTRY.fullmatch(str(size))
    if entry is None or (entry[2] and int(entry[1]) > 100):
        raise ModelError(f"{show(size)} is no size of a wave; write a number of VMs, such as 1, or a share, as 25%")
    return of * int(entry[1]) // 100 if entry[2] else int(entry[1])
