"""Whether the datastores of a site take all that is made, grows and moves there in one run, before any of it is done.

A disk counts with its whole size, though it is thin: what is asked for must find room today. What thin disks that are
there already may still grow to does not count, nor do swap files, snapshots and logs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ...model.fleet_planner import VMPlan
from ...model.units import format_size
from ...model.vm import VM
from ..driver import Conflict
from .moves import PLACES
from .site import Cluster

if TYPE_CHECKING:
    from .driver import VsphereDriver

Places = Iterator[tuple[str, int]]  # datastore, and bytes that it must take; negative are bytes that it gets back


def check(driver: VsphereDriver, plans: Sequence[VMPlan]) -> None:
    """Raise Conflict for datastores that have not the room for all of `plans` together."""
    needed: Counter[Any] = Counter()
    asking: dict[Any, list[str]] = {}
    for plan in plans:
        cluster = cluster_of(driver, plan)
        its: Counter[Any] = Counter()
        for name, size in taken(driver, plan):
            if cluster is not None and name in cluster.datastores:
                its[cluster.datastores[name]] += size
        for store, size in its.items():
            if size > 0:
                needed[store] += size
                asking.setdefault(store, []).append(plan.vm.name)
    if not needed:
        return
    paths = ["name", "summary.freeSpace", "summary.accessible"]
    found = driver.session.pairs(list(needed), paths, "look for room in the datastores")
    lacking, vms = [], set()
    for store, its_own in found:
        free = int(its_own.get("summary.freeSpace") or 0)
        if needed[store] > free and its_own.get("summary.accessible") is not False:
            lacking.append((str(its_own.get("name")), free, store))
            vms.update(asking[store])
    if lacking:
        alone = len(vms) == 1
        told = [f"the datastore '{name}' has {format_size(free)} free, and "
                f"{'it needs' if alone else _named(asking[store]) + ' need'} {format_size(needed[store])} there"
                for name, free, store in lacking]  # fmt: skip
        raise Conflict(
            f"{'; '.join(sorted(told))}; nothing was changed",
            site=driver.site,
            vm=next(iter(vms)) if alone else None,
            todo="Free space there, or name another pool in the fleet file",
        )


def _named(vms: Sequence[str]) -> str:
    return ", ".join(vms[:5]) + (f" and {len(vms) - 5} more" if len(vms) > 5 else "")


def cluster_of(driver: VsphereDriver, plan: VMPlan) -> Cluster | None:
    """The cluster whose datastores a plan writes to: the one that the VM is made in, or is in. None where nobody can
    say."""
    if made(plan):
        return driver.places.cluster(plan.vm)
    return next((one for one in driver.places.clusters() if plan.there["host"] in one.hosts), None)


def made(plan: VMPlan) -> bool:
    """Whether the VM is made by a plan, perhaps after an older one of it was deleted."""
    return plan.desired is not None and (plan.actual is None or plan.how == "replace")


def taken(driver: VsphereDriver, plan: VMPlan) -> Places:
    """What a plan takes from each datastore."""
    before = {disk["name"]: disk for disk in (plan.actual["disks"] or () if plan.actual else ())}
    desired = plan.desired or VM(plan.vm.name, plan.vm.site, {})
    if made(plan):
        for disk in before.values():
            yield str(disk.get("pool") or ""), -int(disk["size"])
        before = {}
    changed = {change.keys[1] for change in plan.changes if change.keys[:1] == ("disks",) and len(change.keys) > 1}
    moved = {change.keys[1] for change in plan.changes if change.keys[2:] in PLACES}
    for disk in desired["disks"] or ():
        name, there = disk["name"], before.get(disk["name"])
        if there is None:
            new = made(plan) or name in changed
        else:
            new = name in moved and driver.pool_of(disk, desired.name) != there.get("pool")
        if new:
            yield driver.pool_of(disk, desired.name), int(disk["size"])
        elif there is not None and name in changed:
            yield str(there.get("pool") or ""), max(0, int(disk["size"]) - int(there["size"]))
