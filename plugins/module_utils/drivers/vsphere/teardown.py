"""Writing to a VM, and taking it down. Taking down goes the other way than making: unmark first, delete last."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...model.vm import VM
from ..driver import Failed, NotFound, Progress, silent
from ..ownership import Written
from . import devices, listing
from . import mark as marks
from .sdk import vim

if TYPE_CHECKING:
    from .driver import VsphereDriver


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
    except NotFound:
        if vm.state.get("built") is False:
            return
        raise
    written = marks.read(one.get("config.extraConfig") or (), one.get("config.instanceUuid"))
    driver.power_of.off(obj, name, progress, 0, force=True)
    if written is not None and written.built:
        known = set(marks.devices(written).values())
        hardware = one.get("config.hardware.device") or ()
        foreign = [disk for disk in devices.disks(hardware) if disk.place not in known]
        if foreign:
            places = ", ".join(disk.place for disk in foreign)
            progress(f"{name}: leaving the disks at {places}, which Muster did not make")
        changes = [devices.change("remove", disk.device) for disk in foreign]
        half = replace(written, built=False)
        reconfigure(driver, obj, name, "take off disks of others", mark=half, deviceChange=changes)
    if written is not None:
        driver.placement.leave(obj, one.get("runtime.host"), name, written.mark)
    driver.tasks.run("delete the VM", obj.Destroy_Task, name, progress)
    if driver.session.properties([obj], ["name"], "delete the VM", name):
        raise Failed(
            "unable to delete the VM: vCenter reported it as deleted, yet still has it",
            site=driver.site,
            vm=name,
            todo="Run again; if it stays, look at the VM's tasks in vCenter",
        )
