"""What a plan takes from the datastores of a site.

vSphere lets thin disks promise more than a datastore has, and so do we: of them only what is written at once must find
room, and something must be free. A disk that is copied or moved takes what vCenter last saw it hold, one that is sent
as much as its file (a compressed image comes to more), a thick one its whole size, as does one of which vCenter does
not tell. An image by `url` counts when its VM is made. Swap files, snapshots and logs do not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Union

from ...model.fleet_planner import VMPlan
from ...model.vm import VM
from ..driver import Template
from . import devices
from .moves import PLACES
from .sdk import vim
from .site import Cluster

if TYPE_CHECKING:
    from .driver import VsphereDriver

# The disks of VMs and templates, by vCenter's id: place → bytes that each holds, None for its whole size.
Held = Mapping[str, Mapping[str, Union[int, None]]]  # noqa: UP007 - ansible-test reads it as an older Python


class Need(NamedTuple):
    """Bytes that a disk takes in a datastore: `size` in all, `written` at once. Negative ones are given back."""

    pool: str
    size: int
    written: int


class Origin(NamedTuple):
    """What a VM is made of: `source`, vCenter's id of what is copied, or `contents`, the bytes sent for each disk."""

    source: str = ""
    contents: Sequence[int] = ()


def cluster_of(driver: VsphereDriver, plan: VMPlan) -> Cluster | None:
    """The cluster whose datastores a plan writes to: the one that the VM is made in, or is in. None where nobody can
    say."""
    if made(plan):
        return driver.places.cluster(plan.vm)
    return next((one for one in driver.places.clusters() if plan.there["host"] in one.hosts), None)


def made(plan: VMPlan) -> bool:
    """Whether the VM is made by a plan, perhaps after an older one of it was deleted."""
    return plan.desired is not None and (plan.actual is None or plan.how == "replace")


def origins_of(driver: VsphereDriver, plans: Sequence[VMPlan]) -> list[Origin]:
    """What the VMs of `plans` are made of by their images, as far as those are here; each is looked at once."""
    known: dict[Any, Origin] = {None: Origin()}
    images = [plan.vm["image"] if made(plan) else None for plan in plans]
    for plan, image in zip(plans, images, strict=True):
        if image not in known:
            entry = (driver.access["images"] or {}).get(image) or {}
            path = Path(entry["path"]) if entry.get("path") else None
            known[image] = Origin(contents=[path.stat().st_size]) if path and path.is_file() else Origin()
            if entry.get("template"):
                template = Template(str(image), str(entry["template"]))
                known[image] = Origin(driver.template(template, plan.vm.name)._moId)
    return [known[image] for image in images]


def held_by(driver: VsphereDriver, plans: Sequence[VMPlan], origins: Sequence[Origin]) -> Held:
    """What the disks hold that are copied, moved, or deleted to be made again: one question."""
    ids = {one.source for one in origins} - {""}
    ids |= {str(plan.there.state["moid"]) for plan in plans if plan.actual and (made(plan) or _moved(plan))}
    asked = [vim.VirtualMachine(one) for one in sorted(ids)]
    found: dict[str, dict[str, int | None]] = {}
    paths = ["config.hardware.device", "layoutEx.disk", "layoutEx.file"]
    for obj, its in driver.session.pairs(asked, paths, "look at what the disks hold") if asked else ():
        sizes = {file.key: int(file.size or 0) for file in its.get("layoutEx.file") or ()}
        files = {disk.key: [sizes.get(key, 0) for unit in disk.chain for key in unit.fileKey]
                 for disk in its.get("layoutEx.disk") or ()}  # fmt: skip
        found[str(obj._moId)] = {
            disk.place: sum(files[disk.device.key])
            if files.get(disk.device.key) and getattr(disk.device.backing, "thinProvisioned", None) else None
            for disk in devices.disks(its.get("config.hardware.device") or ())
        }  # fmt: skip
    return found


def _moved(plan: VMPlan) -> set[str]:
    """The names of the disks that are to be in another datastore."""
    return {change.keys[1] for change in plan.changes if change.keys[2:] in PLACES}


def taken(driver: VsphereDriver, plan: VMPlan, origin: Origin, held: Held) -> Iterator[Need]:
    """What a plan takes from each datastore."""
    desired, actual = plan.desired or VM(plan.vm.name, plan.vm.site, {}), plan.actual
    before = {disk["name"]: disk for disk in (actual["disks"] or () if actual else ())}
    told = (actual.state.get("disks") or {}) if actual else {}
    kept = held.get(str(actual.state["moid"]), {}) if actual else {}

    def holds(disk: Mapping[str, Any]) -> int:
        known = kept.get(told.get(disk["name"], {}).get("place"))
        return int(disk["size"]) if known is None else known

    if made(plan):
        for disk in before.values():
            yield Need(str(disk.get("pool") or ""), -int(disk["size"]), -holds(disk))
        yield from _new(driver, desired, origin.contents, list(held.get(origin.source, {}).values()))
        return
    changed = {change.keys[1] for change in plan.changes if change.keys[:1] == ("disks",) and len(change.keys) > 1}
    moved = _moved(plan)
    for disk in desired["disks"] or ():
        name, size, there = disk["name"], int(disk["size"]), before.get(disk["name"])
        if there is None and name in changed:
            yield Need(driver.pool_of(disk, desired.name), size, 0)
        elif there is not None and name in moved and driver.pool_of(disk, desired.name) != there.get("pool"):
            yield Need(driver.pool_of(disk, desired.name), size, holds(disk))
        elif there is not None and name in changed:
            growth = max(0, size - int(there["size"]))
            thin = told.get(name, {}).get("provisioning") == "thin"
            yield Need(str(there.get("pool") or ""), growth, 0 if thin else growth)


def _new(driver: VsphereDriver, vm: VM, contents: Sequence[int], copied: Sequence[int | None]) -> Iterator[Need]:
    """What a VM takes that is made of what is sent for its first disks, or of copies of disks that hold so much."""
    for n, disk in enumerate(vm["disks"] or ()):
        size, written = int(disk["size"]), contents[n] if n < len(contents) else 0
        if n < len(copied):
            known = copied[n]
            written = size if known is None else min(size, known)
        yield Need(driver.pool_of(disk, vm.name), size, written)
