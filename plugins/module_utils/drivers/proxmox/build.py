"""Making a VM: empty, as a copy of a template, or from the content of images; and taking it down.

The order makes it safe to be killed at any moment. The VM bears its mark, as not built, from the request that makes it;
it is marked as built when all its disks are there. Nobody has booted what is not built, so a retry throws it away.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...model.units import format_size
from ...model.vm import VM
from ..driver import Conflict, Failed, Progress, Unknown
from ..ownership import Written, adopted
from . import cloudinit, listing, needs
from . import config as text
from . import mark as marks
from .plan import Plan, firmware, hardware, volume
from .teardown import demolish, write_mark

if TYPE_CHECKING:
    from .driver import ProxmoxDriver

MOST_PARALLEL = 64  # VMs that are made at the same time, as in the field table: sites.NAME.parallel


def earlier(driver: ProxmoxDriver, plan: Plan, progress: Progress) -> VM | None:
    """What an earlier try left: the VM itself where it is whole; what is half made is thrown away first."""
    desired = plan.desired
    for twin in driver.twins(desired.name, plan.uuid):
        found = adopted(desired, plan.uuid, plan.mark, twin)
        if found is not None:
            return found
        progress(f"{desired.name}: an earlier run stopped half way; its unfinished disks are made again")
        demolish(driver, twin, progress)
    return None


def make(driver: ProxmoxDriver, plan: Plan, progress: Progress) -> VM:
    """Make what `plan` says, powered off. A number that somebody else took in this moment is not fought for: each time
    one more VM is made, so as many tries as VMs are made at once are enough."""
    for left in reversed(range(MOST_PARALLEL)):
        try:
            return _make(driver, plan, progress)
        except Conflict as error:
            if not left or "already exists" not in error.what:
                raise
    raise AssertionError("neither made nor refused")


def _make(driver: ProxmoxDriver, plan: Plan, progress: Progress) -> VM:
    desired = plan.desired
    node = _node(driver, plan)
    into = driver.default_pool(desired.name) if plan.archive else ""
    driver.room.space(needs.made(driver, desired, node, into), [node], "nothing was made")
    vmid = _number(driver, desired)
    written = Written(
        plan.mark,
        marks.fields(desired),
        built=False,
        ready=not (plan.contents or plan.source),
        seed=plan.seed,
        platform={"vmid": vmid, "uuid": plan.uuid, "devices": plan.devices},
    )
    try:
        if plan.archive:
            _restore(driver, plan, node, vmid, written, progress)
        elif plan.source is not None:
            _copy(driver, plan, plan.source, node, vmid, written, progress)
        else:
            _create(driver, plan, node, vmid, written, progress)
        _complete(driver, plan, node, vmid, written, progress)
    except Unknown:  # Proxmox may be making it still; a retry looks at what is there
        raise
    except BaseException:
        with contextlib.suppress(Exception):  # the first error is the one to tell; a retry cleans up what stays
            half = {"vmid": vmid, "node": node, "built": False}
            demolish(driver, replace(desired, uuid=plan.uuid, state=half), progress)
        raise
    made = listing.into(desired, desired["resource_pool"] or "")
    made = listing.current(driver.api, replace(made, uuid=plan.uuid, state={"vmid": vmid, "node": node}))
    if desired["ha_priority"] == "medium" and not plan.isolated:
        driver.placement.manage(vmid, desired.name, True)
        made = listing.current(driver.api, made)
    return made


def _node(driver: ProxmoxDriver, plan: Plan) -> str:
    """The node that the VM is made on: the one that is asked for, the one that has the content, else the emptiest."""
    if plan.desired["host"]:
        return str(plan.desired["host"])
    for upload in plan.contents.values():
        return upload.node
    if plan.source is not None:
        return str(plan.source["node"])
    return driver.placement.emptiest(plan.desired.name)


def _number(driver: ProxmoxDriver, desired: VM) -> int:
    return int(driver.api.get("cluster/nextid", "choose a number for the VM", desired.name))


def _create(
    driver: ProxmoxDriver, plan: Plan, node: str, vmid: int, written: Written, progress: Progress
) -> None:
    desired, name = plan.desired, plan.desired.name
    disks = {}
    for disk in desired["disks"] or ():
        upload = plan.contents.get(disk["name"])
        disks[plan.devices[disk["name"]]] = volume(driver, disk, source=upload.volume if upload else None)
        progress(f"{name}: making the disk '{disk['name']}' of {format_size(disk['size'])}")
    if plan.cloudinit:
        disks["ide2"] = f"{driver.default_pool(name)}:cloudinit"
    upid = driver.api.post(
        f"nodes/{node}/qemu",
        "make the VM",
        name,
        vmid=vmid,
        name=name,
        description=marks.notes(written),
        tags=marks.tags(""),
        pool=desired["resource_pool"] or None,
        boot="order=scsi0" if desired["disks"] else None,
        **hardware(plan, driver),
        **firmware(driver, desired),
        **disks,
    )
    driver.tasks.finish(upid, "make the VM", name, progress)


def _copy(
    driver: ProxmoxDriver,
    plan: Plan,
    source: listing.Resource,
    node: str,
    vmid: int,
    written: Written,
    progress: Progress,
) -> None:
    """A full copy of the template or VM."""
    name, home = plan.desired.name, str(source["node"])
    first = (plan.desired["disks"] or [None])[0]
    pool = driver.pool_of(first) if first else None
    progress(f"{name}: copying {source.get('name') or source['vmid']}")
    upid = driver.tasks.patiently(
        lambda: driver.api.post(
            f"nodes/{home}/qemu/{source['vmid']}/clone",
            f"copy '{source.get('name') or source['vmid']}'",
            name,
            newid=vmid,
            name=name,
            full=1,
            storage=pool,
            target=node if node != home else None,
            pool=plan.desired["resource_pool"] or None,
            description=marks.notes(written),
        ),
        name,
        progress,
        f"nodes/{home}/qemu/{source['vmid']}",
    )
    driver.tasks.finish(upid, "copy the template", name, progress)


def _restore(
    driver: ProxmoxDriver, plan: Plan, node: str, vmid: int, written: Written, progress: Progress
) -> None:
    name = plan.desired.name
    progress(f"{name}: restoring {plan.archive}")
    upid = driver.api.post(
        f"nodes/{node}/qemu",
        f"restore {plan.archive}",
        name,
        vmid=vmid,
        archive=plan.archive,
        storage=driver.default_pool(name),
        pool=plan.desired["resource_pool"] or None,
        name=name,
        description=marks.notes(written),
    )
    driver.tasks.finish(upid, f"restore {plan.archive}", name, progress)


def _complete(
    driver: ProxmoxDriver, plan: Plan, node: str, vmid: int, written: Written, progress: Progress
) -> None:
    """Bring what a copy or an image gave to what is asked for, then mark it as built."""
    desired, name, path = plan.desired, plan.desired.name, f"nodes/{node}/qemu/{vmid}"
    config = driver.api.get(f"{path}/config", "read the VM", name)
    changed: dict[str, Any] = {}
    gone: list[str] = []
    if plan.source is not None or plan.archive:
        changed, gone = _refit(driver, plan, config)
    _set(driver, path, name, {**changed, **({"delete": ",".join(gone)} if gone else {})}, progress)
    config = driver.api.get(f"{path}/config", "read the VM", name)
    there = {drive.key: drive for drive in text.drives(config)}
    for disk in desired["disks"] or ():
        key = plan.devices[disk["name"]]
        drive = there.get(key)
        if drive is None:
            progress(f"{name}: making the disk '{disk['name']}' of {format_size(disk['size'])}")
            _set(driver, path, name, {key: volume(driver, disk)}, progress)
        elif drive.size >= disk["size"] + marks.GRAIN:  # less is what the storage rounded up
            raise Conflict(
                f"its source has {format_size(drive.size)} and does not fit into the disk '{disk['name']}' of "
                f"{format_size(disk['size'])}; nothing was made",
                site=driver.site,
                vm=name,
                todo=f"Give the disk at least {format_size(drive.size)}",
            )
        elif drive.size < disk["size"]:
            grow(driver, path, name, drive.key, disk["size"], progress)
        storage = driver.pool_of(disk)
        if plan.source is not None and drive is not None and drive.storage != storage:  # a copy goes to one as a whole
            config = driver.api.get(f"{path}/config", "read the VM", name)
            move(driver, path, name, drive.key, disk["name"], storage, config, progress)
    config = driver.api.get(f"{path}/config", "read the VM", name)
    _prove(driver, plan, config)
    whole = replace(written, built=True, platform={"uuid": plan.uuid, "devices": written.platform["devices"]})
    write_mark(driver, path, name, whole, config, progress)


def _refit(driver: ProxmoxDriver, plan: Plan, config: text.Config) -> tuple[dict[str, Any], list[str]]:
    """What of a copy must change, and which keys must go: it has the NICs, the disks and the identity of its source."""
    desired, wanted = plan.desired, plan.desired["disks"] or ()
    there = {drive.key: drive for drive in text.drives(config)}
    unknown = sorted(there.keys() - {plan.devices[disk["name"]] for disk in wanted})
    if unknown:
        raise Conflict(
            f"its source has {len(there)} disks, of which {', '.join(unknown)} would be none of the VM's; the disks of "
            "a VM of Muster are scsi0, scsi1 … and each is named in the fleet file; nothing was made",
            site=driver.site,
            vm=desired.name,
            todo="Move the template's disks to SCSI (qm set), and name as many disks in the fleet file",
        )
    changed = hardware(plan, driver, text.cpus_of(config))
    changed["tags"] = marks.tags(config.get("tags"))
    for disk in wanted:
        drive = there.get(plan.devices[disk["name"]])
        options = text.disk_options(disk)
        if drive is not None and any(drive.options.get(key) != value for key, value in options.items()):
            changed[drive.key] = text.join(drive.volume, {**drive.options, **options})
    if plan.cloudinit and not cloudinit.drive(config):
        changed["ide2"] = f"{driver.default_pool(desired.name)}:cloudinit"
    if desired["firmware"] == "uefi" and "efidisk0" not in config:
        changed.update(firmware(driver, desired))
    gone = [nic.key for nic in text.nics(config) if nic.key not in changed]
    return changed, [*gone, *(key for key in ("vcpus",) if key in config)]


def _prove(driver: ProxmoxDriver, plan: Plan, config: text.Config) -> None:
    """The VM must be the one that was asked for before anybody calls it built, and a twin must reach nothing."""
    problem = ""
    sizes = {drive.key: drive.size for drive in text.drives(config)}
    for disk in plan.desired["disks"] or ():
        if sizes.get(plan.devices[disk["name"]], 0) < disk["size"]:
            problem = f"its disk '{disk['name']}' has not the {format_size(disk['size'])} that Proxmox reported as done"
    if text.uuid_of(config) != plan.uuid:
        problem = "its UUID is not the one that was set"
    elif plan.isolated and text.nics(config):
        problem = "the twin has a NIC"
    if problem:
        raise Failed(f"{problem}; it was not started", site=driver.site, vm=plan.desired.name, todo="Run again")


def _set(driver: ProxmoxDriver, path: str, name: str, changes: Mapping[str, Any], progress: Progress) -> None:
    """Change the configuration of a VM, as a task where Proxmox makes one of it."""
    if changes:
        upid = driver.tasks.patiently(
            lambda: driver.api.post(f"{path}/config", "configure the VM", name, **changes), name, progress, path
        )
        driver.tasks.finish(upid, "configure the VM", name, progress)


def grow(driver: ProxmoxDriver, path: str, name: str, key: str, size: int, progress: Progress) -> None:
    """Grow a disk to `size` bytes, whether the VM runs or not."""
    progress(f"{name}: growing the disk {key} to {format_size(size)}")
    upid = driver.tasks.patiently(
        lambda: driver.api.put(f"{path}/resize", f"grow the disk {key}", name, disk=key, size=f"{size >> 10}K"),
        name,
        progress,
        path,
    )
    driver.tasks.finish(upid, f"grow the disk {key}", name, progress)


def move(
    driver: ProxmoxDriver, path: str, name: str, key: str, disk: str, storage: str, config: text.Config,
    progress: Progress,
) -> None:
    """Move a disk to another storage, whether the VM runs or not; its old volume goes when the new one is whole."""
    doing = f"move the disk '{disk}' to the storage '{storage}'"
    progress(f"{name}: moving the disk '{disk}' to {storage}")
    upid = driver.tasks.patiently(
        lambda: driver.api.post(f"{path}/move_disk", doing, name, disk=key, storage=storage, delete=1,
                                digest=config.get("digest")), name, progress, path)  # fmt: skip
    driver.tasks.finish(upid, doing, name, progress)
    drives = text.drives(driver.api.get(f"{path}/config", "read the VM", name))
    if not any(drive.key == key and drive.storage == storage for drive in drives):
        raise Failed(
            f"unable to {doing}: Proxmox reported it as done, yet the disk is not there",
            site=driver.site,
            vm=name,
            todo="Look at the VM's tasks in Proxmox, then run again",
        )
