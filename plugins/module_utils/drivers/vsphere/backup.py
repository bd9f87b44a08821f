"""Backups: a snapshot of the VM, whose disks vCenter hands out whole, as qcow2 images; and the end of that snapshot.

Single blocks are read with VMware's own library alone, so there are no incrementals.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...model.vm import VM
from ..driver import Backup, DriverError, Failed, Progress, Unsupported
from . import devices, lease, listing, restore, rights, vmdk
from .settings import kind_of

if TYPE_CHECKING:
    from .driver import VsphereDriver

PREFIX = "muster-backup-"  # of the snapshot's name; the restore point's id follows
NOTE = "Muster takes a backup of the VM at this moment, and deletes the snapshot after it."
WHY = "vSphere hands out whole disks; single blocks are read with VMware's own library alone, which Muster does not use"


def take(
    driver: VsphereDriver, vm: VM, directory: Path, restore_point: str, parent: str | None, progress: Progress
) -> Backup:
    """Bring the disks of `vm` at one point in time into `directory`."""
    obj, one, _written = driver.owned(vm, "take a backup")
    now = listing.now(driver.session, obj, one)
    hardware = list(one.get("config.hardware.device") or ())
    drives = devices.disks(hardware)
    check(driver.site, now, one, drives, hardware)
    rights.of(driver, obj, vm.name, *rights.BACKUP)
    clear(driver, obj, vm.name, progress)
    names = [disk["name"] for disk in now["disks"]]
    if not names:
        return Backup("full", time.time(), (), "offline")
    snapshot = f"{PREFIX}{restore_point}"
    try:
        created, consistency = _snapshot(driver, obj, now, snapshot, progress)
        streams = _bring(driver, obj, now.name, dict(zip(names, drives, strict=True)), hardware, directory, progress)
    except BaseException as error:
        left = _cleared(driver, obj, vm.name, snapshot, progress)
        if left and isinstance(error, DriverError):
            todo = f"{error.todo}; the next backup deletes the snapshot first"
            raise type(error)(f"{error.what}, and {left}", site=driver.site, vm=vm.name, todo=todo) from error
        raise
    left = _cleared(driver, obj, vm.name, snapshot, progress)
    if left:
        raise Failed(f"{left}; the backup was not kept", site=driver.site, vm=vm.name,
                     todo="Delete it in vCenter, or run again: the next backup deletes it first")
    parts = []
    for name, disk in zip(names, drives, strict=True):
        progress(f"{now.name}: reading the disk '{name}'")
        target = directory / f"{name}.qcow2"
        parts.append(vmdk.to_qcow2(streams[name], name, target, disk.size, driver.site, now.name))
        streams[name].unlink()
    kept = restore.shape(driver, obj, now.name, hardware)
    return Backup("full", created, tuple(parts), consistency, WHY if parent else "", kept)


def check(site: str, vm: VM, one: listing.Properties, drives: Sequence[devices.Disk], hardware: Sequence[Any]) -> None:
    """Raise Unsupported for a VM of which a snapshot would leave something out, or whose copy would be of no use."""
    shared = {bus.key for bus in hardware if str(getattr(bus, "sharedBus", None) or "noSharing") != "noSharing"}

    def refused(what: str, todo: str) -> Unsupported:
        return Unsupported(f"unable to take a backup: {what}; nothing was changed", site=site, vm=vm.name, todo=todo)

    if one.get("config.keyId") is not None:
        raise refused("it is encrypted, and vCenter would hand its disks out in the clear or not at all",
                      "Back it up with a product that has its key")
    for disk, spec in zip(drives, vm["disks"], strict=True):
        backing, name = disk.device.backing, spec["name"]
        mode, sharing = str(getattr(backing, "diskMode", "") or ""), getattr(backing, "sharing", None)
        if "RawDisk" in kind_of(backing) or "PartitionedRaw" in kind_of(backing):
            raise refused(f"its disk '{name}' is a raw device of the storage, which no snapshot holds",
                          "Back it up where the device is, or give the VM a disk in its place")
        if mode.startswith("independent"):
            raise refused(f"its disk '{name}' is independent, and a snapshot leaves it out without a word",
                          "Make it dependent while the VM is off")
        if (sharing and str(sharing) != "sharingNone") or disk.device.controllerKey in shared:
            raise refused(f"its disk '{name}' is shared with other VMs, which go on writing to it",
                          "Back it up from within one of them")
        if getattr(backing, "keyId", None) is not None:
            raise refused(f"its disk '{name}' is encrypted", "Back it up with a product that has its key")
        if not lease.place_of(disk.device, hardware):
            raise refused(f"its disk '{name}' is at no controller that vCenter shows", "Look at it in vCenter")


def clear(driver: VsphereDriver, obj: Any, vm: str, progress: Progress) -> None:
    """Delete the snapshots that backups took, those of killed runs too."""
    for snapshot in driver.snapshots_of.every(obj, vm):
        if snapshot.id.startswith(PREFIX) and snapshot.description == NOTE:
            progress(f"{vm}: deleting the snapshot '{snapshot.id}'")
            driver.snapshots_of.delete(obj, vm, snapshot)


def _cleared(driver: VsphereDriver, obj: Any, vm: str, name: str, progress: Progress) -> str:
    """`clear`; what is perhaps left, and why, if anything is."""
    try:
        clear(driver, obj, vm, progress)
    except DriverError as error:
        return f"the snapshot '{name}' is perhaps still there and grows ({error.what})"
    return ""


def _snapshot(driver: VsphereDriver, obj: Any, vm: VM, name: str, progress: Progress) -> tuple[float, str]:
    """Take the snapshot. Returns the point in time and how consistent it is."""
    def taken(quiesce: bool) -> float:
        created = time.time()
        doing = "take the snapshot of the backup"
        driver.tasks.run(doing, lambda: obj.CreateSnapshot_Task(name, NOTE, False, quiesce), vm.name, progress)
        return created

    if vm.power == "off":
        return taken(False), "offline"
    if vm.power == "on" and vm.state.get("tools") == "guestToolsRunning":
        try:
            return taken(True), "filesystem"
        except (Failed, Unsupported) as error:
            progress(f"{vm.name}: the guest could not be made quiet, so the backup is as after a crash: {error.what}")
            clear(driver, obj, vm.name, progress)
    return taken(False), "crash"


def _bring(
    driver: VsphereDriver, obj: Any, vm: str, drives: dict[str, devices.Disk], hardware: Sequence[Any], directory: Path,
    progress: Progress,
) -> dict[str, Path]:
    """The streams of the disks of the snapshot, in `directory`, by name: each of them whole."""
    snapshot = driver.snapshots_of.reference(obj, vm, PREFIX, NOTE)
    wanted = [(name, lease.place_of(disk.device, hardware)) for name, disk in drives.items()]
    streams = {name: directory / f".{name}.vmdk" for name in drives}
    found = {}
    with lease.held(driver, "export the snapshot", snapshot.ExportSnapshot, vm, progress) as export:
        urls = export.disks(wanted)
        export.total = sum(disk.size for disk in drives.values()) or 1
        for name, device in urls.items():
            progress(f"{vm}: downloading the disk '{name}'")
            found[name] = export.download(device, name, drives[name].size, streams[name], progress)
        manifest = export.manifest()
    for name, device in urls.items():
        said = manifest.get(str(device.key))
        size = drives[name].size
        problem = "it is not what vCenter says that it sent" if said and said != found[name] else ""
        problem = problem or vmdk.check(streams[name], size, whole=said is None)
        if problem:
            raise Failed(f"the disk '{name}' came damaged: {problem}", site=driver.site, vm=vm,
                         todo="Run again; if it stays, look at the network between here and the VM's host")
    return streams
