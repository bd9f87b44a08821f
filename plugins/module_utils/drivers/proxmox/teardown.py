"""Taking a VM down, and writing its mark. Taking down goes the other way than making: unmark first, delete last."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ...model.vm import VM
from ..driver import Conflict, Failed, NotFound, Progress, silent
from ..ownership import Written
from . import config as text
from . import listing
from . import mark as marks
from .errors import CHANGED

if TYPE_CHECKING:
    from .driver import ProxmoxDriver


def write_mark(
    driver: ProxmoxDriver,
    path: str,
    name: str,
    written: Written,
    config: text.Config,
    progress: Progress = silent,
) -> None:
    """Write the mark into the notes of `config`, and see to the tag. It is read back: what is built, and whose, hangs
    on it. What somebody else writes meanwhile stays: it is read, and the mark goes into that. Raises Conflict where it
    is a mark."""
    try:
        _write_notes(driver, path, name, written, config, progress)
    except Conflict as error:
        if not CHANGED.search(error.what):
            raise
        now = driver.api.get(f"{path}/config", "read the ownership mark", name)
        theirs = marks.find(now)
        if theirs != marks.find(config):
            whose = f"bears the mark of fleet '{theirs.mark.fleet}' since" if theirs else "has lost its mark since"
            raise Conflict(
                f"unable to write the ownership mark: somebody else changed the VM at the same moment, and it {whose}; "
                "it was left so",
                site=driver.site,
                vm=name,
                todo="Find out who else works on this VM, then run again",
            ) from None
        _write_notes(driver, path, name, written, now, progress)
    if marks.find(driver.api.get(f"{path}/config", "read the ownership mark", name)) != written:
        raise Failed(
            "unable to write the ownership mark: Proxmox reported it as done, yet the VM bears another one",
            site=driver.site,
            vm=name,
            todo="Run again; if it stays, look at the VM's notes in Proxmox",
        )


def _write_notes(
    driver: ProxmoxDriver, path: str, name: str, written: Written, config: text.Config, progress: Progress
) -> None:
    """Write notes and tags that are made of those of `config`, provided that it is still the VM's."""
    values = {
        "description": marks.notes(written, str(config.get("description") or "")),
        "tags": marks.tags(config.get("tags")),
        "digest": config.get("digest"),
    }
    driver.tasks.patiently(
        lambda: driver.api.put(f"{path}/config", "write the ownership mark", name, **values), name, progress, path
    )


def demolish(driver: ProxmoxDriver, vm: VM, progress: Progress) -> None:
    """Stop the VM, mark it as not built, take off the disks that Muster did not make, and delete it."""
    name = vm.name
    try:
        node, vmid, config = listing.find(driver.api, vm)
    except NotFound:
        if vm.state.get("built") is False:
            return
        raise
    path = f"nodes/{node}/qemu/{vmid}"
    written = marks.read(config, vmid)
    foreign = _foreign(driver, name, vmid, config, written)
    if listing.resource(driver.api, node, vmid, name).get("hastate"):
        driver.placement.manage(vmid, name, False)
    driver.power_of.off(path, name, progress, 0, force=True)
    if written is not None and written.built:
        half = replace(written, built=False, platform={**written.platform, "vmid": vmid})
        write_mark(driver, path, name, half, config, progress)
    if foreign:
        progress(f"{name}: leaving the disks {', '.join(foreign)}, which Muster did not make")
        driver.tasks.patiently(
            lambda: driver.api.put(f"{path}/config", "take off disks of others", name, delete=",".join(foreign)),
            name,
            progress,
            path,
        )
    upid = driver.tasks.patiently(
        lambda: driver.api.delete(path, "delete the VM", name, purge=1, **{"destroy-unreferenced-disks": 0}),
        name,
        progress,
        path,
    )
    driver.tasks.finish(upid, "delete the VM", name, progress)


def _foreign(
    driver: ProxmoxDriver, name: str, vmid: int, config: text.Config, written: Written | None
) -> list[str]:
    """The places of disks that Muster did not make and that can be taken off. Raises Conflict for one that Proxmox
    would delete with the VM, because it bears the VM's number."""
    if written is None or not written.built:
        return []
    known = (written.platform.get("devices") or {}).values()
    others = [drive for drive in text.drives(config) if drive.key not in known]
    others += [
        text.Drive(key, text.split(value)[0], {}) for key, value in config.items() if key.startswith("unused")
    ]
    doomed = [drive for drive in others if _own(drive.volume, vmid)]
    if doomed:
        raise Conflict(
            "it has disks that Muster did not make, and Proxmox would delete them with it: "
            + ", ".join(f"{drive.key} ({drive.volume})" for drive in doomed)
            + "; it was left as it is",
            site=driver.site,
            vm=name,
            todo="Move them to another VM (qm disk reassign), or delete them yourself, then run again",
        )
    return [drive.key for drive in others if not drive.key.startswith("unused")]


def _own(volume_: str, vmid: int) -> bool:
    """Whether a volume is one that was made with the VM of this number: Proxmox names them so."""
    name = volume_.rpartition(":")[2].rpartition("/")[2]
    return name.startswith(f"vm-{vmid}-")
