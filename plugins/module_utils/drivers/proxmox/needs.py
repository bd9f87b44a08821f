"""What a plan takes from the storages of a Proxmox site."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...model.fleet_planner import VMPlan
from ...model.vm import VM
from .room import Need

if TYPE_CHECKING:
    from .driver import ProxmoxDriver


def taken(driver: ProxmoxDriver, plan: VMPlan, home: str = "") -> Iterator[Need]:
    """What `plan` takes; `home` is the node of the template that its VM is copied from."""
    if plan.desired is None:
        return
    if plan.actual is None or plan.how == "replace":
        yield from made(driver, plan.desired, str(plan.desired["host"] or home))
        for disk in (plan.actual["disks"] or ()) if plan.actual else ():  # the old one gives its room back
            if disk.get("pool"):
                yield Need(plan.vm.name, "", str(disk["pool"]), -int(disk["size"]))
        return
    yield from _changed(driver, plan.desired, plan)


def made(driver: ProxmoxDriver, desired: VM, node: str, pool: str = "") -> Iterator[Need]:
    """What a VM takes that is made on `node`; in the storage `pool` where all its disks go into that one."""
    content = _content(driver, desired)
    for disk in desired["disks"] or ():
        yield Need(desired.name, node, pool or driver.pool_of(disk), int(disk["size"]), content)
        content = 0  # of the first disk alone


def _content(driver: ProxmoxDriver, desired: VM) -> int:
    """Bytes of the image that the first disk is made from, as far as they are known before it is fetched."""
    entry = (driver.access["images"] or {}).get(desired["image"]) or {}
    path = Path(entry["path"]) if entry.get("path") else None
    return path.stat().st_size if path is not None and path.is_file() else 0


def _changed(driver: ProxmoxDriver, desired: VM, plan: VMPlan) -> Iterator[Need]:
    """What the changes of a VM that is there take."""
    name, node = desired.name, str(plan.there.state.get("node") or "")
    disks: dict[str, Any] = {disk["name"]: disk for disk in desired["disks"] or ()}
    before: dict[str, Any] = {disk["name"]: disk for disk in plan.there["disks"] or ()}
    for change in plan.changes:
        if change.keys == ("host",):
            for disk in before.values():  # it takes its disks along, where they are not shared
                if disk.get("pool") and not driver.room.shared(str(disk["pool"]), name):
                    yield Need(name, str(change.after), str(disk["pool"]), int(disk["size"]))
        elif change.keys[0] != "disks" or len(change.keys) < 2 or change.keys[1] not in disks:
            continue
        elif len(change.keys) == 2:
            yield Need(name, node, driver.pool_of(change.after), int(change.after["size"]))
        elif change.keys[2:] == ("size",):
            yield Need(name, node, str(before[change.keys[1]].get("pool") or ""), change.after - change.before)
        elif change.keys[2:] in (("pool",), ("tier",)):
            pool = driver.pool_of(disks[change.keys[1]])
            if pool != before[change.keys[1]].get("pool"):
                yield Need(name, node, pool, int(before[change.keys[1]]["size"]))
