"""Whether the datastores of a site have room for all that one run makes, grows and moves there, before it does any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...model.fleet_planner import VMPlan
from ...model.units import format_size
from ..driver import Conflict
from ..refusal import named
from .needs import Origin, cluster_of, held_by, origins_of, taken

if TYPE_CHECKING:
    from .driver import VsphereDriver


def check(driver: VsphereDriver, plans: Sequence[VMPlan], origin: Origin | None = None) -> None:
    """Raise Conflict for datastores that have not the room for all of `plans` together. `origin` is that of the VM,
    where it need not be what its image says."""
    origins = [origin] * len(plans) if origin is not None else origins_of(driver, plans)
    held = held_by(driver, plans, origins)
    needed: Counter[Any] = Counter()
    asking: dict[Any, list[str]] = {}
    for plan, its_origin in zip(plans, origins, strict=True):
        cluster = cluster_of(driver, plan)
        size, written = Counter[Any](), Counter[Any]()
        for need in taken(driver, plan, its_origin, held):
            if cluster is not None and need.pool in cluster.datastores:
                size[cluster.datastores[need.pool]] += need.size
                written[cluster.datastores[need.pool]] += need.written
        for store in size:
            if written[store] >= 0 and max(size[store], written[store]) > 0:
                needed[store] += written[store]
                asking.setdefault(store, []).append(plan.vm.name)
    if not asking:
        return
    paths = ["name", "summary.freeSpace", "summary.accessible"]
    found = driver.session.pairs(list(asking), paths, "look for room in the datastores")
    lacking, vms = [], set()
    for store, its_own in found:
        free = int(its_own.get("summary.freeSpace") or 0)
        if (needed[store] > free or not free) and its_own.get("summary.accessible") is not False:
            lacking.append((str(its_own.get("name")), free, store))
            vms.update(asking[store])
    if lacking:
        alone = len(vms) == 1
        told = [f"the datastore '{name}' has {format_size(free)} free, and "
                f"{'it needs' if alone else named(asking[store]) + ' need'} "
                f"{format_size(needed[store]) if needed[store] else 'some'} there"
                for name, free, store in lacking]  # fmt: skip
        raise Conflict(
            f"{'; '.join(sorted(told))}; nothing was changed",
            site=driver.site,
            vm=next(iter(vms)) if alone else None,
            todo="Free space there, or name another pool in the fleet file",
        )
