"""Snapshots of a fleet's VMs, with retention by count and age; one on hold stays."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ..drivers.driver import Driver, NotFound, Progress, Snapshot, silent
from ..model.fleet import Fleet
from ..model.vm import VM
from . import retention
from .session import actual_of, chosen, each, list_all, new_operation, width


@dataclass(frozen=True)
class Outcome:
    """What happened to one VM's snapshots; `snapshots` are those that it has now."""

    vm: str
    site: str
    changed: bool = False
    id: str = ""
    created: int = 0
    removed: tuple[str, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    seconds: float = 0.0
    error: str = ""


def _over(
    fleet: Fleet,
    drivers: Mapping[str, Driver],
    names: Iterable[str],
    work: Callable[[Driver, VM], Outcome],
    parallel: int | None,
) -> list[Outcome]:
    listed = list_all(drivers)
    return each(
        chosen(fleet, names),
        lambda vm: work(drivers[vm.site], actual_of(vm, drivers[vm.site], listed[vm.site])),
        lambda vm, error: Outcome(vm.name, vm.site, error=str(error)),
        width(fleet, drivers, parallel),
    )


def take(
    fleet: Fleet,
    drivers: Mapping[str, Driver],
    names: Iterable[str] = (),
    *,
    description: str = "",
    hold: bool = False,
    count: int | None = None,
    age: int | None = None,
    operation: str | None = None,
    check: bool = False,
    parallel: int | None = None,
    progress: Progress = silent,
) -> list[Outcome]:
    """A new snapshot of each VM, then retention: the newest `count`, none older than `age` seconds.

    With an `operation` that a snapshot bears already, that one is adopted and nothing changes.
    """
    id_ = operation or new_operation("snapshot")

    def work(driver: Driver, vm: VM) -> Outcome:
        start = time.monotonic()
        before = driver.snapshots(vm)
        adopted = any(snapshot.operation == id_ for snapshot in before)
        if check:
            return Outcome(vm.name, vm.site, not adopted, snapshots=tuple(before))
        progress(f"{vm.name}: taking a snapshot")
        made = driver.take_snapshot(vm, id_, description, hold, progress)
        removed = _retain(driver, vm, count, age, progress)
        return Outcome(
            vm.name,
            vm.site,
            not adopted or bool(removed),
            made.id,
            made.created,
            removed,
            tuple(driver.snapshots(vm)),
            round(time.monotonic() - start, 1),
        )

    return _over(fleet, drivers, names, work, parallel)


def retain(
    fleet: Fleet,
    drivers: Mapping[str, Driver],
    names: Iterable[str] = (),
    *,
    count: int | None = None,
    age: int | None = None,
    check: bool = False,
    parallel: int | None = None,
    progress: Progress = silent,
) -> list[Outcome]:
    """Retention alone."""

    def work(driver: Driver, vm: VM) -> Outcome:
        if check:
            doomed = tuple(s.id for s in retention.doomed_snapshots(driver.snapshots(vm), count, age, time.time()))
            return Outcome(vm.name, vm.site, bool(doomed), removed=doomed)
        removed = _retain(driver, vm, count, age, progress)
        return Outcome(vm.name, vm.site, bool(removed), removed=removed, snapshots=tuple(driver.snapshots(vm)))

    return _over(fleet, drivers, names, work, parallel)


def _retain(driver: Driver, vm: VM, count: int | None, age: int | None, progress: Progress) -> tuple[str, ...]:
    doomed = retention.doomed_snapshots(driver.snapshots(vm), count, age, time.time())
    for snapshot in doomed:
        progress(f"{vm.name}: deleting the snapshot {snapshot.id}")
        driver.delete_snapshot(vm, snapshot, progress)
    return tuple(snapshot.id for snapshot in doomed)


def _named(driver: Driver, vm: VM, id_: str) -> Snapshot:
    for snapshot in driver.snapshots(vm):
        if id_ in (snapshot.id, snapshot.operation) and id_:
            return snapshot
    raise NotFound(
        f"it has no snapshot '{id_}'",
        site=vm.site,
        vm=vm.name,
        todo="List its snapshots with muster.fleet.vm_snapshot and state=listed",
    )


def remove(
    fleet: Fleet,
    drivers: Mapping[str, Driver],
    names: Iterable[str],
    id_: str,
    *,
    check: bool = False,
    parallel: int | None = None,
    progress: Progress = silent,
) -> list[Outcome]:
    """Delete one snapshot by its id; its children stay. One that is not there is nothing to do."""

    def work(driver: Driver, vm: VM) -> Outcome:
        try:
            snapshot = _named(driver, vm, id_)
        except NotFound:
            return Outcome(vm.name, vm.site, snapshots=tuple(driver.snapshots(vm)))
        if not check:
            progress(f"{vm.name}: deleting the snapshot {snapshot.id}")
            driver.delete_snapshot(vm, snapshot, progress)
        return Outcome(vm.name, vm.site, True, removed=(snapshot.id,), snapshots=tuple(driver.snapshots(vm)))

    return _over(fleet, drivers, names, work, parallel)


def revert(
    fleet: Fleet,
    drivers: Mapping[str, Driver],
    names: Iterable[str],
    id_: str,
    *,
    check: bool = False,
    parallel: int | None = None,
    progress: Progress = silent,
) -> list[Outcome]:
    """Bring VMs back to a snapshot. What was written since is lost."""

    def work(driver: Driver, vm: VM) -> Outcome:
        snapshot = _named(driver, vm, id_)
        if not check:
            progress(f"{vm.name}: reverting to {snapshot.id}")
            driver.revert_snapshot(vm, snapshot, progress)
        return Outcome(vm.name, vm.site, True, snapshot.id, snapshot.created, snapshots=tuple(driver.snapshots(vm)))

    return _over(fleet, drivers, names, work, parallel)


def listing(
    fleet: Fleet, drivers: Mapping[str, Driver], names: Iterable[str] = (), parallel: int | None = None
) -> list[Outcome]:
    """The snapshots that each VM has."""
    return _over(
        fleet,
        drivers,
        names,
        lambda driver, vm: Outcome(vm.name, vm.site, snapshots=tuple(driver.snapshots(vm))),
        parallel,
    )
