"""Adoption: what a fleet file must say of VMs that exist already, so that nothing of them changes, and the mark on
those that somebody else made. That is done for a VM that was named, and for no other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..drivers.driver import Ambiguous, Capability, Conflict, Driver, DriverError, NotFound, Progress, silent
from ..model.errors import ModelError
from ..model.fields import VM_FIELDS
from ..model.fleet import Fleet
from ..model.normal import normalise
from ..model.patterns import NAME
from ..model.planner import compare, people
from ..model.vm import VM, Mark
from .session import new_operation, only

_NAME = re.compile(NAME)
_PLACES = ("host", "ha_priority")  # where a VM runs today is the platform's own business


@dataclass(frozen=True)
class Adoption:
    """One VM as the fleet will have it. `entry` is what the fleet file must say, in the units that people write; `left`
    are fields that this platform reports and nobody can ask for: they are not managed."""

    name: str
    vm: VM
    entry: Mapping[str, Any]
    taken: bool = False
    left: tuple[str, ...] = ()


def adoptions(
    fleet: Fleet, driver: Driver, take: Mapping[str, str], owner: str | None = None
) -> tuple[list[Adoption], list[VM]]:
    """The VMs of a site that bear the fleet's mark and are not in its file, and those of `take`: name or UUID of a VM →
    its name in the fleet. Then those that belong to nobody. `owner` is the fleet from which those of `take` are taken.
    Changes nothing. Raises the contract's errors and ModelError."""
    listed = driver.list()
    known = {vm.name for vm in fleet.vms}
    ours = only(vm for vm in listed if vm.mark is not None and vm.mark.fleet == fleet.name)
    whole = [vm for vm in ours if vm.state.get("built", True)]
    names = {vm.owner.vm for vm in ours} | known
    found = [_adoption(fleet, driver, vm, vm.owner.vm, False) for vm in whole if vm.owner.vm not in known]
    for wanted, name in take.items():
        vm = _one(driver, listed, wanted)
        if vm.mark is not None and vm.mark.fleet == fleet.name:
            continue  # an earlier run took it
        if not _NAME.fullmatch(name):
            raise ModelError(f"'{name:.80}' cannot be a VM's name in a fleet; name another: --take '{wanted}=NAME'")
        if name in names:
            raise ModelError(f"the fleet has a VM '{name}' already; name another: --take '{wanted}=NAME'")
        if (vm.mark.fleet if vm.mark else None) != owner:
            whose = f"of the fleet '{vm.mark.fleet}'" if vm.mark else "nobody's that Muster knows"
            raise Conflict(f"it is {whose}; nothing was changed", site=driver.site, vm=wanted,
                           todo="Say from which fleet it is taken, with --from, or leave it there")
        driver.needs(Capability.ADOPT, vm)
        names.add(name)
        found.append(_adoption(fleet, driver, vm, name, True))
    taken = {one.vm.uuid for one in found}
    return sorted(found, key=lambda one: one.name), [vm for vm in listed if vm.mark is None and vm.uuid not in taken]


def mark(fleet: Fleet, driver: Driver, found: Sequence[Adoption], owner: str | None = None,
         progress: Progress = silent) -> None:
    """Put the fleet's mark on those VMs of `found` that are taken over, and read each back."""
    operation = new_operation("adopt")
    for one in found:
        if one.taken:
            progress(f"{one.name}: putting the mark of the fleet {fleet.name} on the VM {one.vm.uuid}")
            now = driver.adopt(one.vm, Mark(fleet.name, one.name, operation), owner)
            if now.mark is None or (now.mark.fleet, now.mark.vm) != (fleet.name, one.name):
                raise Conflict("it was marked, and reading it back shows no mark", site=driver.site, vm=one.name,
                               todo="Run again; if it stays, somebody else changes this VM")


def _one(driver: Driver, listed: Sequence[VM], wanted: str) -> VM:
    found = [vm for vm in listed if wanted in (vm.uuid, vm.name)]
    if not found:
        raise NotFound("there is no such VM; nothing was changed", site=driver.site, vm=wanted,
                       todo="List them with muster adopt without --take")
    if len(found) > 1:
        raise Ambiguous(f"{len(found)} VMs bear this name: " + ", ".join(str(vm.uuid) for vm in found)
                        + "; nothing was changed", site=driver.site, vm=wanted, todo="Name the UUID of one")
    return found[0]


def _adoption(fleet: Fleet, driver: Driver, vm: VM, name: str, taken: bool) -> Adoption:
    """What the fleet file must say: every field that can be asked for and differs in nothing from what is there."""
    there = replace(vm, mark=Mark(fleet.name, name))
    spec: dict[str, Any] = {}
    left = []
    reported = {**vm.spec, "power": vm.power if vm.power in ("on", "off") else None}
    places = (*_PLACES, "anti_affinity") if taken else _PLACES  # a group is the fleet's that the VM was of
    for key in (key for key in VM_FIELDS if reported.get(key) not in (None, "") and key not in places):
        tried = {**spec, key: reported[key]}
        if _holds(driver, VM(name, vm.site, tried, mark=there.mark), there):
            spec = tried
        else:
            left.append(key)
    if not spec:
        raise Conflict("nothing of it can be asked for, so it cannot be adopted", site=vm.site, vm=vm.name,
                       todo="Look at it with muster inspect")
    entry = people({key: value for key, value in spec.items() if value not in ([], {})}, None)
    return Adoption(name, vm, entry, taken, tuple(left))


def _holds(driver: Driver, desired: VM, there: VM) -> bool:
    """Whether `desired` can be asked for, and changes nothing of what is there."""
    try:
        wanted = replace(desired, spec=normalise(people(dict(desired.spec), None)))
        driver.check(wanted)
        changes, _notes = compare(wanted, there, driver.refine)
    except (DriverError, ModelError):
        return False
    return not changes
