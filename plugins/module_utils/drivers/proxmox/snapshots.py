"""Snapshots of Proxmox: with the memory of a VM that runs, named by the operation that took them."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from .. import snapshot_note
from ..driver import Conflict, Failed, NotFound, Progress, Snapshot
from ..snapshot_note import PREFIX
from .connection import Api
from .tasks import Tasks

_LONGEST = 40  # characters of a snapshot's name


def name_of(operation: str) -> str:
    """The name of an operation's snapshot: its id, shortened to what Proxmox takes where that is too long."""
    name = PREFIX + re.sub(r"[^A-Za-z0-9_-]", "-", operation)
    if name == PREFIX + operation and len(name) <= _LONGEST:
        return name
    return f"{name[: _LONGEST - 9]}-{hashlib.sha256(operation.encode()).hexdigest()[:8]}"


def every(api: Api, path: str, vm: str) -> list[Snapshot]:
    """A VM's snapshots, oldest first; those of others bear no operation."""
    found = []
    for one in api.get(f"{path}/snapshot", "list the snapshots", vm):
        if one.get("name") != "current":
            found.append(_read(one))
    return snapshot_note.oldest_first(found)


def _read(one: dict[str, Any]) -> Snapshot:
    text, parent = str(one.get("description") or "").rstrip("\n"), one.get("parent") or None
    return snapshot_note.read(str(one.get("name") or ""), int(one.get("snaptime") or 0), text, parent)


def take(
    api: Api,
    tasks: Tasks,
    path: str,
    vm: str,
    operation: str,
    description: str,
    hold: bool,
    running: bool,
    progress: Progress,
) -> Snapshot:
    """Take a snapshot with the operation's id in its name; the one that is there already is adopted."""
    name = name_of(operation)
    for snapshot in every(api, path, vm):
        if snapshot.id == name:
            return snapshot
    text = snapshot_note.written(operation, description, hold)

    def act() -> None:
        upid = api.post(
            f"{path}/snapshot",
            "take a snapshot",
            vm,
            snapname=name,
            description=text,
            vmstate=1 if running else None,  # with its memory, so that the way back is to the same moment
        )
        tasks.finish(upid, "take a snapshot", vm, progress)

    tasks.patiently(act, vm, progress, path)
    for snapshot in every(api, path, vm):
        if snapshot.id == name:
            return snapshot
    raise Failed(
        "Proxmox reported the snapshot as taken, yet does not list it",
        site=api.site,
        vm=vm,
        todo="Take it again; do not rely on this one",
    )


def delete(api: Api, tasks: Tasks, path: str, vm: str, snapshot: Snapshot, progress: Progress) -> None:
    """Delete one snapshot; its children stay. Deleting one that is gone is fine."""
    doing = f"delete the snapshot '{snapshot.id}'"

    def act() -> None:
        tasks.finish(api.delete(f"{path}/snapshot/{snapshot.id}", doing, vm), doing, vm, progress)

    if any(one.id == snapshot.id for one in every(api, path, vm)):
        tasks.patiently(act, vm, progress, path)
        if any(one.id == snapshot.id for one in every(api, path, vm)):
            raise Failed(
                f"Proxmox reported the snapshot '{snapshot.id}' as deleted, yet still lists it",
                site=api.site,
                vm=vm,
                todo="Look at the VM's tasks; space may still be held",
            )


def revert(api: Api, tasks: Tasks, path: str, vm: str, snapshot: Snapshot, progress: Progress) -> bool:
    """Bring the VM back to `snapshot`. Returns whether it ran then."""
    listed = {one.get("name"): one for one in api.get(f"{path}/snapshot", "list the snapshots", vm)}
    there = listed.get(snapshot.id)
    if there is None or snapshot.id == "current":
        raise NotFound(
            f"unable to find the snapshot '{snapshot.id}'; nothing was changed",
            site=api.site,
            vm=vm,
            todo="List its snapshots with muster.fleet.vm_snapshot",
        )
    if there.get("snapstate"):
        raise Conflict(
            f"the snapshot '{snapshot.id}' is not whole ({there['snapstate']}), so nothing was changed",
            site=api.site,
            vm=vm,
            todo="Delete it, or restore the VM from a restore point",
        )
    doing = f"revert to the snapshot '{snapshot.id}'"
    progress(f"{vm}: going back to {snapshot.id}")

    def act() -> None:
        tasks.finish(api.post(f"{path}/snapshot/{snapshot.id}/rollback", doing, vm), doing, vm, progress)

    tasks.patiently(act, vm, progress, path)
    return bool(there.get("vmstate"))
