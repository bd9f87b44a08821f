"""What is to be made, and the text of its hardware."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...model.vm import VM, Mark
from . import cloudinit, listing
from . import config as text
from .storage import Upload

if TYPE_CHECKING:
    from .driver import ProxmoxDriver


@dataclass(frozen=True)
class Plan:
    """What is made: `contents` are images at the site by disk; `source` is the VM or template that is copied instead,
    `archive` the volume that is restored on the node of `source`.

    `seed` is the identity that the guest knows, empty for one that knows none; `cloudinit`: it is set up by cloud-init.
    `isolated`: without NICs. `places` are those that the disks of the source have, by name.
    """

    desired: VM
    uuid: str
    mark: Mark
    contents: Mapping[str, Upload] = field(default_factory=dict)
    source: listing.Resource | None = None
    archive: str = ""
    seed: str = ""
    cloudinit: bool = False
    isolated: bool = False
    places: Mapping[str, str] = field(default_factory=dict)

    @property
    def nics(self) -> list[Mapping[str, Any]]:
        """The NICs that the VM shall have."""
        return [] if self.isolated else list(self.desired["nics"] or ())

    @property
    def devices(self) -> dict[str, str]:
        """The places of the disks and NICs, by name."""
        found = dict(self.places)
        for disk in self.desired["disks"] or ():
            if disk["name"] not in found:
                found[disk["name"]] = next(key for n in range(31) if (key := f"scsi{n}") not in found.values())
        return {**found, **{nic["name"]: f"net{n}" for n, nic in enumerate(self.nics)}}


def mac(uuid: str, nic: Mapping[str, Any]) -> str:
    """The MAC address of a NIC that names none: from the VM's identity, so that each try has the same."""
    if nic.get("mac"):
        return str(nic["mac"])
    digest = hashlib.sha256(f"{uuid}/{nic['name']}".encode()).digest()
    return "bc:24:11:" + ":".join(f"{byte:02x}" for byte in digest[:3])  # the range of Proxmox


def hardware(plan: Plan, driver: ProxmoxDriver, cpus: int = 1) -> dict[str, Any]:
    """All of a VM's configuration but its disks. `cpus` are those that it has where the plan names no number."""
    desired, topology = plan.desired, plan.desired["cpu_topology"]
    found: dict[str, Any] = {"smbios1": f"uuid={plan.uuid}"}
    if desired["cpus"] or topology:
        found["cores"] = topology["cores"] if topology else desired["cpus"]
        found["sockets"] = topology["sockets"] if topology else 1
    if desired["cpu_limit"] is not None:
        count = found["cores"] * found["sockets"] if "cores" in found else cpus
        found["cpulimit"] = text.cpu_limit(desired["cpu_limit"], count)
    if plan.source is None:  # what is copied knows best which controller and which guest it has
        found |= {"scsihw": "virtio-scsi-single", "agent": "enabled=1", "ostype": "l26"}
    if desired["memory"]:
        found["memory"] = desired["memory"] // text.MIB
    if desired["memory_minimum"]:
        found["balloon"] = desired["memory_minimum"] // text.MIB
    if desired["firmware"]:
        found["bios"] = "ovmf" if desired["firmware"] == "uefi" else "seabios"
    for n, nic in enumerate(plan.nics):
        found[f"net{n}"] = text.nic_value(nic, mac(plan.uuid, nic))
    if plan.cloudinit:
        found.update(cloudinit.fields(driver.access["ssh"] or {}, plan.nics, driver.site, desired.name))
    return found


def volume(driver: ProxmoxDriver, disk: Mapping[str, Any], source: str | None = None) -> str:
    """The text that makes a new disk: empty and of its size, or from the content of an image at the site."""
    pool, options = driver.pool_of(disk), text.disk_options(disk)
    if source:
        return text.join(f"{pool}:0", {"import-from": source, **options})
    size = f"{disk['size'] / text.GIB:.20f}".rstrip("0").rstrip(".")  # GiB, with what is left of them
    return text.join(f"{pool}:{size}", options)


def firmware(driver: ProxmoxDriver, desired: VM) -> dict[str, str]:
    if desired["firmware"] != "uefi":
        return {}
    keys = 1 if desired["secure_boot"] else 0
    return {"efidisk0": f"{driver.default_pool(desired.name)}:1,efitype=4m,pre-enrolled-keys={keys}"}
