"""What a cluster has beside its VMs: the capacity of its nodes and storages, disks whose VM is gone, and backups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ...model.vm import VM
from ..driver import Archive, HostCapacity, LooseDisk, PoolCapacity, Survey, Together
from . import rights
from .archive import described, said_of
from .connection import Api

_NO_BACKUPS = ("The API token may not list them: that takes Datastore.Audit and Datastore.AllocateSpace on /storage "
               "and VM.Backup on /vms, more than the role PVEAuditor has.")
_NO_DISKS = ("The API token may not list them: that takes Datastore.Audit on /storage and VM.Config.Disk on /vms, more "
             "than the role PVEAuditor has.")
_NO_HOSTS = "The API token may not see them: that takes Sys.Audit on /nodes."


def take(api: Api, pools: Iterable[str], vms: Sequence[VM]) -> Survey:
    """Survey the nodes that are online. `pools` are the storages of disks that are looked at."""
    doing, wanted = "survey the nodes and their storages", set(pools)
    nodes = list(api.get("nodes", doing))
    online = sorted(str(one["node"]) for one in nodes if one.get("status") == "online")
    off = sorted(str(one["node"]) for one in nodes if one.get("status") != "online")
    capacities: dict[tuple[str, str], PoolCapacity] = {}
    volumes: dict[str, LooseDisk] = {}
    why = _Unseen(api.site, off)
    for node in online:
        there = {str(one["storage"]): one for one in api.get(f"nodes/{node}/storage", doing, content="images")}
        for name in sorted(wanted & there.keys()):
            if not there[name].get("active"):
                why.disks.append(f"The storage {name} on {node} does not answer.")
                continue
            # A storage of its own on each node bears the same name on all of them.
            place = "" if there[name].get("shared") else node
            capacities[(name, place)] = _capacity(there[name], name, place, vms)
            for volume in api.get(f"nodes/{node}/storage/{name}/content", doing, content="images"):
                volumes[f"{place}/{volume['volid']}"] = _disk(volume, name)
    if not rights.sees_disks(api, wanted - {""}):
        why.disks.append(_NO_DISKS)
    if not all(rights.held(api, f"/nodes/{node}", "Sys.Audit") for node in online):
        why.hosts.append(_NO_HOSTS)
    backups = _backups(api, online, vms, why)
    # Volumes first, guests after them: a VM is there before its disks, so none that is being made looks unused.
    guests = {int(one["vmid"]) for one in api.get("cluster/resources", doing, type="vm")}
    return Survey(
        hosts=tuple(
            HostCapacity(str(one["node"]), int(one.get("maxcpu") or 0), int(one.get("maxmem") or 0))
            for one in sorted(nodes, key=lambda one: str(one["node"]))
            if str(one["node"]) in online
        ),
        pools=tuple(capacities[key] for key in sorted(capacities)),
        placed={str(vm.uuid): str(vm.state["node"]) for vm in vms if vm.state.get("node")},
        loose=None if why.disks else tuple(disk for disk in volumes.values() if owner(disk.name) not in guests),
        backups=backups,
        notes=why.notes(),
        # Proxmox restarts those VMs alone that somebody put under its care.
        clusters=(Together(api.site, len(nodes), any(vm["ha_priority"] == "medium" for vm in vms)),),
    )


class _Unseen:
    """Sentences on why backups and disks were not seen."""

    def __init__(self, site: str, off: Sequence[str]) -> None:
        self.site = site
        nodes = [f"The node {node} does not answer." for node in off]  # what an offline node has nobody can say
        self.disks, self.backups, self.hosts = [*nodes], [*nodes], list[str]()

    def notes(self) -> tuple[str, ...]:
        """What a report says of it, each reason once."""
        what = {"backups": self.backups, "unused disks": self.disks}
        if self.backups == self.disks:
            what = {"backups and unused disks": self.disks}
        what["CPUs and memory of the nodes"] = self.hosts
        return tuple(f"Not seen at site '{self.site}': {name}. {' '.join(dict.fromkeys(why))}"
                     for name, why in what.items() if why)


def _backups(
    api: Api, nodes: Iterable[str], vms: Sequence[VM], why: _Unseen
) -> dict[str, tuple[Archive, ...]] | None:
    """The backups of each VM in the storages of `nodes`, without the VMs whose backups the token may not see;
    None where a storage does not answer that may hold some."""
    doing = "list the backups"
    found: dict[int, dict[str, Archive]] = {}
    storages: set[str] = set()
    for node in nodes:
        for storage in api.get(f"nodes/{node}/storage", doing, content="backup"):
            if not storage.get("active"):
                why.backups.append(f"The storage {storage['storage']} on {node} does not answer.")
                continue
            storages.add(str(storage["storage"]))
            path = f"nodes/{node}/storage/{storage['storage']}/content"
            for volume in api.get(path, doing, content="backup"):
                archive = described(volume, said_of(volume))
                found.setdefault(int(volume.get("vmid") or 0), {})[archive.id] = archive
    whole = not why.backups
    there = [vm for vm in vms if "vmid" in vm.state]
    seen = [vm for vm in there if rights.sees_backups(api, storages, int(vm.state["vmid"]))]
    if len(seen) < len(there):
        why.backups.append(_NO_BACKUPS)
    if not whole:
        return None
    return {
        str(vm.uuid): tuple(sorted(found.get(int(vm.state["vmid"]), {}).values(), key=lambda one: one.created))
        for vm in seen
    }


def _capacity(storage: dict[str, Any], name: str, node: str, vms: Sequence[VM]) -> PoolCapacity:
    promised = sum(
        int(disk.get("size") or 0)
        for vm in vms
        if not node or vm.state.get("node") == node
        for disk in vm["disks"] or ()
        if disk.get("pool") == name
    )
    title = f"{name} on {node}" if node else name
    size, free = (int(storage.get(key) or 0) for key in ("total", "avail"))
    return PoolCapacity(title, size, free, promised, shared=not node)


def _disk(volume: dict[str, Any], pool: str) -> LooseDisk:
    return LooseDisk(str(volume["volid"]).partition(":")[2], pool, int(volume.get("size") or 0))


def owner(volume: str) -> int | None:
    """The number of the guest that a volume was made for; Proxmox puts it into the name."""
    parts = volume.rpartition("/")[2].split("-")
    return int(parts[1]) if len(parts) > 2 and parts[1].isdigit() else None
