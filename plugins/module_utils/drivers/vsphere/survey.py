"""What a site has beside its VMs: the capacity of its hosts and datastores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...model.vm import VM
from ..driver import HostCapacity, PoolCapacity, Survey, Together
from .connection import Session
from .sdk import vim
from .site import Cluster, Places


def take(session: Session, places: Places, pools: Iterable[str], vms: Sequence[VM]) -> Survey:
    """Survey the hosts that are connected, and the datastores `pools` and those of the VMs. Which disks nobody uses
    stays unknown: vCenter tells files folder by folder alone, and a file may be used by another vCenter."""
    kinds = {
        vim.Datacenter: ["name"],
        vim.HostSystem: [
            "name", "runtime.connectionState", "summary.hardware.numCpuThreads", "summary.hardware.memorySize",
        ],
        vim.Datastore: ["name", "summary.capacity", "summary.freeSpace", "summary.accessible",
                        "summary.multipleHostAccess"],
    }
    found = session.survey(kinds, "survey the hosts and datastores")
    hosts = [one for obj, one in found if isinstance(obj, vim.HostSystem) and places.hold({"runtime.host": obj})]
    return Survey(
        hosts=tuple(
            HostCapacity(
                str(one["name"]),
                int(one.get("summary.hardware.numCpuThreads") or 0),
                int(one.get("summary.hardware.memorySize") or 0),
            )
            for one in sorted(hosts, key=lambda one: str(one["name"]))
            if one.get("runtime.connectionState") == "connected"
        ),
        pools=_pools(dict(found), places.clusters(), pools, vms),
        placed={str(vm.uuid): str(vm.state["host"]) for vm in vms if vm.state.get("host")},
        loose=None,
        notes=(f"Not seen at site '{session.site}': backups. vCenter does not know of them; a VM counts as backed up "
               "where Muster did it, or where a custom attribute tells of its last backup.",),
        clusters=tuple(
            Together(one.name, len(one.hosts), one.care.ha)
            for one in sorted(places.clusters(), key=lambda one: one.name)
            if one.hosts
        ),
    )


def _pools(
    found: Mapping[Any, Mapping[str, Any]], clusters: Sequence[Cluster], pools: Iterable[str], vms: Sequence[VM]
) -> tuple[PoolCapacity, ...]:
    """The datastores that are in use and can be reached. Two datacenters may each have one of a name."""
    promised = _promised(clusters, pools, vms)
    centers = {store: one.datacenter for one in clusters for store in one.datastores.values()}
    stores = {store: found[store] for store in promised if store in found}
    stores = {store: one for store, one in stores.items() if one.get("summary.accessible") is not False}
    names = Counter(str(one["name"]) for one in stores.values())

    def title(store: Any) -> str:
        name = str(stores[store]["name"])
        return name if names[name] == 1 else f"{name} in {found.get(centers[store], {}).get('name', '')}"

    return tuple(
        PoolCapacity(
            title(store),
            int(one.get("summary.capacity") or 0),
            int(one.get("summary.freeSpace") or 0),
            promised[store],
            one.get("summary.multipleHostAccess"),
        )
        for store, one in sorted(stores.items(), key=lambda pair: title(pair[0]))
    )


def _promised(clusters: Sequence[Cluster], pools: Iterable[str], vms: Sequence[VM]) -> dict[Any, int]:
    """What the disks of the VMs may grow to in each datastore, in bytes; `pools` are there without any disk, too. A VM
    whose host is not shown counts where but one datastore has the name."""
    found = {one.datastores[name]: 0 for name in pools for one in clusters if name in one.datastores}
    at = {host: [one] for one in clusters for host in one.hosts}
    for vm in vms:
        near = at.get(str(vm.state["host"]), []) if vm.state.get("host") else clusters
        for disk in vm["disks"] or ():
            stores = {one.datastores[disk["pool"]] for one in near if disk.get("pool") in one.datastores}
            if len(stores) == 1:
                (store,) = stores
                found[store] = found.get(store, 0) + int(disk["size"])
    return found
