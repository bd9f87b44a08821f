"""What is to be made, and the parts of its configuration that are no devices."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...model.vm import VM, Mark
from ..guest_key import public_key
from . import devices
from .sdk import vim

_GUEST = "otherLinux64Guest"  # what a VM without a template is told to be


@dataclass(frozen=True)
class Plan:
    """What is made: `source` is the template or VM that is copied, None for an empty VM.

    `guest` is what cloud-init finds in the extra configuration. `places` are those that the disks of the source have,
    by name. `contents` are qcow2 images that the disks are made of, by name, and `seed` the identity that their guest
    was first booted with; `was` is what the VM of a restore point was beside its fields.
    """

    desired: VM
    uuid: str
    mark: Mark
    source: Any = None
    template: bool = False  # whether `source` is one
    title: str = ""
    guest: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    contents: Mapping[str, Path] = field(default_factory=dict)
    seed: str = ""
    was: Mapping[str, str] = field(default_factory=dict)

    @property
    def devices(self) -> dict[str, str]:
        """The places of the disks, and the MAC addresses of the NICs, by name."""
        found = dict(self.places)
        names = [disk["name"] for disk in self.desired["disks"] or () if disk["name"] not in found]
        found |= devices.places(found.values(), names)
        return {**found, **{nic["name"]: devices.mac(self.uuid, nic) for nic in self.desired["nics"] or ()}}


def hardware(desired: VM, there: Mapping[str, Any], mhz: int) -> dict[str, Any]:
    """Fields of a ConfigSpec for CPUs and memory; `there` is the spec of what the VM is made of, if anything, `mhz` the
    speed of a CPU in its cluster.

    A topology that nobody manages stays as long as its cores divide the number.
    """
    found: dict[str, Any] = {}
    topology = desired["cpu_topology"]
    cpus = int(desired["cpus"] or 0)
    if cpus or topology:
        before = int((there.get("cpu_topology") or {}).get("cores") or 1)
        cpus = cpus or int(topology["sockets"]) * int(topology["cores"])
        cores = int(topology["cores"]) if topology else before if cpus % before == 0 else 1
        found |= {"numCPUs": cpus, "numCoresPerSocket": cores}
    shares = {kind: desired[f"cpu_{kind}"] for kind in ("reservation", "limit") if desired[f"cpu_{kind}"] is not None}
    if shares:
        whole = (cpus or int(there.get("cpus") or 1)) * mhz
        found["cpuAllocation"] = _allocation({kind: round(share * whole / 100) for kind, share in shares.items()})
    if desired["memory"]:
        found["memoryMB"] = desired["memory"] // devices.MIB
    sizes = {kind: size // devices.MIB for kind in ("reservation", "limit")
             if (size := desired[f"memory_{kind}"]) is not None}
    if sizes:
        found["memoryAllocation"] = _allocation(sizes)
    return found


def _allocation(values: Mapping[str, int]) -> Any:
    """What is kept for a VM and what it may use at most; vSphere writes no limit as -1."""
    return vim.ResourceAllocationInfo(**{**values, **({"limit": -1} if values.get("limit") == 0 else {})})


def firmware(desired: VM) -> dict[str, Any]:
    """Fields of a ConfigSpec for firmware and secure boot."""
    found: dict[str, Any] = {}
    if desired["firmware"]:
        found["firmware"] = "efi" if desired["firmware"] == "uefi" else "bios"
    if desired["secure_boot"] is not None:
        found["bootOptions"] = vim.vm.BootOptions(efiSecureBootEnabled=desired["secure_boot"])
    return found


def empty(was: Mapping[str, str]) -> dict[str, Any]:
    """Fields of a ConfigSpec for a VM that no template tells what it is."""
    return {"guestId": was.get("guest_id", _GUEST)}


def cloudinit(ssh: Mapping[str, Any], uuid: str, hostname: str, site: str, vm: str) -> dict[str, str]:
    """What cloud-init's data source for VMware reads: who the guest is, and the key that lets Ansible in."""
    metadata = {"instance-id": uuid, "local-hostname": hostname}
    found = {"guestinfo.metadata": json.dumps(metadata)}
    if ssh.get("key"):
        user: dict[str, Any] = {"ssh_authorized_keys": [public_key(ssh, site, vm)]}
        if ssh.get("user"):
            user |= {"name": str(ssh["user"]), "sudo": "ALL=(ALL) NOPASSWD:ALL", "shell": "/bin/bash"}
            found["guestinfo.userdata"] = "#cloud-config\n" + json.dumps({"users": [user]})
        else:
            found["guestinfo.userdata"] = "#cloud-config\n" + json.dumps(user)
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in found.items()}
    return {**encoded, **dict.fromkeys((f"{key}.encoding" for key in encoded), "base64")}
