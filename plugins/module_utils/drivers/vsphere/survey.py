"""What a site has beside its VMs: the capacity of its hosts and datastores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...model.vm import VM
from ..driver import HostCapacity, PoolCapacity, Survey
from .connection import Session
from .sdk import vim
from .site import Places


def take(session: Session, places: Places, pools: Iterable[str], vms: Sequence[VM]) -> Survey:
    """Survey the hosts that are connected, and the datastores `pools`. Which disks nobody uses stays unknown: vCenter
    tells files folder by folder alone, and a file may be used by another vCenter."""
    kinds = {
        vim.HostSystem: [
            "name", "runtime.connectionState", "summary.hardware.numCpuThreads", "summary.hardware.memorySize",
        ],
        vim.Datastore: ["name", "summary.capacity", "summary.freeSpace", "summary.accessible"],
    }
    found = session.survey(kinds, "survey the hosts and datastores")
    near = {store for cluster in places.clusters() for store in cluster.datastores.values()}
    hosts = [one for obj, one in found if isinstance(obj, vim.HostSystem) and places.hold({"runtime.host": obj})]
    stores = {str(one["name"]): one for obj, one in found if obj in near}
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
        pools=tuple(
            PoolCapacity(
                name,
                int(stores[name].get("summary.capacity") or 0),
                int(stores[name].get("summary.freeSpace") or 0),
                sum(int(disk["size"]) for vm in vms for disk in vm["disks"] or () if disk.get("pool") == name),
            )
            for name in sorted({*pools} & stores.keys())
            if stores[name].get("summary.accessible") is not False
        ),
        placed={str(vm.uuid): str(vm.state["host"]) for vm in vms if vm.state.get("host")},
        loose=None,
    )
