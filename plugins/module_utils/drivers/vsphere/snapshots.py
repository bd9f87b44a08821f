"""Snapshots: with the memory of a VM that runs, named by the operation that took them.

vCenter lets several snapshots of a VM bear one name. Their id here is the name where one alone bears it, else the name
with vCenter's own id: what is deleted or gone back to is never another one.
"""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .. import snapshot_note
from ..driver import Conflict, Failed, NotFound, Progress, Snapshot, Unknown, Unreachable, silent
from ..snapshot_note import PREFIX
from .connection import Session
from .sdk import vim
from .tasks import Tasks


class Snapshots:
    """The snapshots of the VMs of one site. `obj` is vCenter's reference of a VM."""

    def __init__(self, session: Session, tasks: Tasks) -> None:
        self.session, self.tasks = session, tasks

    def every(self, obj: Any, vm: str) -> list[Snapshot]:
        """A VM's snapshots, oldest first; those of others bear no operation."""
        return _sized(self._tree(obj, vm), self._layouts([obj], vm).get(obj._moId))

    def all(self) -> dict[str, list[Snapshot]]:
        """The snapshots of all VMs of the site by vCenter's id of the VM, oldest first, in two questions: the
        files are asked for where there is a snapshot alone."""
        found = self.session.survey({vim.VirtualMachine: ["snapshot"]}, "list the snapshots")
        layouts = self._layouts([obj for obj, its in found if its.get("snapshot")])
        return {str(obj._moId): _sized(_nodes(its.get("snapshot")), layouts.get(obj._moId)) for obj, its in found}

    def _layouts(self, objects: Sequence[Any], vm: str | None = None) -> dict[str, Any]:
        """The files of VMs by vCenter's id."""
        pairs = self.session.pairs(objects, ["layoutEx"], "look at the files of the snapshots", vm) if objects else []
        return {obj._moId: its["layoutEx"] for obj, its in pairs if "layoutEx" in its}

    def _tree(self, obj: Any, vm: str) -> list[tuple[Snapshot, Any]]:
        found = self.session.properties([obj], ["snapshot"], "list the snapshots", vm)
        return _nodes(found[0].get("snapshot") if found else None)

    def take(
        self, obj: Any, vm: str, operation: str, description: str, hold: bool, running: bool, progress: Progress
    ) -> Snapshot:
        """Take a snapshot with the operation's id in its name; the one that is there already is adopted."""
        found = self._of(obj, vm, operation)
        if found is not None:
            return found
        text = snapshot_note.written(operation, description, hold)
        try:  # with its memory, so that the way back is to the same moment
            self.tasks.run(
                "take a snapshot",
                lambda: obj.CreateSnapshot_Task(PREFIX + operation, text, running, False),
                vm,
                progress,
            )
        except Unknown:  # where vCenter heard us, though its answer was lost, it has the snapshot
            with contextlib.suppress(Unreachable):
                found = self._of(obj, vm, operation)
            if found is None:
                raise
        found = found or self._of(obj, vm, operation)
        if found is not None:
            return found
        raise Failed(
            "vCenter reported the snapshot as taken, yet does not list it",
            site=self.session.site,
            vm=vm,
            todo="Take it again; do not rely on this one",
        )

    def _of(self, obj: Any, vm: str, operation: str) -> Snapshot | None:
        """The snapshot that an operation took."""
        return next((one for one in self.every(obj, vm) if one.operation == operation), None)

    def reference(self, obj: Any, vm: str, prefix: str, text: str) -> Any:
        """vCenter's reference of the one snapshot whose name begins so and that says so. Raises Failed."""
        tree = self._tree(obj, vm)
        nodes = [node for found, node in tree if found.id.startswith(prefix) and found.description == text]
        if len(nodes) == 1:
            return nodes[0].snapshot
        raise Failed(
            f"vCenter reported the snapshot '{prefix}…' as taken, and lists {len(nodes)} of them",
            site=self.session.site,
            vm=vm,
            todo="Run again",
        )

    def delete(self, obj: Any, vm: str, snapshot: Snapshot, progress: Progress = silent) -> None:
        """Delete one snapshot; its children stay. Deleting one that is gone is fine."""
        doing = f"delete the snapshot '{snapshot.id}'"
        node = self._find(obj, vm, snapshot)
        if node is None:
            return
        self.tasks.run(doing, lambda: node.snapshot.RemoveSnapshot_Task(False), vm, progress)
        if self._find(obj, vm, snapshot) is not None:
            raise Failed(
                f"vCenter reported the snapshot '{snapshot.id}' as deleted, yet still lists it",
                site=self.session.site,
                vm=vm,
                todo="Look at the VM's tasks; space may still be held",
            )
        found = self.session.properties([obj], ["runtime.consolidationNeeded"], doing, vm)
        if found and found[0].get("runtime.consolidationNeeded"):
            raise Conflict(
                f"the snapshot '{snapshot.id}' is deleted, and its disks are not merged: they still grow",
                site=self.session.site,
                vm=vm,
                todo="Consolidate the VM's disks in vCenter",
            )

    def revert(self, obj: Any, vm: str, snapshot: Snapshot, progress: Progress) -> bool:
        """Bring the VM back to `snapshot`. Returns whether it ran then."""
        node = self._find(obj, vm, snapshot)
        if node is None:
            raise NotFound(
                f"unable to find the snapshot '{snapshot.id}'; nothing was changed",
                site=self.session.site,
                vm=vm,
                todo="List its snapshots with muster.fleet.vm_snapshot",
            )
        doing = f"revert to the snapshot '{snapshot.id}'"
        progress(f"{vm}: going back to {snapshot.id}")
        self.tasks.run(doing, lambda: node.snapshot.RevertToSnapshot_Task(None, False), vm, progress)
        found = self.session.properties([obj], ["snapshot.currentSnapshot"], doing, vm)
        if not found or found[0].get("snapshot.currentSnapshot") != node.snapshot:
            raise Failed(
                f"unable to {doing}: vCenter reported it as done, yet the VM is not at it",
                site=self.session.site,
                vm=vm,
                todo="Run again; do not rely on the VM's disks before",
            )
        return bool(node.state == "poweredOn")

    def _find(self, obj: Any, vm: str, snapshot: Snapshot) -> Any:
        return next((node for found, node in self._tree(obj, vm) if snapshot.id in (found.id, _whole(node))), None)


def _nodes(info: Any) -> list[tuple[Snapshot, Any]]:
    """The snapshots of a VM, with vCenter's own of each; parents come before their children."""
    nodes: list[tuple[Any, Any]] = [(node, None) for node in (info.rootSnapshotList if info else ())]
    for node, _parent in nodes:  # it grows
        nodes += [(child, node) for child in node.childSnapshotList or ()]
    names = collections.Counter(str(node.name) for node, _parent in nodes)

    def id_(node: Any) -> str:
        return str(node.name) if names[str(node.name)] == 1 else _whole(node)

    return [(_read(node, id_(node), id_(parent) if parent else None), node) for node, parent in nodes]


def _sized(nodes: Sequence[tuple[Snapshot, Any]], layout: Any) -> list[Snapshot]:
    """The snapshots with their sizes, oldest first."""
    known = sizes(layout) if layout is not None else {}
    return snapshot_note.oldest_first(replace(found, size=known.get(node.snapshot._moId)) for found, node in nodes)


def sizes(layout: Any) -> dict[str, int]:
    """What each snapshot holds, in bytes, by vCenter's id: its memory, and of each disk the next files after its own,
    which take what was written since. `layout` is the VM's ``layoutEx``."""
    bytes_of = {file.key: int(file.size or 0) for file in layout.file}
    taken = {one.key._moId: _chains(one.disk) for one in layout.snapshot}
    states = [*taken.values(), _chains(layout.disk)]
    found = {}
    for one in layout.snapshot:
        held = {one.dataKey, one.memoryKey}
        for disk, chain in taken[one.key._moId].items():
            later = [state[disk] for state in states if chain < state.get(disk, frozenset())]
            held.update(*(state - chain for state in later if not any(other < state for other in later)))
        found[one.key._moId] = sum(bytes_of.get(key, 0) for key in held)
    return found


def _chains(disks: Any) -> dict[int, frozenset[int]]:
    """The files that make up each disk."""
    return {disk.key: frozenset(key for unit in disk.chain for key in unit.fileKey) for disk in disks}


def _whole(node: Any) -> str:
    return f"{node.name} ({node.snapshot._moId})"


def _read(node: Any, id_: str, parent: str | None) -> Snapshot:
    created, text = node.createTime.timestamp(), str(node.description or "")
    return snapshot_note.read(str(node.name), created, text, parent, id_)
