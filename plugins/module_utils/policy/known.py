"""The top-level fields of the documents that rules judge, so that a misspelt one is an error and not always unknown."""

from __future__ import annotations

from ..model.fields import VM_FIELDS

# What is known of a VM beside the fields that a fleet file can set, and who tells it.
_OBSERVED: dict[str, str] = {
    "name": "Name of the VM.",
    "site": "Site that it is at.",
    "kind": "`site` for the document of a site, absent for a VM's.",
    "uuid": "UUID that the platform gave it; live.",
    "owned": "Whether it bears Muster's ownership mark; live.",
    "platform": "libvirt, vsphere, proxmox, aws, azure or gcp.",
    "region": "Region of the cloud.",
    "addresses": "Addresses that the guest has; live.",
    "os": "Operating system; live.",
    "created": "When it was made, in ISO 8601; live.",
    "stopped_since": "Since when it is off, in ISO 8601; live.",
    "usage": "What it uses of what it has; live.",
    "snapshots": "Snapshots, oldest first; live.",
    "restore_points": "Restore points, oldest first; live.",
    "restore_points_damaged": "Restore points that cannot be read; live.",
    "drills": "Recovery drills, oldest first; live.",
    "health_state": "healthy or unhealthy; live.",
    "health_checks": "Its health checks, each with its outcome; live.",
    "host_name": "Host that it runs on; live.",
    "guest": "What `guest_info` found inside; guest.",
    "action": "What a Terraform plan does to it: create, update, replace, no-op; plan.",
    "terraform_address": "Its address in a Terraform document; plan.",
    "sensitive": "Paths whose values a Terraform document keeps from view; plan.",
    "vsphere": "Settings that vSphere alone has.",
    "proxmox": "Settings that Proxmox alone has.",
    "aws": "Settings that AWS alone has.",
    "azure": "Settings that Azure alone has.",
    "google": "Settings that Google Cloud alone has.",
    "libvirt": "Settings that libvirt alone has.",
    # Context, from the other VMs of the same check; see context.py
    "peers": "Other VMs of its anti-affinity group.",
    "peer_count": "Their number.",
    "peers_on_host": "Those that share its host.",
    "siblings": "Other VMs of its service and environment.",
    "sibling_count": "Their number.",
    "siblings_running": "The number of those that run.",
    "siblings_on_host": "Those that share its host.",
    "service_hosts": "Hosts of its service.",

    "service_zones": "",
    "neighbours": "What else is on its networks.",
    "pinned_cpus": "Host CPUs that it is pinned to.",
    "pinning_shared": "Whether another VM is pinned to one of them.",
}

VM_FACTS = frozenset((*VM_FIELDS, *_OBSERVED))

SITE_FACTS = frozenset(("name", "site", "kind", "platform", "region", "hosts", "pools", "orphaned_disks", "vms",
                        "memory_promised", "memory_after_host_loss"))
