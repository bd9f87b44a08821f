"""vCenter's virtual devices, and their places in a VM's spec.

A disk is known by its place ``bus:unit`` at a SCSI controller, a NIC by its MAC address: both are chosen before the
device is there, and both stay.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .sdk import vim

MIB = 1 << 20
_RESERVED = 7  # the unit of the controller itself
_UNITS = 16
DISKS = _UNITS - 1  # of one controller
# Kinds of SCSI controllers; what Muster makes is of the first.
CONTROLLERS = (
    "ParaVirtualSCSIController",
    "VirtualLsiLogicController",
    "VirtualLsiLogicSASController",
    "VirtualBusLogicController",
)


@dataclass(frozen=True)
class Disk:
    """A disk of a VM: its `place`, size in bytes, datastore, and vCenter's device."""

    place: str
    size: int
    datastore: str
    device: Any


@dataclass(frozen=True)
class Nic:
    """A NIC of a VM: MAC address in small letters, and vCenter's device."""

    mac: str
    device: Any


def controllers(devices: Iterable[Any]) -> dict[int, Any]:
    """The SCSI controllers by bus."""
    found = [one for one in devices if isinstance(one, vim.vm.device.VirtualSCSIController)]
    return {one.busNumber or 0: one for one in found}


def disks(devices: Iterable[Any]) -> list[Disk]:
    """The disks in the order of their places. Those of other kinds of controllers have a place with their key."""
    devices = list(devices)
    buses = {one.key: bus for bus, one in controllers(devices).items()}
    found = []
    for device in devices:
        if isinstance(device, vim.vm.device.VirtualDisk):
            bus = buses.get(device.controllerKey)
            head = str(bus) if bus is not None else f"c{device.controllerKey}"
            path = str(getattr(device.backing, "fileName", "") or "")
            size = device.capacityInBytes or (device.capacityInKB or 0) << 10
            datastore = path[1 : path.index("]")] if path.startswith("[") and "]" in path else ""
            found.append(Disk(f"{head}:{device.unitNumber or 0}", int(size), datastore, device))
    return sorted(found, key=lambda disk: (disk.place.startswith("c"), _numbers(disk.place)))


def _numbers(place: str) -> tuple[int, int]:
    bus, _colon, unit = place.lstrip("c").partition(":")
    return int(bus), int(unit)


def nics(devices: Iterable[Any]) -> list[Nic]:
    """The NICs in the order of their keys."""
    found = [one for one in devices if isinstance(one, vim.vm.device.VirtualEthernetCard)]
    return [Nic(str(one.macAddress or "").lower(), one) for one in sorted(found, key=lambda one: int(one.key))]


def places(taken: Iterable[str], names: Iterable[str]) -> dict[str, str]:
    """Free places at the first controller for new disks, in order; fewer where there are not so many."""
    free = [place for unit in range(_UNITS) if unit != _RESERVED and (place := f"0:{unit}") not in set(taken)]
    return dict(zip(names, free, strict=False))


def mac(uuid: str, nic: Mapping[str, Any]) -> str:
    """The MAC address of a NIC that names none: from the VM's identity, so that each try has the same. It is one of the
    addresses that are nobody's ("locally administered"): vCenter's own range is too small to choose from blindly."""
    if nic.get("mac"):
        return str(nic["mac"]).lower()
    digest = hashlib.sha256(f"{uuid}/{nic['name']}".encode()).digest()
    return "02:" + ":".join(f"{byte:02x}" for byte in digest[:5])


def read_disk(disk: Disk, name: str) -> dict[str, Any]:
    """A disk as a part of a spec."""
    found: dict[str, Any] = {"name": name, "size": disk.size, "iops_limit": 0, "bandwidth_limit": 0}
    if disk.datastore:
        found["pool"] = disk.datastore
    limit = getattr(disk.device.storageIOAllocation, "limit", None)
    if limit and limit > 0:
        found["iops_limit"] = int(limit)
    return found


def read_nic(nic: Nic, name: str, networks: Mapping[str, str]) -> dict[str, Any]:
    """A NIC as a part of a spec. `networks`: key of a distributed port group → its name."""
    backing, connectable = nic.device.backing, nic.device.connectable
    network = getattr(backing, "deviceName", None)
    port = getattr(backing, "port", None)
    if port is not None:
        network = networks.get(str(port.portgroupKey), str(port.portgroupKey))
    found: dict[str, Any] = {"name": name, "network": str(network or ""), "bandwidth_limit": 0}
    if nic.mac:
        found["mac"] = nic.mac
    # What a VM that is off will have is what its start brings.
    found["connected"] = connectable is None or bool(connectable.startConnected)
    return found


# Changes of devices, as parts of a ConfigSpec


def change(operation: str, device: Any, file_operation: str | None = None) -> Any:
    """One change of a device: ``add``, ``edit`` or ``remove``."""
    return vim.vm.device.VirtualDeviceSpec(operation=operation, fileOperation=file_operation, device=device)


def new_controller(key: int, kind: str = "") -> Any:
    """The first SCSI controller of a VM that has none, under a key of our own until vCenter gives it one. `kind` is
    one of `CONTROLLERS`."""
    made = getattr(vim.vm.device, kind or CONTROLLERS[0])
    return change("add", made(key=key, busNumber=0, sharedBus=vim.vm.device.VirtualSCSIController.Sharing.noSharing))


def new_disk(disk: Mapping[str, Any], place: str, datastore: str, controller: int, key: int) -> Any:
    """A new and empty disk, thin. vCenter chooses its file in the VM's folder."""
    device = vim.vm.device.VirtualDisk(
        key=key,
        controllerKey=controller,
        unitNumber=int(place.partition(":")[2]),
        capacityInBytes=disk["size"],
        capacityInKB=disk["size"] >> 10,
        backing=vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
            fileName=f"[{datastore}]", diskMode="persistent", thinProvisioned=True
        ),
        storageIOAllocation=_limit(disk["iops_limit"]) if disk.get("iops_limit") else None,
    )
    return change("add", device, "create")


def _limit(iops: int | None) -> Any:
    return vim.StorageResourceManager.IOAllocationInfo(limit=iops or -1)


def grown(disk: Disk, size: int) -> Any:
    """The device of a disk, with another size in bytes."""
    disk.device.capacityInBytes, disk.device.capacityInKB = size, size >> 10
    return disk.device


def limited(disk: Disk, iops: int | None) -> Any:
    """The device of a disk, with another limit; 0 and None are no limit."""
    disk.device.storageIOAllocation = _limit(iops)
    return disk.device


def new_nic(nic: Mapping[str, Any], address: str, backing: Any, key: int) -> Any:
    """A new NIC."""
    connected = nic.get("connected") is not False
    device = vim.vm.device.VirtualVmxnet3(
        key=key,
        addressType="manual",
        macAddress=address,
        backing=backing,
        wakeOnLanEnabled=True,
        connectable=vim.vm.device.VirtualDevice.ConnectInfo(
            startConnected=connected, connected=connected, allowGuestControl=False
        ),
    )
    return change("add", device)
