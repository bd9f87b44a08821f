"""Converge: make the VMs of a fleet what its file says, in one call."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..drivers.driver import Capability, Conflict, Driver, DriverError, Progress, Template, silent
from ..model.errors import ModelError
from ..model.fleet import Fleet
from ..model.fleet_planner import FleetPlan, VMPlan, plan_fleet
from ..model.planner import Change, describe, render
from ..model.vm import VM, Mark
from . import images, needed
from .session import Unasked, chosen, each, list_all, new_operation, only, width
from .waves import waves_of

NOT_BEGUN = "not_begun"  # how of a VM that was left because one failed before it


@dataclass(frozen=True)
class Allowed:
    """What a run may do beyond changing running VMs. Nothing of it is allowed unless somebody says so."""

    power_cycle: bool = False
    replace: bool = False
    delete: bool = False
    force: bool = False  # cut the power of a guest that was asked to shut down and did not in time


@dataclass(frozen=True)
class Outcome:
    """What happened to one VM, or in check mode what would."""

    vm: str
    site: str
    uuid: str | None = None
    changed: bool = False
    how: str = "none"
    changes: tuple[str, ...] = ()
    diff: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    power: str = ""
    address: str = ""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


def see(
    fleet: Fleet, drivers: Mapping[str, Driver], report: bool = False, unasked: Unasked | None = None
) -> list[VM]:
    """All VMs of the sites, one listing a site, for a `report` one overview. What an interrupted run left half made is
    not a VM yet. Sites that fail are raised, or go to `unasked`."""
    return [
        vm
        for listed in list_all(drivers, report, unasked).values()
        for vm in listed
        if vm.mark is None or vm.mark.fleet != fleet.name or vm.state.get("built", True)
    ]


def make_plan(
    fleet: Fleet, drivers: Mapping[str, Driver], names: Iterable[str] = (), allowed: Allowed | None = None
) -> FleetPlan:
    """The plan of the VMs of `names` (all if none). Raises the contract's errors where a site does not answer."""
    allowed = allowed or Allowed()

    def refine(change: Change, actual: VM) -> str:
        return drivers[actual.site].refine(change, actual)

    part = Fleet(fleet.name, fleet.sites, chosen(fleet, names), fleet.rules, fleet.waivers, fleet.source)
    whole = not tuple(names)
    return plan_fleet(part, see(fleet, drivers), refine, delete=allowed.delete and whole)


def converge(
    fleet: Fleet,
    drivers: Mapping[str, Driver],
    names: Iterable[str] = (),
    allowed: Allowed | None = None,
    check: bool = False,
    parallel: int | None = None,
    wait: bool = True,
    progress: Progress = silent,
    waves: Sequence[str] = (),
    max_fail: int = 0,
) -> list[Outcome]:
    """Do what `make_plan` says, VMs side by side; in check mode only say it. Each VM of the plan has its outcome.

    What cannot be done is found before anything changes: then nothing is changed at all. One VM that fails later does
    not stop the others of its wave; no later wave is begun once more than `max_fail` have. `waves` are their sizes;
    without any there is one.
    """
    allowed = allowed or Allowed()
    waves_of((), waves)  # what is no size is refused before anything is asked
    plan = make_plan(fleet, drivers, names, allowed)
    blocked = [Outcome(error.vm, error.site, error=str(error)) for error in plan.refused]
    blocked += [outcome for part in (*plan.create, *plan.change) for outcome in _blocked(part, drivers, allowed)]
    if not blocked:
        made = [part.vm for part in (*plan.create, *plan.change) if part.how in ("create", "replace")]
        lacking = needed.missing(fleet, made, not check, progress)
        blocked = [Outcome(vm.name, vm.site, error=lacking[vm.name]) for vm in made if vm.name in lacking]
    if not blocked:
        blocked = _blocked_together((*plan.create, *plan.change, *plan.delete), drivers)
    unfinished = [part for part in plan.unchanged if _unfinished(part)]
    steps = [*plan.create, *plan.change, *unfinished, *plan.delete]
    left = [_unchanged(part) for part in plan.unchanged if part not in unfinished]
    if blocked:
        named = {outcome.vm for outcome in blocked}
        others = [_not_begun(part, f"VM '{blocked[0].vm}' was refused") for part in steps if part.vm.name not in named]
        return _in_order(fleet, [*blocked, *others, *left])
    operation = new_operation("converge")
    done = [_predicted(part) for part in steps] if check else []
    for wave in [] if check else waves_of(steps, waves):
        failed = [outcome.vm for outcome in done if outcome.error and outcome.how != NOT_BEGUN]
        if len(failed) > max_fail:
            done += [_not_begun(part, f"VM '{failed[0]}' failed in an earlier wave") for part in wave]
            continue
        tried = each(
            wave,
            lambda part: _carry_out(part, fleet, drivers, allowed, operation, wait, progress),
            lambda part, error: Outcome(
                part.vm.name, part.vm.site, part.actual.uuid if part.actual else None, error=str(error)
            ),
            width(fleet, drivers, parallel),
            lambda part: part.vm.site,
        )
        done += _read_back(fleet, drivers, allowed, tried)
    return _in_order(fleet, [*done, *left])


def _in_order(fleet: Fleet, done: Sequence[Outcome]) -> list[Outcome]:
    order = {vm.name: index for index, vm in enumerate(fleet.vms)}
    return sorted(done, key=lambda outcome: order.get(outcome.vm, len(order)))


def _not_begun(part: VMPlan, why: str) -> Outcome:
    vm = part.vm
    error = Conflict(
        f"it was not begun and is as it was, because {why}", site=vm.site, vm=vm.name, todo="Mend that, then run again"
    )
    return Outcome(vm.name, vm.site, part.actual.uuid if part.actual else None, how=NOT_BEGUN, error=str(error))


def _blocked(part: VMPlan, drivers: Mapping[str, Driver], allowed: Allowed) -> list[Outcome]:
    """Why this VM's plan may not be carried out; empty if it may."""
    vm = part.vm
    try:
        drivers[vm.site].check(vm)
    except DriverError as error:
        return [Outcome(vm.name, vm.site, error=str(error))]
    actual = part.actual
    if actual is None:
        return []
    cycles = [change for change in part.changes if change.how == "power_cycle" and actual.power == "on"]
    replaces = [change for change in part.changes if change.how == "replace"]
    found = []
    for asked, may, what in (
        (replaces, allowed.replace, "replacing it"),
        (cycles, allowed.power_cycle, "a power cycle"),
    ):
        if asked and not may:
            option = "allow_replace" if asked is replaces else "allow_power_cycle"
            found.append(
                Outcome(
                    vm.name,
                    vm.site,
                    actual.uuid,
                    how=part.how,
                    error=(
                        f"VM '{vm.name}' at site '{vm.site}': {'; '.join(describe(change) for change in asked)} needs "
                        f"{what}, which this run does not allow. Nothing was changed. Allow it with {option}, or undo "
                        "the change in the fleet file."
                    ),
                    changes=tuple(describe(change) for change in part.changes),
                )
            )
    return found


def _blocked_together(parts: Sequence[VMPlan], drivers: Mapping[str, Driver]) -> list[Outcome]:
    """What each site lacks for all that this run would do there: a right, or room."""
    found = []
    for site in sorted({part.vm.site for part in parts}):
        try:
            drivers[site].check_run([part for part in parts if part.vm.site == site])
        except DriverError as error:
            its = [part.vm for part in parts if part.vm.site == site]
            found += [Outcome(vm.name, site, error=str(error)) for vm in its if error.vm in (None, vm.name)]
    return found


def _predicted(part: VMPlan) -> Outcome:
    actual = part.actual
    changes = [describe(change) for change in part.changes]
    if actual is not None and part.desired is not None and _unfinished(part):
        changes.append("vm: finish what an interrupted run began")
    return Outcome(
        part.vm.name,
        part.vm.site,
        actual.uuid if actual else None,
        True,
        part.how,
        tuple(changes),
        render(part.changes),
        notes=part.notes,
        power=actual.power if actual else "",
        address=str(actual.state.get("address", "")) if actual else "",
    )


def _carry_out(
    part: VMPlan,
    fleet: Fleet,
    drivers: Mapping[str, Driver],
    allowed: Allowed,
    operation: str,
    wait: bool,
    progress: Progress,
) -> Outcome:
    start = time.monotonic()
    driver = drivers[part.vm.site]
    predicted = _predicted(part)
    desired, actual = part.desired, part.actual
    if desired is None:
        driver.delete(part.there, progress)
        return predicted
    now, error = None, ""
    try:
        for step in _steps(part, desired, fleet, driver, allowed, operation, wait, progress):
            now = step
    except (DriverError, ModelError) as failure:
        now = now or _touched(driver, actual)
        if now is None:
            raise
        error = str(failure)
    if now is None:
        raise AssertionError(f"nothing was done to VM '{desired.name}'")
    return Outcome(
        desired.name,
        desired.site,
        now.uuid,
        True,
        part.how,
        predicted.changes,
        predicted.diff,
        error,
        now.power,
        str(now.state.get("address", "")),
        part.notes,
        round(time.monotonic() - start, 1),
    )


def _steps(
    part: VMPlan,
    desired: VM,
    fleet: Fleet,
    driver: Driver,
    allowed: Allowed,
    operation: str,
    wait: bool,
    progress: Progress,
) -> Iterator[VM]:
    """Make or change the VM of a plan: it, as it is after each step that is done."""
    actual = part.actual
    if actual is None or part.how == "replace":
        mark = Mark(desired.owner.fleet, desired.owner.vm, operation)
        image = images.resolve(fleet.sites[desired.site], desired, progress)
        if image is not None:
            driver.needs(Capability.TEMPLATE if isinstance(image, Template) else Capability.IMAGE, desired)
        if actual is not None:
            driver.delete(actual, progress)
            yield VM(desired.name, desired.site, {}, state={"power": ""})  # it is gone
        yield (now := driver.create(desired, mark, image, progress))
        if desired["power"] != "off":
            yield (now := driver.power(now, "on", progress))
    else:
        yield (now := driver.apply(desired, actual, part.changes, progress, allowed.force))
    if actual is not None and _unfinished(part) and now.power != "on":
        yield (now := driver.power(now, "on", progress))
    restarted = part.how in ("create", "replace", "power_cycle") or (
        actual is not None and (actual.power != "on" or _unfinished(part))
    )
    if wait and restarted and now.power == "on" and desired["image"]:
        yield driver.wait_ready(now, progress)


def _touched(driver: Driver, actual: VM | None) -> VM | None:
    """The VM as it is after a change that failed, where it is not as before; None where it is, or nobody can say."""
    if actual is None:
        return None
    with contextlib.suppress(DriverError):
        now = driver.again(actual)
        switched = {now.power, actual.power} == {"on", "off"}
        return now if switched or {**now.spec, "power": ""} != {**actual.spec, "power": ""} else None
    return None


def _read_back(
    fleet: Fleet, drivers: Mapping[str, Driver], allowed: Allowed, done: Sequence[Outcome]
) -> list[Outcome]:
    """`done`, and what reading back shows of it: one listing for each site on which something was done."""
    asked = {outcome.vm: outcome for outcome in done if not outcome.error and outcome.how != "delete"}
    sites = {outcome.site for outcome in asked.values()}
    errors: dict[str, str] = {}
    for site in sites:
        names = [outcome.vm for outcome in asked.values() if outcome.site == site]
        try:
            left = make_plan(fleet, {site: drivers[site]}, names, allowed)
        except (DriverError, ModelError) as error:
            errors |= {name: f"VM '{name}' at site '{site}': it was changed, and could not be read back: {error}"
                       for name in names}
            continue
        errors |= {part.vm.name: _not_as_asked(part) for part in (*left.create, *left.change)}
    return [replace(outcome, error=errors[outcome.vm]) if outcome.vm in errors else outcome for outcome in done]


def _not_as_asked(part: VMPlan) -> str:
    what = "; ".join(describe(change) for change in part.changes) or "it is not there"
    return str(
        Conflict(
            f"it was changed, and reading it back shows that it is still not as asked: {what}",
            site=part.vm.site,
            vm=part.vm.name,
            todo="Run again; if it stays, somebody else changes this VM",
        )
    )


def _unfinished(part: VMPlan) -> bool:
    """Whether an interrupted run made this VM and never saw it ready."""
    return part.vm["power"] != "off" and part.there.state.get("ready") is False


def _unchanged(part: VMPlan) -> Outcome:
    actual = part.there
    return Outcome(
        actual.name,
        actual.site,
        actual.uuid,
        power=actual.power,
        notes=part.notes,
        address=str(actual.state.get("address", "")),
    )


def remove(
    fleet: Fleet,
    drivers: Mapping[str, Driver],
    names: Iterable[str] = (),
    check: bool = False,
    progress: Progress = silent,
) -> list[Outcome]:
    """Delete the VMs of `names`, all of the fleet's if none; one that is gone already is right.

    A VM that is protected from deletion stays.
    """
    wanted = {(vm.site, vm.mark.vm): vm for vm in chosen(fleet, names) if vm.mark}
    listed = [vm for vms in list_all(drivers).values() for vm in vms]
    ours = only(vm for vm in listed if vm.mark is not None and vm.mark.fleet == fleet.name)
    found = {(vm.site, vm.owner.vm): vm for vm in ours}

    def work(key: tuple[str, str]) -> Outcome:
        vm = found.get(key)
        if vm is None:
            return Outcome(wanted[key].name, key[0])
        if (vm["protection"] or {}).get("deletion"):
            raise Conflict(
                "it is protected from deletion and was left as it is",
                site=vm.site,
                vm=vm.name,
                todo="Remove protection.deletion in a run of its own before",
            )
        if not check:
            drivers[vm.site].delete(vm, progress)
        return Outcome(
            vm.name,
            vm.site,
            vm.uuid,
            True,
            "delete",
            ("vm: delete",),
            {"before": {"exists": True}, "after": {"exists": False}},
        )

    return each(
        list(wanted),
        work,
        lambda key, error: Outcome(wanted[key].name, key[0], error=str(error)),
        width(fleet, drivers, None),
        lambda key: key[0],
    )
