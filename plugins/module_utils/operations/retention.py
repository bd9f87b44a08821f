"""Which restore points and snapshots are kept. Pure: times in, names out. What is in doubt is kept."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..drivers.driver import Snapshot
from .repository import RestorePoint

_PERIODS: dict[str, Callable[[datetime.datetime], str]] = {
    "daily": lambda time: time.strftime("%Y-%m-%d"),
    "weekly": lambda time: time.strftime("%G-%V"),
    "monthly": lambda time: time.strftime("%Y-%m"),
}


def kept_points(points: Sequence[RestorePoint], keep: Mapping[str, Any] | None, taken: str | None = None) -> set[str]:
    """Ids of the restore points to keep: the newest always, those that `keep` asks for, and all that these build upon.
    `taken` was taken just now and is kept too: a clock that went back makes it look older than the others.

    Without a policy everything is kept: an empty one never means "delete all".
    """
    counts = {name: int(count) for name, count in (keep or {}).items() if count}
    if not counts or not points:
        return {point.id for point in points}
    newest = sorted(points, key=lambda point: point.created, reverse=True)
    kept = {point.id for point in newest[: max(1, counts.get("last", 0))]}
    for name, period in _PERIODS.items():
        seen: list[str] = []
        for point in newest:
            label = period(datetime.datetime.fromtimestamp(point.created, datetime.UTC))
            if label not in seen:
                if len(seen) == counts.get(name, 0):
                    break
                seen.append(label)
                kept.add(point.id)
    by_id = {point.id: point for point in points}
    if taken in by_id:
        kept.add(taken)
    for id_ in list(kept):
        parent = by_id[id_].parent
        while parent is not None and parent in by_id and parent not in kept:
            kept.add(parent)
            parent = by_id[parent].parent
    return kept


def doomed_snapshots(snapshots: Sequence[Snapshot], count: int | None, age: int | None, now: float) -> list[Snapshot]:
    """Muster's own snapshots beyond the newest `count`, or older than `age` seconds; one on hold never, nor a foreign
    one. With neither bound, none."""
    own = sorted(
        (snapshot for snapshot in snapshots if snapshot.operation and not snapshot.hold),
        key=lambda snapshot: snapshot.created,
    )[::-1]  # of one second, those that come later in the list are the newer ones
    return [
        snapshot
        for index, snapshot in enumerate(own)
        if (count is not None and index >= count) or (age is not None and now - snapshot.created > age)
    ][::-1]
