"""What a VM needs of its site, looked for before anything changes: pools, networks, memory.

Only what is proven to be missing is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...model.errors import nearest
from ...model.units import format_size
from ...model.vm import VM
from ..driver import Conflict
from .connection import code_is, libvirt, told
from .domain import USER_NETWORK


def check(connection: Any, vm: VM, site: str, pools: Iterable[str]) -> None:
    """Raise Conflict for the first thing that `vm` needs and does not find; `pools` are those of its disks."""

    def missing(what: str, todo: str) -> Conflict:
        return Conflict(f"{what}; nothing was changed", site=site, vm=vm.name, todo=todo)

    with told(site, vm.name, "look for what the VM needs"):
        for pool in sorted(set(pools)):
            if _lookup(connection.storagePoolLookupByName, pool, "VIR_ERR_NO_STORAGE_POOL") is None:
                known = [one.name() for one in connection.listAllStoragePools()]
                raise missing(
                    f"the site has no storage pool '{pool}' ({nearest(pool, known)})",
                    "Make it (virsh pool-define-as), or name another in the fleet file",
                )
        for nic in vm["nics"] or ():
            if nic["network"] != USER_NETWORK:
                _network(connection, nic, vm["power"] != "off", missing)
        memory = connection.getInfo()[1] << 20
    if vm["memory"] and vm["memory"] > memory and connection.getType() != "TEST":
        raise missing(
            f"it asks for {format_size(vm['memory'])} of memory, and the host has {format_size(memory)} in all",
            "Give it less, or place it at another site",
        )


def _network(connection: Any, nic: Mapping[str, Any], on: bool, missing: Any) -> None:
    network = _lookup(connection.networkLookupByName, nic["network"], "VIR_ERR_NO_NETWORK")
    if network is None:
        known = [USER_NETWORK, *(one.name() for one in connection.listAllNetworks())]
        raise missing(
            f"its NIC '{nic['name']}' names the network '{nic['network']}', which the site does not have "
            f"({nearest(nic['network'], known)})",
            "Make it (virsh net-define), or name another in the fleet file",
        )
    if on and not network.isActive():
        raise missing(
            f"its NIC '{nic['name']}' is on the network '{nic['network']}', which is not active",
            f"Start it (virsh net-start {nic['network']}), then run again",
        )


def _lookup(find: Any, name: str, absent: str) -> Any | None:
    """What libvirt has under `name`; None where it is proven not to be there."""
    try:
        return find(name)
    except libvirt.libvirtError as error:
        if code_is(error, absent):
            return None
        raise
