"""What vSphere cannot honour of a VM: said by name, before anything changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...model.vm import VM, Mark
from ..refusal import Refuse, check_tiers, refusing
from . import devices
from .placement import LONGEST, rule_name
from .site import Cluster

# Field → why vSphere, or this driver, cannot honour it.
REFUSED = {
    "cpu_pinning": "vSphere moves VMs between hosts, and CPUs of one mean nothing on another",
    "memory_minimum": "vSphere has no bound for the balloon but the reservation",
}


def check(vm: VM, site: str, clusters: Iterable[Cluster], options: Mapping[str, Any]) -> None:
    """Raise Unsupported for the first field of `vm` that cannot be honoured."""
    refuse = refusing(vm, site)
    check_tiers(vm, options, refuse)
    for field, why in REFUSED.items():
        if vm[field] not in (None, 0):
            raise refuse(field, why)
    known = list(clusters)
    if vm["zone"] and vm["zone"] not in (one.name for one in known):
        raise refuse("zone", f"the site's clusters are {', '.join(sorted(one.name for one in known))}")
    if vm["host"] and not any(vm["host"] in one.hosts for one in known):
        hosts = sorted(host for one in known for host in one.hosts)
        raise refuse("host", f"the site's hosts are {', '.join(hosts[:20])}")
    for field in ("cpu_reservation", "cpu_limit"):
        if vm[field] and not all(one.mhz for one in known if one.fits(vm)):
            raise refuse(field, "no host of its cluster tells how fast its CPUs are")
    _check_care(vm, [one for one in known if one.fits(vm)], refuse)
    if (vm["cpu_topology"] or {}).get("threads", 1) != 1:
        raise refuse("cpu_topology.threads", "vSphere has no threads within a core")
    if vm["secure_boot"] and vm["firmware"] != "uefi":
        raise refuse("secure_boot", "it needs firmware 'uefi'")
    for field, grain in (("memory", 4), ("memory_reservation", 1), ("memory_limit", 1)):
        if vm[field] and vm[field] % (grain * devices.MIB):
            raise refuse(field, f"vSphere counts it in steps of {grain} MiB")
    if len(vm["disks"] or ()) > devices.DISKS or len(vm["nics"] or ()) > 10:
        raise refuse("disks" if len(vm["disks"] or ()) > devices.DISKS else "nics", "there are not so many places")
    for disk in vm["disks"] or ():
        if disk.get("encrypted"):
            raise refuse(f"disks.{disk['name']}.encrypted", "this driver chooses no storage policies yet")
        if disk.get("bandwidth_limit"):
            raise refuse(f"disks.{disk['name']}.bandwidth_limit", "vSphere limits the operations of a disk alone")
        if disk["size"] % (1 << 10):
            raise refuse(f"disks.{disk['name']}.size", "vSphere counts the size of a disk in KiB")
    for nic in vm["nics"] or ():
        if nic.get("forwards"):
            raise refuse(f"nics.{nic['name']}.forwards", "only user-mode networking forwards ports")
        if nic["network"] == "user":
            raise refuse(f"nics.{nic['name']}.network", "a NIC of vSphere is in a port group; 'user' is none")
        if nic.get("vlan"):
            raise refuse(f"nics.{nic['name']}.vlan", "a port group has its VLAN; name one that has this")
        if nic.get("bandwidth_limit"):
            raise refuse(f"nics.{nic['name']}.bandwidth_limit", "this driver writes no shares of a switch yet")


def _check_care(vm: VM, clusters: Iterable[Cluster], refuse: Refuse) -> None:
    """Raise Unsupported for a promise that the VM's cluster does not keep."""
    fleet, group = (vm.mark or Mark("fleet", vm.name)).fleet, vm["anti_affinity"]
    for one in clusters:
        if group and not one.care.drs:
            raise refuse("anti_affinity", f"DRS is off in '{one.name}', and it alone keeps VMs apart")
        if vm["ha_priority"] not in (None, "disabled") and not one.care.ha:
            raise refuse("ha_priority", f"vSphere HA is off in '{one.name}'")
    if group and len(rule_name(fleet, group)) > LONGEST:
        raise refuse("anti_affinity", f"the rule '{rule_name(fleet, group)}' would have a name of more than {LONGEST} "
                     "characters")
