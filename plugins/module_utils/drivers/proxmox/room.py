"""What VMs need of the site, looked for before anything changes: its storages, their room, its bridges.

Proxmox lets a thin storage promise more than it has, and so do we: of its disks only what is written at once must find
room. On a thick one (LVM, ZFS that is not sparse) each disk takes its whole size from the first moment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...model.errors import nearest
from ...model.units import format_size
from ...model.vm import VM
from ..driver import Conflict, NotFound
from ..refusal import named
from .connection import Api


@dataclass(frozen=True)
class Need:
    """Bytes that a disk of `vm` takes in a storage: `size` in all, `written` at once. `node` is empty where nobody can
    say yet on which one it is made."""

    vm: str
    node: str
    storage: str
    size: int
    written: int = 0


class Room:
    """What one site has, asked once in a session."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._defined: Mapping[str, Mapping[str, Any]] | None = None
        self._bridges: dict[str, set[str]] = {}

    def check(self, vm: VM, pools: Iterable[str], node: str) -> None:
        """Raise Conflict for a storage that takes no disks, or a bridge that `node` has not, with the nearest name."""
        known = set(self._storages(vm.name))
        for pool in pools:
            if pool not in known:
                raise self._lacks(vm, f"no storage '{pool}' for disks", pool, known)
        wanted = [str(nic["network"]) for nic in vm["nics"] or ()]
        if wanted and node not in self._bridges:
            there = self.api.get(f"nodes/{node}/network", "list the bridges", vm.name, type="any_bridge")
            self._bridges[node] = {str(one["iface"]) for one in there}
        for name in wanted:
            if name not in self._bridges[node]:
                raise self._lacks(vm, f"no bridge '{name}' on node '{node}'", name, self._bridges[node])

    def shared(self, storage: str, vm: str) -> bool:
        """Whether all nodes see the same storage of this name."""
        return bool(self._storages(vm).get(storage, {}).get("shared"))

    def _storages(self, vm: str) -> Mapping[str, Mapping[str, Any]]:
        """The storages for disks, as the cluster defines them, by name."""
        if self._defined is None:
            self._defined = {
                str(one["storage"]): one
                for one in self.api.get("storage", "list the storages", vm)
                if "images" in str(one.get("content", "")).split(",") and not one.get("disable")
            }
        return self._defined

    def space(self, needs: Iterable[Need], nodes: Sequence[str], left: str = "nothing was changed") -> None:
        """Raise NotFound for a storage that is not active there, Conflict where one has not the room for all of `needs`
        together, with what is needed and free. `nodes` are those that are online: where nobody can say on which a VM is
        made, the storage of any of them does."""
        wanted: dict[tuple[str, str], list[Need]] = defaultdict(list)
        for need in needs:
            wanted[need.storage, ""].append(need)  # of all nodes together
            if need.node and not self.shared(need.storage, need.vm):
                wanted[need.storage, need.node].append(need)
        free: dict[str, Mapping[str, int]] = {}  # of each node that was asked
        lacking: list[tuple[str, str, int, set[str]]] = []
        for (storage, node), its in sorted(wanted.items(), reverse=True):  # what is of one node before what is of all
            if node == "" and storage in {told for told, *_more in lacking}:
                continue
            one = self._storages(its[0].vm).get(storage, {})
            for place in (node,) if node else nodes:
                if place not in free:
                    free[place] = self._free(place, its[0].vm)
            there = [free[place][storage] for place in ((node,) if node else nodes) if storage in free[place]]
            if not there:
                raise self._inactive(storage, node, free[node or nodes[0]], its[0].vm, left)
            has = max(there, default=0) if one.get("shared") else sum(there)
            size = sum(need.size if _thick(one) else need.written for need in its)
            asking = {need.vm for need in its if need.size > 0}
            if asking and (size > has or not has):
                where = f"'{storage}'" + (f" on node '{node}'" if node else "")
                what = f"the storage {where} has {format_size(has)} free"
                lacking.append((storage, what, size, asking))
        if lacking:
            raise self._full(lacking, left)

    def _free(self, node: str, vm: str) -> Mapping[str, int]:
        """Bytes that are free in the active storages of a node, by name."""
        found = self.api.get(f"nodes/{node}/storage", "look for room in the storages", vm, content="images")
        return {str(one["storage"]): int(one.get("avail") or 0) for one in found if one.get("active")}

    def _inactive(self, storage: str, node: str, there: Iterable[str], vm: str, left: str) -> NotFound:
        where = f"the node '{node}' has" if node else "no node has"
        return NotFound(
            f"{where} {'no' if node else 'an'} active storage '{storage}' for disks; there are "
            + (", ".join(sorted(there)) or "none")
            + f"; {left}",
            site=self.api.site,
            vm=vm,
            todo="Name another pool in the fleet file, or let that storage take disk images",
        )

    def _full(self, lacking: Sequence[tuple[str, str, int, set[str]]], left: str) -> Conflict:
        vms = sorted(set[str]().union(*(names for *_what, names in lacking)))
        told = []
        for _storage, has, size, names in sorted(lacking):
            who = "it needs" if len(vms) == 1 else f"{named(sorted(names))} need{'s' if len(names) == 1 else ''}"
            told.append(f"{has}, and {who} {format_size(size) if size else 'some'} there")
        return Conflict(
            f"{'; '.join(told)}; {left}",
            site=self.api.site,
            vm=vms[0] if len(vms) == 1 else None,
            todo="Free space there, or name another pool in the fleet file",
        )

    def _lacks(self, vm: VM, what: str, name: str, known: set[str]) -> Conflict:
        return Conflict(
            f"the site has {what} ({nearest(name, known).rstrip('?')}); nothing was changed",
            site=self.api.site,
            vm=vm.name,
            todo="Mend the fleet file, or give the site what is missing",
        )


def _thick(storage: Mapping[str, Any]) -> bool:
    """Whether a disk takes its whole size of a storage at once."""
    return storage.get("type") == "lvm" or (storage.get("type") == "zfspool" and not storage.get("sparse"))
