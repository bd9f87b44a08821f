"""Making a VM: empty, or as a copy of a template or of another VM. It bears its mark as *not built* from its first
moment, as vCenter writes both in one task, and is *built* when it is the one that was asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...model.fleet_planner import VMPlan
from ...model.units import format_size
from ...model.vm import VM
from ..driver import Conflict, Failed, Progress, Unknown, Unreachable
from ..ownership import Written, adopted
from . import contents, devices, listing, moves, needs, rights, room
from . import mark as marks
from .plan import Plan, empty, firmware, hardware
from .sdk import vim
from .site import Cluster
from .teardown import demolish, reconfigure

if TYPE_CHECKING:
    from .driver import VsphereDriver

_CONTROLLER, _FIRST = -100, -200  # keys of devices until vCenter gives them their own
_LOOK = "Look at its host and its datastore in vCenter, then run again"  # of a VM that it cannot read


def earlier(driver: VsphereDriver, plan: Plan, progress: Progress) -> VM | None:
    """What an earlier try left: the VM itself where it is whole; what is half made is thrown away first."""
    desired = plan.desired
    twins = listing.some(driver.session, driver.places, (plan.uuid, desired.name))
    _refuse_unreadable(driver, plan, twins)
    for twin in twins:
        found = adopted(desired, plan.uuid, plan.mark, twin)
        if found is not None:
            return found
        progress(f"{desired.name}: an earlier run stopped half way; it is made again")
        demolish(driver, twin, progress)
    return None


def _refuse_unreadable(driver: VsphereDriver, plan: Plan, twins: Iterable[VM]) -> None:
    """Raise Unreachable where the VM may be there, and vCenter cannot read its configuration: it is not absent."""
    session, name = driver.session, plan.desired.name
    which, more = "", ""
    if any(twin.state.get("unreadable") for twin in twins):
        which, more = "a VM of its name is there", ", so nobody can tell whether it is this one"
    elif listing.unreadable(session):  # it may be called otherwise by now
        index = session.content.searchIndex
        obj = session.ask("find the VM", lambda: index.FindByUuid(None, plan.uuid, True, True), name)
        for one in session.properties([obj], ["name"], "find the VM", name) if obj is not None else ():
            which = f"a VM called '{listing.name_of(one)}' bears its identity"
    if which:
        raise Unreachable(
            f"{which}, and vCenter cannot read its configuration now{more}; nothing was changed",
            site=driver.site,
            vm=name,
            todo=_LOOK,
        )


def make(driver: VsphereDriver, plan: Plan, progress: Progress) -> VM:
    """Make what `plan` says, powered off."""
    desired, name = plan.desired, plan.desired.name
    cluster = driver.places.cluster(desired)
    written = Written(
        plan.mark,
        marks.fields(desired),
        built=False,
        ready=plan.source is None and not plan.contents,
        seed=plan.seed or (plan.uuid if plan.guest else ""),
        platform={"uuid": plan.uuid, "devices": plan.devices},
    )
    wanted = {
        "instanceUuid": plan.uuid,
        "extraConfig": [
            marks.option(written),
            *(vim.option.OptionValue(key=key, value=value) for key, value in sorted(plan.guest.items())),
        ],
    }
    _check(driver, plan)
    made: Any = None
    try:
        if plan.contents:
            kept = contents.sized(plan, driver.site)
            made = contents.bring(driver, kept, cluster, _spec(driver, kept, cluster, wanted), progress)
            _claim(driver, plan, made, written)
        elif plan.source is None:
            made = _create(driver, plan, cluster, wanted, progress)
        else:
            made = _copy(driver, plan, cluster, wanted, progress)
            _claim(driver, plan, made, written)
            _prove(driver, plan, made, devices_too=False)
            _refit(driver, plan, cluster, made, progress)
            moves.spread(driver, plan, made, progress)
        _prove(driver, plan, made)
        _place(driver, plan, made, progress)
        edits = contents.growth(driver, plan, made) if plan.contents else []
        more: dict[str, Any] = {"deviceChange": edits} if edits else {}
        reconfigure(driver, made, name, "write the ownership mark", mark=replace(written, built=True), **more)
    except Unknown:  # vCenter may be making it still; a retry looks at what is there
        raise
    except Exception:
        with contextlib.suppress(Exception):  # the first error is the one to tell; a retry cleans up what stays
            _undo(driver, plan, made)
        raise
    return listing.current(driver.session, replace(desired, uuid=plan.uuid))


def _check(driver: VsphereDriver, plan: Plan) -> None:
    """Raise Denied for a right that the account lacks, Conflict for a datastore without room."""
    part = VMPlan(plan.desired, None, ())
    needed = rights.Needed(driver)
    needed.make(part, plan.source, bool(plan.contents), "DeployTemplate" if plan.template else "Clone")
    if _cared(plan):
        needed.care(driver.places.cluster(plan.desired))
    needed.check(plan.desired.name)
    paths = [plan.contents.get(disk["name"]) for disk in plan.desired["disks"] or ()]
    sent = [path.stat().st_size if path else 0 for path in paths]
    room.check(driver, [part], needs.Origin(plan.source._moId if plan.source else "", sent))


def _cared(plan: Plan) -> bool:
    """Whether its cluster promises something of the VM; not of a twin, which nobody must start again elsewhere."""
    desired = plan.desired
    return not plan.mark.fleet.endswith("/drill") and bool(desired["anti_affinity"] or desired["ha_priority"])


def _place(driver: VsphereDriver, plan: Plan, made: Any, progress: Progress) -> None:
    """Have its cluster promise what is asked for."""
    desired, mark = plan.desired, plan.mark
    if not _cared(plan):
        return
    (one,) = driver.session.properties([made], ["runtime.host"], "read the VM", desired.name)
    group, priority = desired["anti_affinity"], desired["ha_priority"]
    driver.placement.put(made, one.get("runtime.host"), desired.name, mark, progress, group, priority)


def _claim(driver: VsphereDriver, plan: Plan, made: Any, written: Written) -> None:
    """Give a copy its identity where vCenter chose another one for it, though nobody bears ours."""
    index, name = driver.session.content.searchIndex, plan.desired.name
    found = driver.session.ask("find the copy", lambda: index.FindByUuid(None, plan.uuid, True, True), name)
    if found is None and _is_vm(made):
        reconfigure(driver, made, name, "give the copy its identity", mark=written, instanceUuid=plan.uuid)


def _is_vm(made: Any) -> bool:
    return isinstance(made, vim.VirtualMachine)


def _undo(driver: VsphereDriver, plan: Plan, made: Any) -> None:
    """Delete what is half made; only what bears the mark of this very plan, whatever vCenter said of its task."""
    for one in driver.session.properties([made], listing.PATHS, "read what is half made", plan.desired.name):
        written = marks.read(one.get("config.extraConfig") or (), plan.uuid)
        if written is not None and not written.built and written.mark == plan.mark:
            driver.placement.leave(made, one.get("runtime.host"), plan.desired.name, plan.mark)
            driver.tasks.run("delete what is half made", made.Destroy_Task, plan.desired.name)


def _home(driver: VsphereDriver, plan: Plan, cluster: Cluster) -> tuple[str, Any]:
    """Name and reference of the datastore that holds the VM's own files: that of its first disk."""
    first = (plan.desired["disks"] or [None])[0]
    name = driver.pool_of(first, plan.desired.name) if first else driver.default_pool(plan.desired.name)
    return name, driver.places.datastore(cluster, name, plan.desired.name)


def _create(
    driver: VsphereDriver, plan: Plan, cluster: Cluster, wanted: Mapping[str, Any], progress: Progress
) -> Any:
    desired, name = plan.desired, plan.desired.name
    spec = _spec(driver, plan, cluster, wanted)
    for disk in desired["disks"] or ():
        progress(f"{name}: making the disk '{disk['name']}' of {format_size(disk['size'])}")
    folder, host = driver.places.folder(cluster, desired), driver.places.host(cluster, desired)
    return driver.tasks.run("make the VM", lambda: folder.CreateVM_Task(spec, cluster.pool, host), name, progress)


def _spec(driver: VsphereDriver, plan: Plan, cluster: Cluster, wanted: Mapping[str, Any]) -> Any:
    """The whole of a VM that has no source."""
    home, _reference = _home(driver, plan, cluster)
    return vim.vm.ConfigSpec(
        **wanted,
        name=plan.desired.name,
        uuid=plan.uuid,
        **{"numCPUs": 1, "memoryMB": 512, **hardware(plan.desired, {}, cluster.mhz)},
        **firmware(plan.desired),
        **empty(plan.was),
        files=vim.vm.FileInfo(vmPathName=f"[{home}]"),
        deviceChange=_new_devices(driver, plan, cluster, (), ()),
    )


def _copy(
    driver: VsphereDriver, plan: Plan, cluster: Cluster, wanted: Mapping[str, Any], progress: Progress
) -> Any:
    """A full copy of the template or VM, whose hardware it has until `_refit`; not even its disks are shared."""
    desired, name = plan.desired, plan.desired.name
    _name, datastore = _home(driver, plan, cluster)
    location = vim.vm.RelocateSpec(
        datastore=datastore,
        pool=cluster.pool,
        host=driver.places.host(cluster, desired),
        diskMoveType="moveAllDiskBackingsAndDisallowSharing",
        disk=moves.located(driver, plan, cluster),
    )
    spec = vim.vm.CloneSpec(
        location=location, template=False, powerOn=False, config=vim.vm.ConfigSpec(**wanted)
    )
    folder = driver.places.folder(cluster, desired)
    progress(f"{name}: copying {plan.title}")
    doing = f"copy '{plan.title}'"
    return driver.tasks.run(doing, lambda: plan.source.CloneVM_Task(folder, name, spec), name, progress)


def _new_devices(
    driver: VsphereDriver, plan: Plan, cluster: Cluster, there: tuple[Any, ...], taken: tuple[str, ...]
) -> list[Any]:
    """The disks of the plan that are not in `taken`, all of its NICs, and a controller where `there` has none."""
    desired, places = plan.desired, plan.devices
    buses = devices.controllers(there)
    controller = buses[0].key if 0 in buses else _CONTROLLER
    disks = [disk for disk in desired["disks"] or () if disk["name"] not in taken]
    changes = []
    if disks and controller == _CONTROLLER:
        changes.append(devices.new_controller(_CONTROLLER, plan.was.get("controller", "")))
    for n, disk in enumerate(disks):
        pool = driver.pool_of(disk, desired.name)
        driver.places.datastore(cluster, pool, desired.name)
        changes.append(devices.new_disk(disk, places[disk["name"]], pool, controller, _FIRST - n))
    for n, nic in enumerate(desired["nics"] or ()):
        backing = driver.places.network(cluster, str(nic["network"]), desired.name)
        changes.append(devices.new_nic(nic, places[nic["name"]], backing, _FIRST - 100 - n))
    return changes


def _refit(driver: VsphereDriver, plan: Plan, cluster: Cluster, made: Any, progress: Progress) -> None:
    """Bring a copy to what is asked for: it has the disks, the NICs and the hardware of its source."""
    desired, name = plan.desired, plan.desired.name
    (one,) = driver.session.properties([made], listing.PATHS, "read the VM", name)
    now = listing.now(driver.session, made, one)
    hardware_there = tuple(one.get("config.hardware.device") or ())
    by_place = {disk.place: disk for disk in devices.disks(hardware_there)}
    named = {disk["name"]: disk for disk in desired["disks"] or ()}
    places = {item: place for item, place in plan.devices.items() if item in named}
    unknown = sorted(by_place.keys() - set(places.values()))
    if unknown:
        raise Conflict(
            f"its source has {len(by_place)} disks, of which those at {', '.join(unknown)} would be none of the VM's; "
            "nothing was made",
            site=driver.site,
            vm=name,
            todo="Name as many disks in the fleet file as the template has, on its first SCSI controller",
        )
    changes = [devices.change("remove", nic.device) for nic in devices.nics(hardware_there)]
    taken = []
    for item, place in places.items():
        disk = by_place.get(place)
        if disk is None:
            continue
        taken.append(item)
        wanted = named[item]
        if disk.size > wanted["size"]:
            raise Conflict(
                f"its source has {format_size(disk.size)} and does not fit into the disk '{item}' of "
                f"{format_size(wanted['size'])}; nothing was made",
                site=driver.site,
                vm=name,
                todo=f"Give the disk at least {format_size(disk.size)}",
            )
        if disk.size < wanted["size"] or wanted.get("iops_limit"):
            devices.grown(disk, wanted["size"])
            changes.append(devices.change("edit", devices.limited(disk, wanted.get("iops_limit"))))
    changes += _new_devices(driver, plan, cluster, hardware_there, tuple(taken))
    reconfigure(
        driver,
        made,
        name,
        "configure the VM",
        progress,
        deviceChange=changes,
        uuid=plan.uuid,
        **hardware(desired, now.spec, cluster.mhz),
        **firmware(desired),
    )


def _prove(driver: VsphereDriver, plan: Plan, made: Any, devices_too: bool = True) -> None:
    """The VM must be the one that was asked for before anybody calls it built: vCenter gives another UUID to one that
    is there already, and copies what it was not told of."""
    name = plan.desired.name
    found = driver.session.properties([made], listing.PATHS, "read the VM", name) if _is_vm(made) else []
    problem = ""
    if not found:
        problem = "vCenter reported the VM as made, yet has none"
    elif str(found[0].get("config.instanceUuid")).lower() != plan.uuid:
        problem = "its instance UUID is not the one that was asked for: another one bears it"
        if unread := listing.unreadable(driver.session):
            problem += ", which may be one of those whose configuration vCenter cannot read now: " + ", ".join(
                f"'{one}'" for one in unread[:5])  # fmt: skip
    elif devices_too:
        there = found[0].get("config.hardware.device") or ()
        places = {*(disk.place for disk in devices.disks(there)), *(nic.mac for nic in devices.nics(there))}
        lacking = sorted(name for name, place in plan.devices.items() if place not in places)
        if lacking:
            problem = f"it lacks {', '.join(lacking)}"
        elif len(places) > len(plan.devices):
            problem = "it has devices that nobody asked for"
    if problem:
        todo = _LOOK if "cannot read" in problem else "Run again"
        raise Failed(f"{problem}; it was not started", site=driver.site, vm=name, todo=todo)
