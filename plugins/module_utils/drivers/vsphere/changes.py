"""How each field of a VM is changed: what vCenter does at once, and what waits for a power cycle. All changes of one VM
are one task, and the mark goes with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...model.planner import Change
from ...model.vm import VM
from ..driver import Conflict, Unsupported
from . import devices, moves
from .plan import hardware
from .sdk import vim

if TYPE_CHECKING:
    from .driver import VsphereDriver
    from .site import Places

_PROCESSOR = ("cpus", "cpu_topology")
_HARDWARE = (*_PROCESSOR, "cpu_reservation", "cpu_limit", "memory", "memory_reservation", "memory_limit")
WHERE = ("zone", "host")
_ELSEWHERE = (*WHERE, "resource_pool", "folder", "anti_affinity", "ha_priority")  # not of the VM's own configuration


def refine(change: Change, actual: VM, places: Places) -> str:
    """How vCenter must do `change`: what the field table allows at best, or more."""
    how, hot = change.how, actual.state.get("hot_add", ())
    if change.keys[0] in WHERE and change.after is not None:
        wanted = VM(actual.name, actual.site, {change.keys[0]: change.after})
        return how if moves.reaches(places, actual, wanted) else "replace"
    if actual.power == "off" or how not in ("live", "mark"):
        return how
    kind = change.keys[0]
    if kind == "cpus":
        cores = int((actual["cpu_topology"] or {}).get("cores") or 1)
        grows = change.before is not None and change.after > change.before and change.after % cores == 0
        return how if grows and "cpus" in hot else "power_cycle"
    if kind == "memory":
        grows = change.before is not None and change.after > change.before
        return how if grows and "memory" in hot else "power_cycle"
    return how


@dataclass
class Edit:
    """What to write to a VM: fields of a ConfigSpec, and the places of devices; None for one that goes."""

    fields: dict[str, Any] = field(default_factory=dict)
    devices: list[Any] = field(default_factory=list)
    places: dict[str, str | None] = field(default_factory=dict)


def edit_of(
    driver: VsphereDriver, desired: VM, actual: VM, todo: Sequence[Change], hardware_there: Sequence[Any],
    known: Mapping[str, str],
) -> Edit:
    """What `todo` writes; `hardware_there` are the VM's devices and `known` their places, as its mark has them."""
    edit, there = Edit(), _There(driver, actual, hardware_there, known)
    kinds = {change.keys[0] for change in todo}
    for change in todo:
        if change.keys[0] not in (*_HARDWARE, "disks", "nics", *_ELSEWHERE) \
                and change.how != "mark":
            raise there.refuses(change)
    if kinds & {*_HARDWARE, *WHERE}:
        found = hardware(desired, actual.spec, there.cluster.mhz)
        if not kinds & set(_PROCESSOR):
            found = {key: value for key, value in found.items() if key not in ("numCPUs", "numCoresPerSocket")}
        if "memory" not in kinds:
            found.pop("memoryMB", None)
        if not kinds & {"cpus", "cpu_reservation", "cpu_limit", *WHERE}:  # a share of what the CPUs there have
            found.pop("cpuAllocation", None)
        if not kinds & {"memory_reservation", "memory_limit"}:
            found.pop("memoryAllocation", None)
        edit.fields.update(found)
    touched: dict[int, Any] = {}
    for change in todo:
        if change.keys[2:] in moves.PLACES:
            continue
        if change.keys[0] == "disks":
            _disk(there, edit, touched, change)
        elif change.keys[0] == "nics":
            _nic(there, edit, touched, change)
    edit.devices += [devices.change("edit", device) for device in touched.values()]
    return edit


class _There:
    """The devices of the VM that is changed."""

    def __init__(
        self, driver: VsphereDriver, actual: VM, hardware_there: Sequence[Any], known: Mapping[str, str]
    ) -> None:
        self.driver, self.actual, self.known = driver, actual, dict(known)
        self.disks = {disk.place: disk for disk in devices.disks(hardware_there)}
        self.nics = {nic.mac: nic for nic in devices.nics(hardware_there)}
        self.controllers = devices.controllers(hardware_there)
        # The cluster that the VM is in, whatever its file says.
        self.cluster = driver.places.cluster(VM(actual.name, actual.site, {"host": actual["host"]}))
        self.new = -200

    def key(self) -> int:
        self.new -= 1
        return self.new

    def lacks(self, kind: str, name: str) -> Conflict:
        return Conflict(
            f"it has no {kind} '{name}' any more; nothing was changed",
            site=self.driver.site,
            vm=self.actual.name,
            todo="Run again; somebody else changes this VM",
        )

    def refuses(self, change: Change) -> Unsupported:
        return Unsupported(
            f"the field '{change.field}' cannot be honoured: vSphere has none such; nothing was changed",
            site=self.driver.site,
            vm=self.actual.name,
            todo="See docs/drivers/vsphere.md",
        )

    def disk(self, name: str) -> devices.Disk:
        place = self.actual.state.get("disks", {}).get(name, {}).get("place")
        if place not in self.disks:
            raise self.lacks("disk", name)
        return self.disks[place]

    def nic(self, name: str) -> devices.Nic:
        address = next((nic.get("mac") for nic in self.actual["nics"] or () if nic["name"] == name), None)
        if address not in self.nics:
            raise self.lacks("NIC", name)
        return self.nics[address]


def _disk(there: _There, edit: Edit, touched: dict[int, Any], change: Change) -> None:
    name = change.keys[1]
    if len(change.keys) == 3:
        disk = there.disk(name)
        if change.keys[2] == "size":
            touched[disk.device.key] = devices.grown(disk, change.after)
        elif change.keys[2] == "iops_limit":
            touched[disk.device.key] = devices.limited(disk, change.after)
        else:
            raise there.refuses(change)
        return
    place = devices.places([*there.disks, *there.known.values()], [name]).get(name)
    if place is None:
        raise Conflict(
            f"there is no place left for the disk '{name}'; nothing was changed",
            site=there.driver.site,
            vm=there.actual.name,
            todo="Remove a disk first",
        )
    pool = there.driver.pool_of(change.after, there.actual.name)
    there.driver.places.datastore(there.cluster, pool, there.actual.name)
    if 0 in there.controllers:
        controller = there.controllers[0].key
    else:
        controller = -100
        if not any(one.device.key == controller for one in edit.devices):
            edit.devices.append(devices.new_controller(controller))
    edit.devices.append(devices.new_disk(change.after, place, pool, controller, there.key()))
    there.known[name] = place
    edit.places[name] = place


def _nic(there: _There, edit: Edit, touched: dict[int, Any], change: Change) -> None:
    name = change.keys[1]
    if len(change.keys) == 2 and change.after is None:
        edit.devices.append(devices.change("remove", there.nic(name).device))
        edit.places[name] = None
        return
    if len(change.keys) == 2:
        address = devices.mac(str(there.actual.uuid), change.after)
        if address in there.nics:  # of an interrupted run, or of somebody who chose the same
            raise Conflict(
                f"it has a NIC with the MAC address {address} already, under another name; nothing was changed",
                site=there.driver.site,
                vm=there.actual.name,
                todo="Remove that NIC, or name another MAC address",
            )
        backing = there.driver.places.network(there.cluster, str(change.after["network"]), there.actual.name)
        edit.devices.append(devices.new_nic(change.after, address, backing, there.key()))
        edit.places[name] = address
        return
    device = there.nic(name).device
    touched[device.key] = device
    kind = change.keys[2]
    if kind == "mac":
        device.addressType, device.macAddress = "manual", change.after
        edit.places[name] = str(change.after).lower()
    elif kind == "network":
        device.backing = there.driver.places.network(there.cluster, str(change.after), there.actual.name)
    elif kind == "connected":
        connect = device.connectable or vim.vm.device.VirtualDevice.ConnectInfo(allowGuestControl=False)
        connect.startConnected = connect.connected = change.after is not False
        device.connectable = connect
    else:
        raise there.refuses(change)
