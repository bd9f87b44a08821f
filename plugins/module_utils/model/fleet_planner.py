"""The plan of a whole fleet: who is made, changed, left alone, and who is no longer in the file.

A VM is found by its ownership mark, never by its name alone: one that bears the name without the mark is somebody
else's and refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import Impossible
from .fleet import Fleet
from .planner import Change, Refine, compare, worst
from .vm import VM


@dataclass(frozen=True)
class VMPlan:
    """What is done to one VM: `desired` is None for one that is deleted, `actual` None for one that is made."""

    desired: VM | None
    actual: VM | None
    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()

    @property
    def vm(self) -> VM:
        """The VM as asked for, else as it is there."""
        found = self.desired or self.actual
        if found is None:
            raise AssertionError("a plan of no VM")
        return found

    @property
    def there(self) -> VM:
        """The VM as it is there; only a plan that makes it has none."""
        if self.actual is None:
            raise AssertionError(f"VM '{self.vm.name}' is not there yet")
        return self.actual

    @property
    def how(self) -> str:
        """The hardest way in which one of the changes is done."""
        return worst(self.changes)


@dataclass(frozen=True)
class FleetPlan:
    """The plan of a fleet. `orphans` are its VMs that are not in the file any more: `delete` holds them only when it
    was asked for. `refused` says what cannot be done; nobody may apply a plan that refuses. `digest` binds the plan to
    the file and to the world that it was made for: a plan made again must have the same one before it is applied."""

    fleet: str
    create: tuple[VMPlan, ...]
    change: tuple[VMPlan, ...]
    unchanged: tuple[VMPlan, ...]
    delete: tuple[VMPlan, ...]
    orphans: tuple[VM, ...]
    refused: tuple[Impossible, ...]
    digest: str

    @property
    def notes(self) -> tuple[str, ...]:
        """What differs and is left as it is."""
        return tuple(note for part in (*self.change, *self.unchanged) for note in part.notes)

    @property
    def steps(self) -> tuple[VMPlan, ...]:
        """Everything that is done."""
        return (*self.create, *self.change, *self.delete)


def plan_fleet(fleet: Fleet, actual: Iterable[VM], refine: Refine | None = None, delete: bool = False) -> FleetPlan:
    """The plan that makes `actual`, all VMs of the fleet's sites, what `fleet` says.

    `delete` asks to delete orphans too; a protected one is refused.
    """
    seen = list(actual)
    marked: dict[str, list[VM]] = {}
    strangers: dict[tuple[str, str], list[VM]] = {}
    for vm in seen:
        if vm.mark is not None and vm.mark.fleet == fleet.name:
            marked.setdefault(vm.mark.vm, []).append(vm)
        else:
            strangers.setdefault((vm.site, vm.name), []).append(vm)
    create: list[VMPlan] = []
    change: list[VMPlan] = []
    unchanged: list[VMPlan] = []
    refused: list[Impossible] = []
    for desired in fleet.vms:
        try:
            found = _match(desired, marked.pop(desired.name, []), strangers)
            changes, notes = compare(desired, found, refine)
        except Impossible as error:
            error.vm, error.site = desired.name, desired.site
            refused.append(error)
            continue
        part = VMPlan(desired, found, tuple(changes), tuple(notes))
        (create if found is None else change if changes else unchanged).append(part)
    orphans = tuple({vm.uuid: vm for twins in marked.values() for vm in twins}.values())
    deletions = []
    for vm in orphans if delete else ():
        if (vm["protection"] or {}).get("deletion"):
            stays = Impossible(
                f"VM '{vm.name}' at site '{vm.site}' is not in the fleet file any more and is protected from deletion; "
                "it stays. Put it back into the file and remove the protection in a run of its own, or keep it.")
            stays.vm, stays.site = vm.name, vm.site
            refused.append(stays)
        else:
            deletions.append(VMPlan(None, vm, (Change((), dict(vm.spec), None, "delete", "it left the fleet file"),)))
    steps = [*create, *change, *deletions]
    world = [vm for vm in seen if vm.mark is not None and vm.mark.fleet == fleet.name]
    digest = _sha256({
        "fleet": fleet.name,
        "desired": [_shape(vm) for vm in fleet.vms],
        "seen": sorted((_shape(vm) for vm in world), key=lambda shape: json.dumps(shape, sort_keys=True)),
        "steps": [[part.vm.site, part.vm.name, [[*c.keys, c.before, c.after, c.how] for c in part.changes]]
                  for part in steps],
        "refused": [str(error) for error in refused],
    })
    return FleetPlan(fleet.name, tuple(create), tuple(change), tuple(unchanged), tuple(deletions), orphans,
                     tuple(refused), digest)


def fingerprint(vm: VM) -> str:
    """SHA-256 of what a plan rests on: a VM that has another one now is not the VM that was planned for."""
    return _sha256(_shape(vm))


def _match(desired: VM, marked: list[VM], strangers: Mapping[tuple[str, str], list[VM]]) -> VM | None:
    """The VM that is `desired`; None if it is proven that there is none. Raises `Impossible`."""
    where = f"VM '{desired.name}' at site '{desired.site}'"
    if len({vm.uuid for vm in marked}) == 1:  # somebody moved it into another site of its vCenter, and both show it
        return next((vm for vm in marked if vm.site == desired.site), marked[0])
    if marked:
        twins = " and ".join(f"{vm.uuid} at '{vm.site}' ('{vm.name}')" for vm in marked)
        raise Impossible(f"{where} is there twice: {twins} bear its mark. Both stay as they are: remove the mark of "
                         "the one that is not meant.")
    theirs = strangers.get((desired.site, desired.name), [])
    if len(theirs) > 1:
        raise Impossible(f"{where} cannot be made: {len(theirs)} VMs of that name are there already, "
                         f"{' and '.join(f'{vm.uuid} ({_owner(vm)})' for vm in theirs)}. They stay as they are: rename "
                         "this one, or those.")
    for stranger in theirs:
        if stranger.state.get("unreadable"):
            raise Impossible(f"{where} cannot be made: a VM of that name is there already, and its configuration "
                             "cannot be read now, so nobody can tell whose it is. It stays as it is: look at its "
                             "host and its datastore, then run again.")
        raise Impossible(f"{where} cannot be made: a VM of that name is there already ({stranger.uuid}) and "
                         f"{_owner(stranger)}. It stays as it is: rename one of the two, or adopt it.")
    return None


def _owner(stranger: VM) -> str:
    return f"belongs to fleet '{stranger.mark.fleet}'" if stranger.mark else "is not Muster's"


def _shape(vm: VM) -> dict[str, Any]:
    mark = [vm.mark.fleet, vm.mark.vm] if vm.mark else None
    return {"site": vm.site, "name": vm.name, "uuid": vm.uuid, "mark": mark, "power": vm.power, "spec": dict(vm.spec)}


def _sha256(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
