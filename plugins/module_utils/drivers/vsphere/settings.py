"""Settings that vSphere alone has, as rules see them (docs/policy.md, `vsphere`), and what its disks and NICs are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from . import devices
from .sdk import vim

# vCenter refuses the whole listing where it is asked for a property that it does not know.
MODERN_PATHS = ("config.ftEncryptionMode",)  # that it has since 7.0.2
PATHS = (  # and since 6.5
    "config.cpuAllocation.limit",
    "config.cpuAllocation.reservation",
    "config.flags",
    "config.keyId",
    "config.memoryAllocation.limit",
    "config.migrateEncryption",
    "config.nestedHVEnabled",
    "config.tools",
    "config.version",
    "guest.toolsVersionStatus2",
    "runtime.consolidationNeeded",
)
_WORD = re.compile(r"(?<=.)(?=[A-Z])")  # where a word of a name begins: supported|Old
_VERSION = re.compile(r"vmx-0*([0-9]{1,4})")
_LONGEST = 255  # characters of an advanced setting
_PRIVATE = ("guestinfo.", "muster.")  # what the guest and Muster keep there: long, and it may be secret
_CONTROLLERS = {"VirtualIDE": "ide", "VirtualAHCI": "sata", "VirtualNVME": "nvme", "ParaVirtualSCSI": "pvscsi"}
_DEVICES = {"Floppy": "floppy", "SerialPort": "serial", "ParallelPort": "parallel", "SoundCard": "sound", "USB": "usb",
            "USBController": "usb", "USBXHCIController": "usb"}  # fmt: skip


def kind_of(device: Any) -> str:
    """The name of a device's class without its namespace: ``VirtualVmxnet3``."""
    return str(device.__class__.__name__).rpartition(".")[2]


def facts(one: Mapping[str, Any], hardware: Iterable[Any]) -> dict[str, Any]:
    """What the configuration says beside a VM's own fields; what vCenter does not tell is left out."""
    hardware = list(hardware)
    flags, tools = one.get("config.flags"), one.get("config.tools")
    drives = [device for device in hardware if isinstance(device, vim.vm.device.VirtualCdrom)]
    version = _VERSION.match(str(one.get("config.version") or ""))
    found: dict[str, Any] = {
        "hardware_version": int(version.group(1)) if version else None,
        "extra_config": _advanced(one.get("config.extraConfig") or ()),
        "logging": getattr(flags, "enableLogging", None),
        "vbs": getattr(flags, "vbsEnabled", None),
        "iommu": getattr(flags, "vvtdEnabled", None),
        "nested_hv": one.get("config.nestedHVEnabled"),
        "sync_time": getattr(tools, "syncTimeWithHost", None),
        "cpu_hot_add": one.get("config.cpuHotAddEnabled"),
        "memory_hot_add": one.get("config.memoryHotAddEnabled"),
        "cpu_limit_mhz": _limit(one.get("config.cpuAllocation.limit"), 1),
        "cpu_reservation_mhz": _limit(one.get("config.cpuAllocation.reservation"), 1),
        "memory_limit": _limit(one.get("config.memoryAllocation.limit"), devices.MIB),
        "encrypted": one.get("config.keyId") is not None,
        "vmotion_encryption": one.get("config.migrateEncryption"),
        "ft_encryption": _mode(one.get("config.ftEncryptionMode")),
        "vtpm": any(kind_of(device) == "VirtualTPM" for device in hardware),
        "pci_devices": sum(kind_of(device) == "VirtualPCIPassthrough" for device in hardware),
        "consolidation_needed": one.get("runtime.consolidationNeeded"),
        "tools_status": _tools(one.get("guest.toolsVersionStatus2")),
        "cdroms": len(drives),
        "devices": sorted({name for device in hardware if (name := _other(device))}),
    }
    if drives:
        found["cdrom_client_device"] = all("Remote" in kind_of(drive.backing) for drive in drives)
    return {key: value for key, value in found.items() if value is not None}


def _mode(told: Any) -> str | None:
    """How the traffic of fault tolerance is encrypted: ``ftEncryptionRequired`` is ``required``."""
    return str(told)[:64].removeprefix("ftEncryption").lower() if told else None


def _tools(told: Any) -> str | None:
    """vCenter's word on the version of VMware Tools: ``guestToolsSupportedOld`` is ``supported_old``."""
    return _WORD.sub("_", str(told)[:64].removeprefix("guestTools")).lower() if told else None


def _other(device: Any) -> str:
    kind = kind_of(device).removeprefix("Virtual")
    return _DEVICES.get(kind) or ("sound" if kind.startswith(("Ensoniq", "SoundBlaster", "HdAudio")) else "")


def _advanced(options: Iterable[Any]) -> dict[str, str]:
    """The advanced settings in small letters, for vSphere does not care for case there and an expression does."""
    settings = ((str(option.key).lower(), str(option.value).lower()) for option in options)
    return {key: value for key, value in settings
            if not key.startswith(_PRIVATE) and len(key) <= _LONGEST and len(value) <= _LONGEST}  # fmt: skip


def _limit(value: Any, unit: int) -> int | None:
    return int(value) * unit if value and value > 0 else None


def disk(one: devices.Disk, hardware: Iterable[Any]) -> dict[str, Any]:
    """What a disk is beside its fields: bus, mode, provisioning, and whether VMs share it."""
    backing = one.device.backing
    controller = next((device for device in hardware if device.key == one.device.controllerKey), None)
    kind = kind_of(controller).removesuffix("Controller") if controller is not None else ""
    found: dict[str, Any] = {"bus": _CONTROLLERS.get(kind, "scsi") if kind else None}
    found["mode"] = getattr(backing, "diskMode", None)
    sharing = getattr(backing, "sharing", None)
    found["shared"] = bool(sharing and sharing != "sharingNone")
    thin = getattr(backing, "thinProvisioned", None)
    if thin is not None:
        found["provisioning"] = "thin" if thin else "eager" if getattr(backing, "eagerlyScrub", None) else "lazy"
    return {key: value for key, value in found.items() if value not in (None, "")}


def nic(one: devices.Nic) -> dict[str, Any]:
    """What a NIC is beside its fields: its model, ``vmxnet3``."""
    return {"model": kind_of(one.device).removeprefix("Virtual").removesuffix("EthernetCard").lower()}
