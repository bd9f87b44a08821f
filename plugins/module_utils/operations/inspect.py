"""Reading a fleet: its VMs as the documents that rules and reports see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ..drivers.driver import Capability, Driver, DriverError, Progress, Snapshot, silent
from ..model.fleet import Fleet
from ..model.units import format_time
from ..model.vm import VM
from . import health, hosts, surveys
from .backup import repository_of
from .converge import see
from .session import Unasked, Width, chosen, each, width


def look(
    fleet: Fleet,
    drivers: Mapping[str, Driver],
    names: Iterable[str] = (),
    gather: Sequence[str] = (),
    every: bool = False,
    patience: float = 0,
    parallel: int | None = None,
    progress: Progress = silent,
    unasked: Unasked | None = None,
) -> dict[str, Any]:
    """What is known of a fleet, after one listing of each site.

    ``vms`` holds its VMs (`every`: all of the sites) as documents; `gather` adds to them: ``health`` the keys
    ``health_state`` and ``health_checks``, ``snapshots`` and ``restore_points`` lists, oldest first, ``sites`` the host
    that each VM is on, the backups that the platform keeps of it (``archives``), and under ``sites`` a document of each
    site whose platform can be surveyed. With `every` what cannot be asked beside the listing is left out and told in
    ``notes``, sentences that also have what a survey did not see; else it is raised. ``hosts`` holds for each guest
    that can be reached its ``variables`` and ``groups`` in Ansible, ``fleet`` the name, the rules, the waivers and the
    VMs of the file. ``missing`` and ``down`` are sentences: on VMs of the file that the site does not have, and on
    those that are off though the file wants them on. `unasked` has the errors of sites that could not be opened and
    takes those of sites that do not answer: these are told in ``unasked`` and ``notes``, and nothing is known of their
    VMs. Without it they are raised.
    """
    wanted = {(vm.site, vm.name): vm for vm in (chosen(fleet, names) if fleet.vms or not every else ())}
    seen = see(fleet, drivers, every, unasked)
    lost = {error.site for error in unasked or ()}
    drivers = {name: driver for name, driver in drivers.items() if name not in lost}
    ours = [
        vm for vm in seen if vm.mark is not None and vm.mark.fleet == fleet.name and (vm.site, vm.mark.vm) in wanted
    ]

    there = {(vm.site, vm.owner.vm): vm for vm in ours}
    unread = {(vm.site, vm.name) for vm in seen if vm.power == "unknown"}  # nobody knows whose these are
    unseen: surveys.Unseen = [("all that it has", error) for error in unasked or ()]
    surveyed = surveys.of(drivers, seen, unseen if every else None) if "sites" in gather else {}

    shown = seen if every else ours
    at_once = width(fleet, drivers, parallel)
    snapshots = _snapshots(drivers, shown, at_once, unseen if every else None) if "snapshots" in gather else {}

    def work(vm: VM) -> dict[str, Any]:
        document = _document(fleet, drivers[vm.site], vm, gather, patience, progress, snapshots)
        return {**document, **surveys.of_vm(surveyed[vm.site], vm)} if vm.site in surveyed else document

    def failed(vm: VM, error: Exception) -> dict[str, Any]:
        raise error

    return {
        "vms": each(shown, work, failed, at_once),
        "sites": [surveys.document(fleet.sites[name], survey, seen) for name, survey in surveyed.items()],
        "hosts": {
            name: {"variables": found, "groups": hosts.groups(vm)}
            for name, vm in hosts.of_fleet(fleet, ours).items()
            if (found := hosts.variables(fleet, vm))
        },
        "notes": [*surveys.sentences(unseen), *(note for one in surveyed.values() for note in one.notes if every)],
        "unasked": [str(error) for error in unasked or ()],
        "missing": [
            f"VM '{name}' at site '{site}': the fleet file names it, and the site has no VM with its mark. Make it "
            "with provision or bring it back with restore, or name the others with fleet_vms."
            for site, name in wanted
            if site in drivers and (site, name) not in there and (site, name) not in unread
        ],
        "down": [
            f"VM '{name}' at site '{site}': it is off, and the fleet file wants it on. Start it with provision, or "
            "name the others with fleet_vms."
            for (site, name), vm in wanted.items()
            if vm["power"] == "on" and (site, name) in there and there[site, name].power != "on"
        ],
        "fleet": {
            "name": fleet.name,
            "rules": list(fleet.rules),
            "waivers": [asdict(waiver) for waiver in fleet.waivers],
            "source": fleet.source,
            "spec": fleet.documents(wanted.values()),
        },
    }


def _snapshots(
    drivers: Mapping[str, Driver], vms: Sequence[VM], parallel: Width, unseen: surveys.Unseen | None
) -> dict[tuple[str, str], Sequence[Snapshot]]:
    """The snapshots by site and UUID. Why some could not be asked goes to `unseen`; where that is None it is raised."""
    found: dict[tuple[str, str], Sequence[Snapshot]] = {}
    able = [vm for vm in vms if Capability.SNAPSHOT in drivers[vm.site].capabilities]
    for name in sorted({vm.site for vm in able}):
        try:
            told = drivers[name].snapshots_of_all([vm for vm in able if vm.site == name])
        except DriverError as error:
            surveys.not_seen("snapshots", error, unseen)
            able = [vm for vm in able if vm.site != name]
        else:
            found |= {(name, uuid): snapshots for uuid, snapshots in (told or {}).items()}
    rest = [vm for vm in able if (vm.site, str(vm.uuid)) not in found]

    def failed(_vm: VM, error: Exception) -> None:
        surveys.not_seen("snapshots", error, unseen)

    asked = each(rest, lambda vm: drivers[vm.site].snapshots(vm), failed, parallel)
    alone = zip(rest, asked, strict=True)
    return found | {(vm.site, str(vm.uuid)): snapshots for vm, snapshots in alone if snapshots is not None}


def _document(
    fleet: Fleet, driver: Driver, vm: VM, gather: Sequence[str], patience: float, progress: Progress,
    known: Mapping[tuple[str, str], Sequence[Snapshot]],
) -> dict[str, Any]:
    document = fleet.documents([vm])[0]
    if (vm.site, str(vm.uuid)) in known:
        document["snapshots"] = [
            {**asdict(snapshot), "name": snapshot.id, "created": format_time(snapshot.created)}
            for snapshot in known[vm.site, str(vm.uuid)]
        ]
    ours = vm.mark is not None and vm.mark.fleet == fleet.name
    if "restore_points" in gather and ours and fleet.sites[vm.site]["repository"]:
        repository = repository_of(fleet, vm)
        points, damaged = repository.points(vm)
        document["restore_points"] = [
            {
                "id": point.id,
                "created": format_time(point.created),
                "kind": point.kind,
                "bytes": point.bytes,
                "consistency": point.consistency,
            }
            for point in points
        ]
        document["restore_points_damaged"] = damaged
        document["drills"] = [
            {
                "restore_point": str(record.get("restore_point")),
                "outcome": str(record.get("outcome")),
                "created": format_time(float(record.get("time") or 0)),
                **{key: record[key] for key in ("rto_seconds", "rpo_seconds") if _measured(record.get(key))},
            }
            for record in repository.drills(vm)
        ]
    if "health" in gather:
        on = vm.power == "on"
        checks = health.ask(driver, vm, vm["health"], patience, progress) if on else [health.OFF]
        document["health_state"] = health.verdict(checks)
        document["health_checks"] = [check.as_dict() for check in checks]
    return document


def _measured(value: object) -> bool:
    """Whether a record of a drill, which anybody with the repository may have written, holds seconds."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1 << 40
