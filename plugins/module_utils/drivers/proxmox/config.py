"""Proxmox's configuration of a VM as text: property strings, drives, NICs, and their places in a VM's spec.

``scsi0: local-lvm:vm-100-disk-0,iops=100,size=10G`` is a volume and its options; ``net0: virtio=BC:24:…,bridge=vmbr0``
is a model with a MAC address and its options. Keys that Muster does not know are kept as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Config = Mapping[str, Any]
MIB = 1 << 20
GIB = 1 << 30
CPUS = 128  # to more a VM is not limited
_DRIVE = re.compile(r"(?:ide|sata|scsi|virtio)\d{1,2}")
_NIC = re.compile(r"net\d{1,2}")
_NUMBER = re.compile(r"\d{1,12}(?:\.\d{1,12})?")
_PCI, _USB = re.compile(r"hostpci\d{1,2}"), re.compile(r"usb\d{1,2}")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGT]?)")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_MODELS = ("virtio", "e1000", "e1000e", "vmxnet3", "rtl8139", "e1000-82540em", "e1000-82544gc", "e1000-82545em",
           "i82551", "i82557b", "i82559er", "ne2k_isa", "ne2k_pci", "pcnet")


@dataclass(frozen=True)
class Drive:
    """A disk of a VM: the `key` of its place (``scsi0``), its volume, its options."""

    key: str
    volume: str
    options: Mapping[str, str]

    @property
    def storage(self) -> str | None:
        """The storage of the volume; None for a path or a device of the node."""
        return None if self.volume.startswith("/") or ":" not in self.volume else self.volume.partition(":")[0]

    @property
    def size(self) -> int:
        """Bytes; 0 where Proxmox does not tell."""
        return parse_size(self.options.get("size", ""))


@dataclass(frozen=True)
class Nic:
    """A NIC of a VM: the `key` of its place (``net0``), model, MAC address in small letters, its options."""

    key: str
    model: str
    mac: str | None
    options: Mapping[str, str]


def split(text: object) -> tuple[str, dict[str, str]]:
    """The first part of a property string that has no key, and the options. Order is kept."""
    first, options = "", {}
    for part in str(text).split(","):
        key, sep, value = part.partition("=")
        if sep:
            options[key] = value
        elif part:
            first = part
    return first, options


def join(first: str, options: Mapping[str, Any]) -> str:
    """A property string; options that are None are left out."""
    return ",".join([*([first] if first else []), *(f"{k}={v}" for k, v in options.items() if v is not None)])


def parse_size(text: str) -> int:
    """Bytes of ``10G``, ``512M``; 0 of what is none."""
    found = _SIZE.fullmatch(text)
    return int(float(found.group(1)) * _UNITS[found.group(2)]) if found else 0


def natural(key: str) -> tuple[str, int]:
    """Sort key: ``scsi2`` before ``scsi10``."""
    name = key.rstrip("0123456789")
    return name, int(key[len(name) :] or 0)


def drives(config: Config) -> list[Drive]:
    """The disks, in the order of their places: the one that the VM boots from first, no CD-ROMs."""
    found = []
    for key in sorted(filter(_DRIVE.fullmatch, config), key=natural):
        first, options = split(config[key])
        volume = first or options.pop("file", "")
        if options.get("media") != "cdrom" and volume not in ("", "none", "cdrom"):
            found.append(Drive(key, volume, options))
    boot = [*split(config.get("boot", ""))[1].get("order", "").split(";"), str(config.get("bootdisk", ""))]
    first_key = next((key for key in boot if any(drive.key == key for drive in found)), None)
    return sorted(found, key=lambda drive: drive.key != first_key)


def nics(config: Config) -> list[Nic]:
    """The NICs, in the order of their places."""
    found = []
    for key in sorted(filter(_NIC.fullmatch, config), key=natural):
        model, options = split(config[key])
        mac = options.pop("macaddr", None)
        model = options.pop("model", model)
        for name in _MODELS:
            if name in options:
                model, mac = name, options.pop(name)
        found.append(Nic(key, model, mac.lower() if mac else None, options))
    return found


def free_key(config: Config, prefix: str, most: int) -> str | None:
    """The first place ``<prefix>N`` that nothing has, below `most`."""
    return next((key for n in range(most) if (key := f"{prefix}{n}") not in config), None)


def uuid_of(config: Config) -> str | None:
    """The UUID that the guest sees."""
    found = split(config.get("smbios1", ""))[1].get("uuid")
    return found.lower() if found else None


def cpus_of(config: Config) -> int:
    """Virtual CPUs that the guest has."""
    return int(config.get("vcpus") or 0) or int(config.get("cores") or 1) * int(config.get("sockets") or 1)


def cpu_limit(percent: int, cpus: int) -> str:
    """The CPUs that a VM of so many may use in all, where each may use so much of one; 0 is no limit."""
    return f"{percent * cpus / 100:.2f}".rstrip("0").rstrip(".")


def cpu_limit_of(config: Config) -> int:
    """Percent of a CPU that each virtual CPU may use; 0 is no limit."""
    most = str(config.get("cpulimit") or "0")
    limit = float(most) if _NUMBER.fullmatch(most) else 0
    return min(100, max(1, round(100 * limit / cpus_of(config)))) if limit else 0


def memory_of(config: Config) -> int:
    """Bytes of memory."""
    text = split(config.get("memory", 512))
    return int(text[0] or text[1].get("current") or 512) * MIB


def disk_options(disk: Mapping[str, Any]) -> dict[str, str | None]:
    """What of a disk of a spec is an option of its drive; None takes the option away. Proxmox takes ``bps`` too, and
    forgets the number: it keeps ``mbps=0.000`` instead, which is no limit."""
    return {
        "iops": str(disk["iops_limit"]) if disk.get("iops_limit") else None,
        "bps": None,
        "mbps": _mebibytes(disk["bandwidth_limit"]) if disk.get("bandwidth_limit") else None,
    }


def _mebibytes(bytes_: int) -> str:
    """Bytes as Proxmox's numbers have them; seven places tell each byte."""
    return f"{bytes_ / MIB:.7f}".rstrip("0").rstrip(".")


def nic_value(nic: Mapping[str, Any], mac: str, model: str = "virtio", kept: Mapping[str, str] | None = None) -> str:
    """A NIC of a spec as Proxmox writes it, with options that somebody else set (`kept`)."""
    options: dict[str, Any] = {**(kept or {}), "bridge": nic["network"]}
    options["tag"] = nic.get("vlan")
    options["rate"] = repr(nic["bandwidth_limit"] / MIB) if nic.get("bandwidth_limit") else None
    options["link_down"] = 1 if nic.get("connected") is False else None
    return join("", {model: mac.upper(), **options})


def facts(config: Config) -> dict[str, Any]:
    """What Proxmox alone has of a VM, as rules see it (docs/policy.md, `proxmox`)."""
    agent, options = split(config.get("agent", ""))
    usb = (split(config[key])[0] or split(config[key])[1].get("host", "") for key in config if _USB.fullmatch(key))
    return {
        "agent": (agent or options.get("enabled")) == "1",
        "arguments": bool(config.get("args")),
        "on_boot": str(config.get("onboot", "0")) == "1",
        "pci_devices": sum(bool(_PCI.fullmatch(key)) for key in config),
        "protection": str(config.get("protection", "0")) == "1",
        "tpm": bool(config.get("tpmstate0")),
        "usb_devices": sum(device != "spice" for device in usb),
    }


def read_nic(nic: Nic, name: str) -> dict[str, Any]:
    """A NIC as a part of a spec."""
    found: dict[str, Any] = {"name": name, "connected": nic.options.get("link_down") != "1"}
    # Without a bridge Proxmox connects a NIC through the node, as user-mode networking does.
    found["network"] = nic.options.get("bridge") or "user"
    if nic.mac:
        found["mac"] = nic.mac
    if nic.options.get("tag", "").isdigit():
        found["vlan"] = int(nic.options["tag"])
    try:
        found["bandwidth_limit"] = round(float(nic.options.get("rate", 0)) * MIB)
    except ValueError:
        found["bandwidth_limit"] = 0
    return found


def read_disk(drive: Drive, name: str) -> dict[str, Any]:
    """A disk as a part of a spec."""
    found: dict[str, Any] = {"name": name, "size": drive.size}
    if drive.storage:
        found["pool"] = drive.storage
    iops, mbps, bps = (drive.options.get(option, "0") for option in ("iops", "mbps", "bps"))
    found["iops_limit"] = int(iops) if iops.isdigit() else 0
    found["bandwidth_limit"] = round(float(mbps) * MIB) if _NUMBER.fullmatch(mbps) else 0
    if not found["bandwidth_limit"] and bps.isdigit():
        found["bandwidth_limit"] = int(bps)
    return found
