"""What Proxmox cannot honour of a VM: said by name, before anything changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...model.vm import VM
from ..refusal import check_tiers, refusing
from . import config as text

# Field → why Proxmox, or this driver, cannot honour it.
REFUSED = {
    "cpu_pinning": "Proxmox lets only the login root@pam pin CPUs, and Muster works with an API token",
    "cpu_reservation": "Proxmox shares CPUs by weight and reserves none",
    "memory_reservation": "Proxmox guarantees no part of a VM's memory",
    "memory_limit": "Proxmox gives a VM all of its memory, and limits none",
    "zone": "a Proxmox site is one cluster and has no zones",
    "folder": "Proxmox has no folders of VMs; its pools are named as resource_pool",
    "anti_affinity": "this driver writes no rules of high availability yet",
}


def check(vm: VM, site: str, nodes: Mapping[str, bool], options: Mapping[str, Any]) -> None:
    """Raise Unsupported for the first field of `vm` that cannot be honoured. `nodes`: which there are, and whether
    they are online."""
    refuse = refusing(vm, site)
    check_tiers(vm, options, refuse)
    for field, why in REFUSED.items():
        if vm[field] not in (None, 0, ""):
            raise refuse(field, why)
    if len(vm.name) > 63 or vm.name.endswith("-"):
        raise refuse("name", "Proxmox takes DNS names, which do not end in '-'")
    if (vm["cpu_topology"] or {}).get("threads", 1) != 1:
        raise refuse("cpu_topology.threads", "Proxmox has no threads within a core")
    if (vm["cpu_limit"] or 0) * (vm["cpus"] or 1) > 100 * text.CPUS:
        raise refuse("cpu_limit", f"Proxmox limits no VM to more than {text.CPUS} CPUs in all; write 0 for no limit")
    if vm["ha_priority"] in ("low", "high"):
        raise refuse("ha_priority", "Proxmox restarts all alike; write 'medium' for high availability, else 'disabled'")
    if vm["host"] and vm["host"] not in nodes:
        raise refuse("host", f"the cluster's nodes are {', '.join(sorted(nodes))}")
    if vm["host"] and not nodes[vm["host"]]:
        raise refuse("host", f"the node '{vm['host']}' is offline")
    if vm["secure_boot"] and vm["firmware"] != "uefi":
        raise refuse("secure_boot", "it needs firmware 'uefi'")
    if vm["memory"] and vm["memory"] % (1 << 20):
        raise refuse("memory", "Proxmox counts memory in MiB")
    if vm["memory_minimum"] and vm["memory_minimum"] % (1 << 20):
        raise refuse("memory_minimum", "Proxmox counts memory in MiB")
    if len(vm["disks"] or ()) > 30 or len(vm["nics"] or ()) > 32:
        raise refuse("disks" if len(vm["disks"] or ()) > 30 else "nics", "there are not so many places for them")
    for disk in vm["disks"] or ():
        if disk.get("encrypted"):
            raise refuse(f"disks.{disk['name']}.encrypted", "Proxmox encrypts no single disk")
        if disk["size"] % (1 << 10):
            raise refuse(f"disks.{disk['name']}.size", "Proxmox counts the size of a disk in KiB")
    for nic in vm["nics"] or ():
        if nic.get("forwards"):
            raise refuse(f"nics.{nic['name']}.forwards", "only user-mode networking forwards ports")
        if nic["network"] == "user":
            raise refuse(f"nics.{nic['name']}.network", "a NIC of Proxmox is on a bridge; user-mode networking is none")
