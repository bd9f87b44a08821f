"""What libvirt on one host cannot honour of a VM: said by name, before anything changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...model.vm import VM
from ..refusal import check_tiers, refusing
from .domain import USER_NETWORK

# Field → why a single libvirt host cannot honour it.
REFUSED = {
    "cpu_reservation": "libvirt shares the host's CPUs by weight and reserves none",
    "cpu_limit": "libvirt limits CPUs by control groups, and does not tell beforehand whether its host has them",
    "memory_limit": "libvirt limits the memory of QEMU itself, and kills the VM that reaches it",
    "memory_reservation": "QEMU has no guaranteed part of memory",
    "memory_minimum": "libvirt has no lower bound for the balloon",
    "zone": "a libvirt site is one host and has no zones",
    "resource_pool": "a libvirt site has no resource pools",
    "folder": "libvirt has no folders of VMs",
    "anti_affinity": "a libvirt site is one host, so VMs of a group cannot be kept apart",
    "ha_priority": "a libvirt site is one host and restarts nothing elsewhere",
}


def check(vm: VM, site: str, hostname: str, remote: bool, options: Mapping[str, Any]) -> None:
    """Raise Unsupported for the first field of `vm` that cannot be honoured."""
    refuse = refusing(vm, site)
    check_tiers(vm, options, refuse)
    for field, why in REFUSED.items():
        if vm[field] not in (None, 0, "", "disabled"):
            raise refuse(field, why)
    if vm["host"] and vm["host"] not in (hostname, hostname.split(".")[0]):
        raise refuse("host", f"the site's only host is '{hostname}'")
    for disk in vm["disks"] or ():
        if disk.get("encrypted"):
            raise refuse(f"disks.{disk['name']}.encrypted", "this driver makes no encrypted volumes yet")
    for nic in vm["nics"] or ():
        _check_nic(nic, remote, refuse)


def _check_nic(nic: dict[str, Any], remote: bool, refuse: Any) -> None:
    name, user = nic["name"], nic["network"] == USER_NETWORK
    if nic.get("vlan"):
        raise refuse(f"nics.{name}.vlan", "libvirt's virtual networks carry no VLAN tags; name a network on the VLAN")
    if user and nic.get("bandwidth_limit"):
        raise refuse(f"nics.{name}.bandwidth_limit", "user-mode networking has no limits")
    if nic.get("forwards") and not user:
        raise refuse(f"nics.{name}.forwards", "only user-mode networking (network: user) forwards ports")
    if nic.get("forwards") and remote:
        raise refuse(f"nics.{name}.forwards", "the loopback address of a remote host is out of reach")
