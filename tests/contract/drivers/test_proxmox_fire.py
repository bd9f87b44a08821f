"""Proxmox: each fault at each request of each operation, and each error that Proxmox has a name for. It is done once,
or a clear error tells what is not known and nothing is lost; a run after it finishes the job; there is never a second
one of anything."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from muster.drivers.driver import Driver, DriverError, Image, NotFound, Template
from muster.drivers.proxmox import connection
from muster.drivers.registry import open_site
from muster.model.vm import VM, Mark
from proxmox_site import ProxmoxWorld, on_proxmox
from proxmox_trouble import FAULTS, HEARD
from test_proxmox_making import template

pytestmark = on_proxmox
BEFORE: dict[str, Any] = {"cpus": 1, "disks": [{"size": "1 MiB"}], "nics": [{"network": "vmbr0"}]}
AFTER: dict[str, Any] = {
    "cpus": 2,
    "memory": "64 MiB",
    "disks": [{"size": "2 MiB"}, {"size": "1 MiB"}],
    "nics": [{"network": "vmbr0", "connected": False}],
    "tags": {"owner": "shop"},
}
POOL = {**BEFORE, "resource_pool": "gold"}
MOVED = {**BEFORE, "disks": [{"size": "1 MiB", "pool": "fast"}]}
Act = Callable[[ProxmoxWorld, Driver, Path], object]
Look = Callable[[ProxmoxWorld], object]


@dataclass(frozen=True)
class Operation:
    """`before` makes what is needed; `act` is done in trouble, with a qcow2 file; `holds` is true of the world after
    it."""

    act: Act
    holds: Look
    before: Look = lambda world: None


def named(world: ProxmoxWorld, name: str = "a") -> str:
    return f"{world.names}-{name}"


def there(world: ProxmoxWorld, name: str = "a") -> VM:
    """The one VM of this name: on the cluster, too, there is but one."""
    assert [one.name for one in world.fake.vms].count(named(world, name)) == 1
    return world.driver.get(named(world, name))


def planned(world: ProxmoxWorld, name: str = "a", **spec: Any) -> bool:
    vm = there(world, name)
    assert vm.state["built"]
    assert world.changes(world.wanted(name, **spec)) == []
    # A disk for each that the VM names, and no more; fakepve makes one of the drive of cloud-init now and then.
    own = [one for one in world.volumes() if one.startswith(f"vm-{vm.state['vmid']}-")]
    assert len(own) - len(spec["disks"]) in (0, "ide2" in world.inside(vm).config), own
    return vm.power == spec.get("power", "off")


def existing(on: bool = False, **spec: Any) -> Look:
    return lambda world: world.made(on=on, **{**BEFORE, **spec})


def of(act: Callable[[Driver, VM], object]) -> Act:
    return lambda world, driver, path: act(driver, driver.get(named(world)))


def create(source: str, spec: dict[str, Any]) -> Act:
    def act(world: ProxmoxWorld, driver: Driver, path: Path) -> object:
        desired = world.wanted(**spec)
        images = {"": None, "template": Template("debian", "debian-12"), "image": Image("boot", path, "")}
        return driver.create(desired, world.mark(desired), images[source])

    return act


def clone(world: ProxmoxWorld, driver: Driver, path: Path) -> object:
    copy = world.wanted("copy", **AFTER)
    return driver.clone(driver.get(named(world)), copy, world.mark(copy))


def apply(**more: Any) -> Act:
    def act(world: ProxmoxWorld, driver: Driver, path: Path) -> object:
        desired = world.wanted(**AFTER, **more)
        changes = world.changes(desired)
        return driver.apply(desired, driver.get(desired.name), changes) if changes else None

    return act


def second(world: ProxmoxWorld) -> None:
    """Another storage, and a VM whose disk is not there."""
    world.fake.storages["fast"] = {"type": "lvmthin", "active": 1, "content": "images", "files": set()}
    world.made(**BEFORE)


def move(world: ProxmoxWorld, driver: Driver, path: Path, spec: dict[str, Any] | None = None) -> object:
    desired = world.wanted(**(spec or MOVED))
    changes = world.changes(desired)
    return driver.apply(desired, driver.get(desired.name), changes) if changes else None


def in_place(world: ProxmoxWorld) -> bool:
    assert world.changes(world.wanted(**MOVED)) == []
    return (world.volumes(), len(world.fake.storages["fast"]["volumes"])) == ([], 1)


def delete(world: ProxmoxWorld, driver: Driver, path: Path) -> None:
    with contextlib.suppress(NotFound):  # as `remove` of a fleet does: what is gone is right
        driver.delete(driver.get(named(world)))


def gone(world: ProxmoxWorld) -> bool:
    return named(world) not in [one.name for one in world.fake.vms] and world.volumes() == []


def snapshots(world: ProxmoxWorld) -> list[str]:
    return [one.operation for one in world.driver.snapshots(there(world))]


def snapshot(world: ProxmoxWorld) -> None:
    world.driver.take_snapshot(world.made(**BEFORE), "op")


def archived(world: ProxmoxWorld) -> None:
    world.driver.archive(world.made(**BEFORE), "op")


def points(world: ProxmoxWorld) -> list[str]:
    return [one.restore_point for one in world.driver.archives(there(world))]


def lost(world: ProxmoxWorld) -> None:
    """Its VM is gone, and its archive is there."""
    archived(world)
    world.driver.delete(there(world))


def return_archive(world: ProxmoxWorld, driver: Driver, path: Path) -> object:
    desired = world.wanted(**BEFORE)
    (archive,) = driver.archives(desired)
    return driver.restore_archive(desired, world.mark(desired), archive)


def restore(world: ProxmoxWorld, driver: Driver, path: Path) -> object:
    desired = world.wanted(**BEFORE)
    return driver.restore(desired, world.mark(desired), {"root": path})


def adopted(world: ProxmoxWorld) -> bool:
    (vm,) = world.driver.list()
    return vm.mark is not None and vm.mark.fleet == world.fleet


OPERATIONS: dict[str, Operation] = {
    "list": Operation(lambda world, driver, path: driver.list(), lambda world: True, existing()),
    "create": Operation(create("", BEFORE), lambda world: planned(world, **BEFORE)),
    "create from an image": Operation(create("image", AFTER), lambda world: planned(world, **AFTER)),
    "create from a template": Operation(create("template", AFTER), lambda world: planned(world, **AFTER), template),
    "clone": Operation(
        clone, lambda world: planned(world, "copy", **AFTER) and planned(world, **BEFORE), existing()),
    "change": Operation(apply(), lambda world: planned(world, **AFTER), existing()),
    "change with a power cycle": Operation(
        apply(power="on"), lambda world: planned(world, **AFTER, power="on"), existing(on=True, power="on")),
    "move into a pool": Operation(
        lambda world, driver, path: move(world, driver, path, POOL), lambda world: planned(world, **POOL), existing()),
    "move a disk": Operation(move, in_place, second),
    "power on": Operation(
        of(lambda driver, vm: driver.power(vm, "on")), lambda world: there(world).power == "on", existing()),
    "power off": Operation(
        of(lambda driver, vm: driver.power(vm, "off")), lambda world: there(world).power == "off", existing(on=True)),
    "take a snapshot": Operation(
        of(lambda driver, vm: driver.take_snapshot(vm, "op")), lambda world: snapshots(world) == ["op"], existing()),
    "revert": Operation(
        of(lambda driver, vm: driver.revert_snapshot(vm, driver.snapshots(vm)[0])),
        lambda world: snapshots(world) == ["op"] and planned(world, **BEFORE), snapshot),
    "delete a snapshot": Operation(
        of(lambda driver, vm: [driver.delete_snapshot(vm, one) for one in driver.snapshots(vm)]),
        lambda world: snapshots(world) == [], snapshot),
    "archive": Operation(
        of(lambda driver, vm: driver.archive(vm, "op")), lambda world: points(world) == ["op"], existing()),
    "delete an archive": Operation(
        of(lambda driver, vm: [driver.delete_archive(vm, one) for one in driver.archives(vm)]),
        lambda world: points(world) == [], archived),
    "restore an archive": Operation(return_archive, lambda world: planned(world, **BEFORE), lost),
    "restore": Operation(restore, lambda world: planned(world, **BEFORE)),
    "adopt": Operation(
        lambda world, driver, path: [driver.adopt(vm, Mark(world.fleet, "a", "op")) for vm in driver.list()], adopted,
        lambda world: world.foreign("x")),
    "delete": Operation(delete, gone, existing()),
}  # fmt: skip
# Of these `converge` looks whether they were done (test_converge.py).
READ_BACK = [OPERATIONS[name] for name in ("change", "change with a power cycle")]
# One of each kind always: heard and not answered, not heard, refused.
ALWAYS = ("answer dropped", "gone", "locked")
LONG = pytest.mark.skipif(not os.environ.get("MUSTER_LONG"), reason="takes minutes more: MUSTER_LONG=1 make contract")


@pytest.fixture
def driver(world: ProxmoxWorld, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A session of its own, which waits for nothing long."""
    found: Any = open_site(world.access)
    monkeypatch.setattr(connection, "_PAUSE", 0.0)
    found.tasks.lock_wait = found.tasks.silence = 0.0
    yield found
    found.close()


def strike(world: ProxmoxWorld, driver: Driver, operation: Operation, path: Path, fault: str, at: int) -> str:
    """One round: the operation in trouble, and once more where it failed. Returns what it failed with."""
    trouble = world.fake.trouble
    operation.before(world)
    world.obedient(pytest.MonkeyPatch())
    owned = {one.uuid for one in world.driver.list() if one.mark}
    trouble.arm(fault, at)
    failed: DriverError | None = None
    try:
        operation.act(world, driver, path)
    except DriverError as error:
        failed = error
    heard = f"{fault} at request {at}: {trouble.calls}: {failed}"
    assert failed is None or (trouble.struck and failed.todo and re.match(r"(VM '|Site ')", str(failed))), heard
    trouble.fault = ""
    world.fake.failures.clear()
    if failed:
        if operation is not OPERATIONS["delete"]:
            assert owned <= {one.uuid for one in world.driver.list() if one.mark}, heard
        operation.act(world, driver, path)
    elif fault == "a lie" and operation in READ_BACK:  # the next run sees what is not done, as this one does
        operation.act(world, driver, path)
    assert operation.holds(world), heard
    return str(failed or "")


def clear(world: ProxmoxWorld) -> None:
    """The cluster as it was before a round."""
    world.fake.vms[:] = []
    for members in world.fake.pools.values():
        members.clear()
    for storage in world.fake.storages.values():
        storage.pop("volumes", None)


@pytest.mark.parametrize(
    "fault", [fault if fault in ALWAYS else pytest.param(fault, marks=LONG) for fault in FAULTS]
)
@pytest.mark.parametrize("name", OPERATIONS)
def test_done_once_or_a_clear_error_and_a_retry_finishes(
    world: ProxmoxWorld, driver: Any, boots: Image, monkeypatch: pytest.MonkeyPatch, name: str, fault: str
) -> None:
    monkeypatch.setattr(connection, "TIMEOUT", (10, 0.2 if fault == "silence" else 30))
    trouble, struck = world.fake.trouble, 0
    for at in range(1, 100):
        failed = strike(world, driver, OPERATIONS[name], boots.path, fault, at)
        struck += trouble.struck
        if at >= len(trouble.calls) and not failed:
            break
        clear(world)
    print(f"{name}: {fault} at {struck} requests")
    assert at > 1, "the operation asked Proxmox nothing"
    assert struck or (name == "list" and fault not in HEARD)


def by_name(world: ProxmoxWorld, name: str, driver: Any, path: Path) -> dict[tuple[int, str], str]:
    """What an operation fails with: of each of its requests, for each error that Proxmox has for it."""
    operation, trouble = OPERATIONS[name], world.fake.trouble
    strike(world, driver, operation, path, "", 0)
    calls = [call.split(" ", 1) for call in trouble.calls]
    clear(world)
    found = {}
    for at, (method, where) in enumerate(calls, 1):
        for error in world.fake.errors_for(method, f"/api2/json{where}"):
            if SAYS_IT_IS_GONE.search(f"{error['message']} {error.get('errors')}"):
                continue
            found[at, error["name"]] = strike(world, driver, operation, path, f"named {error['name']}", at)
            clear(world)
    return found


# Proven not-found: an operation acts on it, and whoever lies there is believed.
SAYS_IT_IS_GONE = re.compile("does not exist|no such", re.IGNORECASE)


@LONG
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_error_that_proxmox_has_a_name_for(
    world: ProxmoxWorld, driver: Any, boots: Image, name: str
) -> None:
    found = by_name(world, name, driver, boots.path)
    print(f"{name}: {len(found)} named errors, {sum(map(bool, found.values()))} of them told")
    assert found
