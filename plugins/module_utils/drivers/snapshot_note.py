"""What a snapshot says of itself: its operation stands in its name and, with the rest, as JSON in its description."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from .driver import Snapshot

PREFIX = "muster-"


def written(operation: str, description: str, hold: bool) -> str:
    """The description of a snapshot of Muster."""
    return json.dumps({"operation": operation, "description": description, "hold": hold})


def read(name: str, created: float, text: str, parent: str | None, id_: str = "") -> Snapshot:
    """A snapshot of what the platform says of it; `id_` is its name where no other is given. Those of others bear no
    operation."""
    ours: dict[str, Any] = {}
    if name.startswith(PREFIX):
        try:
            loaded = json.loads(text)
            ours = loaded if isinstance(loaded, dict) else {}
        except (ValueError, RecursionError):
            ours = {}
    return Snapshot(
        id_ or name,
        int(created),
        str(ours.get("operation", "")),
        str(ours.get("description", "")) if ours else text,
        parent,
        ours.get("hold") is True,
    )


def oldest_first(found: Iterable[Snapshot]) -> list[Snapshot]:
    """In the order of their making; of several within one second a parent comes before its children."""
    found = list(found)
    parents = {snapshot.id: snapshot.parent for snapshot in found}

    def depth(id_: str | None) -> int:
        count = 0
        while id_ in parents and count < len(parents):
            id_, count = parents[id_], count + 1
        return count

    return sorted(found, key=lambda snapshot: (snapshot.created, depth(snapshot.id)))
