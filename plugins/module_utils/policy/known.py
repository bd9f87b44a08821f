"""The top-level fields of the documents that rules judge, so that a misspelt one is an error and not always unknown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model.fields import VM_FIELDS
from .context import FROM_OTHERS

# What is known of a VM beside the fields that a fleet file can set, and at which stages. docs/policy.md tells the rest.
_OBSERVED: dict[str, str] = {
    "name": "Name of the VM.",
    "site": "Site that it is at; the region, in a cloud.",
    "kind": "`site` for the document of a site, absent for a VM's.",
    "platform": "libvirt, vsphere, proxmox, aws, azure or google.",
    "uuid": "UUID that the platform gave it; plan and live.",
    "owned": "Whether it bears Muster's ownership mark.",
    "address": "Where it is reached; live.",
    "addresses": "Addresses that the guest has; live.",
    "endpoints": "Loopback ports that lead to ports of the guest; live.",
    "usage": "CPUs and memory in use when it was looked at, and its uptime; live.",
    "os": "Operating system, where the platform knows it; live.",
    "created": "When it was made, in ISO 8601, where the platform knows it; live.",
    "built": "Whether it is made to the end; live.",
    "ready": "Whether its guest was ever seen ready; live.",
    "drill": "Whether it is the twin of a recovery drill; live.",
    "max_cpus": "CPUs up to which it grows while it runs; live.",
    "max_memory": "Memory up to which it grows while it runs; live.",
    "snapshots": "Snapshots, oldest first; live.",
    "restore_points": "Restore points, oldest first; live.",
    "archives": "Backups that the platform keeps itself, whoever took them, oldest first; live.",
    "restore_points_damaged": "A sentence for each restore point that cannot be used; live.",
    "drills": "Recovery drills, oldest first; live.",
    "health_state": "healthy or unhealthy; live.",
    "health_checks": "Its health checks, each with its outcome; live.",
    "guest": "What `guest_info` found inside; guest.",
    "action": "What a Terraform plan does to it: create, update, replace, no-op; plan.",
    "terraform_address": "Its address in a Terraform document; plan.",
    "terraform_type": "Its type in a Terraform document; plan.",
    "sensitive": "Paths whose values a Terraform document keeps from view; plan.",
    "user_data": "The start-up script: its length and the kinds of secrets in it; plan.",
    "vsphere": "Settings that vSphere alone has.",
    "proxmox": "Settings that Proxmox alone has.",
    "aws": "Settings that AWS alone has.",
    "azure": "Settings that Azure alone has.",
    "google": "Settings that Google Cloud alone has.",
    "libvirt": "Settings that libvirt alone has.",
}


def _units(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, one in fields.items():
        found.update({name: one["muster"]["unit"]} if "unit" in one["muster"] else {}, **_units(one.get("options", {})))
    return found


# The unit of a number by the name of its field, ``size`` or ``duration``: so a sentence says 2 GiB and 24 h.
UNITS = {**_units(VM_FIELDS), **dict.fromkeys(("bytes", "free", "memory_promised", "memory_after_host_loss"), "size"),
         "uptime": "duration"}

VM_FACTS = frozenset((*VM_FIELDS, *_OBSERVED, *FROM_OTHERS))

SITE_FACTS = frozenset(("name", "site", "kind", "platform", "hosts", "clusters", "pools", "orphaned_disks",
                        "memory_promised", "memory_after_host_loss"))
