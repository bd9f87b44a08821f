"""Writing to a VM, and taking it down. Taking down goes the other way than making: unmark first, delete last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...model.vm import VM
from ..driver import Conflict, Failed, NotFound, Progress, silent
from ..ownership import Written
from . import devices, listing
from . import mark as marks
from .sdk import vim

if TYPE_CHECKING:
    from .driver import VsphereDriver


_LEFT = "left"  # of the mark's `platform`: disks of others lie in the VM's own folder, which must stay


def reconfigure(
    driver: VsphereDriver,
    obj: Any,
    name: str,
    doing: str,
    progress: Progress = silent,
    mark: Written | None = None,
    version: str | None = None,
    **fields: Any,
) -> None:
    """Change a VM, in one task: all or nothing. `mark` goes with it. `version` is what the change was made from:
    vCenter refuses it where somebody else wrote another since."""
    if mark is not None:
        fields["extraConfig"] = [*fields.get("extraConfig", ()), marks.option(mark)]
    spec = vim.vm.ConfigSpec(**fields)
    if version:
        spec.changeVersion = version
    driver.tasks.run(doing, lambda: obj.ReconfigVM_Task(spec), name, progress)
    if mark is None:
        return
    # What is written in the same task shows whether the task did anything.
    found = driver.session.properties([obj], ["config.extraConfig"], doing, name)
    extra = found[0].get("config.extraConfig") or () if found else ()
    if marks.read(extra, str(mark.platform["uuid"])) != mark:
        raise Failed(
            f"unable to {doing}: vCenter reported it as done, yet the VM does not show it",
            site=driver.site,
            vm=name,
            todo="Run again; if it stays, look at the VM's tasks in vCenter",
        )


def demolish(driver: VsphereDriver, vm: VM, progress: Progress) -> None:
    """Stop the VM, mark it as not built, take off the disks that Muster did not make, and delete it."""
    name = vm.name
    try:
        obj, one = listing.find(driver.session, vm)
        _refuse(driver, obj, one, name)
    except NotFound:
        if vm.state.get("built") is False:
            return
        raise
    written = marks.read(one.get("config.extraConfig") or (), one.get("config.instanceUuid"))
    driver.power_of.off(obj, name, progress, 0, force=True)
    if written is not None and written.built:
        written = _released(driver, obj, one, name, written, progress)
    if written is not None:
        driver.placement.leave(obj, one.get("runtime.host"), name, written.mark, progress)
    if written is not None and written.platform.get(_LEFT):
        driver.session.do("take the VM out of the inventory", obj.UnregisterVM, name)
    else:
        driver.tasks.run("delete the VM", obj.Destroy_Task, name, progress)
    if driver.session.properties([obj], ["name"], "delete the VM", name):
        raise Failed(
            "unable to delete the VM: vCenter reported it as deleted, yet still has it",
            site=driver.site,
            vm=name,
            todo="Run again; if it stays, look at the VM's tasks in vCenter",
        )


def _foreign(one: Mapping[str, Any], written: Written) -> list[devices.Disk]:
    """The disks that Muster did not make."""
    known = set(marks.devices(written).values())
    return [disk for disk in devices.disks(one.get("config.hardware.device") or ()) if disk.place not in known]


def _refuse(driver: VsphereDriver, obj: Any, one: Mapping[str, Any], name: str) -> None:
    """Raise Conflict where disks of others would go with the VM: vCenter deletes what its snapshots refer to."""
    written = marks.read(one.get("config.extraConfig") or (), one.get("config.instanceUuid"))
    if written is None or not written.built or not _foreign(one, written):
        return
    found = driver.session.properties([obj], ["snapshot"], "look for snapshots", name)
    if found and found[0].get("snapshot") is not None:
        raise Conflict(
            "it has disks that Muster did not make, and snapshots, with which vCenter would delete them; nothing was "
            "changed",
            site=driver.site,
            vm=name,
            todo="Delete its snapshots first, or detach those disks",
        )


def _released(
    driver: VsphereDriver, obj: Any, one: Mapping[str, Any], name: str, written: Written, progress: Progress
) -> Written:
    """Mark the VM as not built, and take off the disks that Muster did not make. Where one of them lies in the VM's own
    folder the VM's disks of ours are deleted here, and the rest is left: nobody but vCenter knows what else goes with a
    folder."""
    foreign = _foreign(one, written)
    if foreign:
        progress(f"{name}: leaving the disks at {', '.join(disk.place for disk in foreign)}, which Muster did not make")
    changes = [devices.change("remove", disk.device) for disk in foreign]
    half = replace(written, built=False)
    if foreign:
        found = driver.session.properties([obj], ["config.files.vmPathName"], "read the VM's folder", name)
        folder = str(found[0].get("config.files.vmPathName") or "").rpartition("/")[0] if found else ""
        if any(listing.path_of(disk).rpartition("/")[0] == folder for disk in foreign):
            places = {disk.place for disk in foreign}
            for disk in devices.disks(one.get("config.hardware.device") or ()):
                if disk.place not in places:
                    changes.append(devices.change("remove", disk.device, "destroy"))
            half = replace(half, platform={**half.platform, _LEFT: True})
    reconfigure(driver, obj, name, "take off disks of others", mark=half, deviceChange=changes)
    return half
