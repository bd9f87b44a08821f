"""Snapshots: with the memory of a VM that runs, named by the operation that took them.

vCenter lets several snapshots of a VM bear one name. Their id here is the name where one alone bears it, else the name
with vCenter's own id: what is deleted or gone back to is never another one.
"""

from __future__ import annotations

import collections
from typing import Any

from .. import snapshot_note
from ..driver import Conflict, Failed, NotFound, Progress, Snapshot
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
        return snapshot_note.oldest_first(found for found, _node in self._tree(obj, vm))

    def all(self) -> dict[str, list[Snapshot]]:
        """The snapshots of all VMs of the site by vCenter's id of the VM, oldest first, in one conversation."""
        found = self.session.survey({vim.VirtualMachine: ["snapshot"]}, "list the snapshots")
        return {
            str(obj._moId): snapshot_note.oldest_first(one for one, _node in _nodes(its.get("snapshot")))
            for obj, its in found
        }

    def _tree(self, obj: Any, vm: str) -> list[tuple[Snapshot, Any]]:
        found = self.session.properties([obj], ["snapshot"], "list the snapshots", vm)
        return _nodes(found[0].get("snapshot") if found else None)

    def take(self, obj: Any, vm: str, operation: str, description: str, hold: bool, running: bool) -> Snapshot:
        """Take a snapshot with the operation's id in its name; the one that is there already is adopted."""
        for snapshot in self.every(obj, vm):
            if snapshot.operation == operation:
                return snapshot
        text = snapshot_note.written(operation, description, hold)
        # With its memory, so that the way back is to the same moment.
        self.tasks.run(
            "take a snapshot", lambda: obj.CreateSnapshot_Task(PREFIX + operation, text, running, False), vm
        )
        for snapshot in self.every(obj, vm):
            if snapshot.operation == operation:
                return snapshot
        raise Failed(
            "vCenter reported the snapshot as taken, yet does not list it",
            site=self.session.site,
            vm=vm,
            todo="Take it again; do not rely on this one",
        )

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

    def delete(self, obj: Any, vm: str, snapshot: Snapshot) -> None:
        """Delete one snapshot; its children stay. Deleting one that is gone is fine."""
        doing = f"delete the snapshot '{snapshot.id}'"
        node = self._find(obj, vm, snapshot)
        if node is None:
            return
        self.tasks.run(doing, lambda: node.snapshot.RemoveSnapshot_Task(False), vm)
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


def _whole(node: Any) -> str:
    return f"{node.name} ({node.snapshot._moId})"


def _read(node: Any, id_: str, parent: str | None) -> Snapshot:
    created, text = node.createTime.timestamp(), str(node.description or "")
    return snapshot_note.read(str(node.name), created, text, parent, id_)
