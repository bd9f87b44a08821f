"""What a driver does not declare it refuses, in one clear line, before anything changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from muster.drivers.driver import Capability, Driver, Image, Snapshot, Template, Unsupported
from muster.model.vm import VM
from sites import World

SNAPSHOT = Snapshot("muster-x", 1, "x")

# One call for each capability; a new capability fails this test until it has one.
CALLS: dict[Capability, Callable[[World, Driver, VM, Path], object]] = {
    Capability.POWER: lambda world, driver, vm, folder: driver.power(vm, "on"),
    Capability.CHANGE: lambda world, driver, vm, folder: driver.apply(
        world.wanted(cpus=2), vm, world.changes(world.wanted(cpus=2))
    ),
    Capability.SNAPSHOT: lambda world, driver, vm, folder: driver.take_snapshot(vm, "op"),
    Capability.REVERT: lambda world, driver, vm, folder: driver.revert_snapshot(vm, SNAPSHOT),
    Capability.CLONE: lambda world, driver, vm, folder: driver.clone(
        vm, world.wanted("twin"), world.mark(world.wanted("twin"))
    ),
    Capability.BACKUP: lambda world, driver, vm, folder: driver.backup(vm, folder, "point", None),
    Capability.INCREMENTAL: lambda world, driver, vm, folder: driver.backup(vm, folder, "point", "before"),
    Capability.RESTORE: lambda world, driver, vm, folder: driver.restore(
        world.wanted("twin"), world.mark(world.wanted("twin")), {"root": folder / "root.qcow2"}
    ),
    Capability.ISOLATE: lambda world, driver, vm, folder: driver.restore(
        world.wanted("twin"), world.mark(world.wanted("twin")), {"root": folder / "root.qcow2"}, isolated=True
    ),
    Capability.IMAGE: lambda world, driver, vm, folder: driver.create(
        world.wanted("twin"), world.mark(world.wanted("twin")), Image("x", folder / "root.qcow2", "")
    ),
    Capability.ARCHIVE: lambda world, driver, vm, folder: driver.archive(vm, "point"),
    Capability.TEMPLATE: lambda world, driver, vm, folder: driver.create(
        world.wanted("twin"), world.mark(world.wanted("twin")), Template("x", "debian")
    ),
    Capability.CONSOLE: lambda world, driver, vm, folder: driver.wait_ready(vm, stall=1, timeout=1),
    Capability.ADOPT: lambda world, driver, vm, folder: driver.adopt(vm, world.mark(world.wanted("twin"))),
    Capability.SURVEY: lambda world, driver, vm, folder: driver.survey([vm]),
    Capability.GUEST_EXEC: lambda world, driver, vm, folder: driver.execute(vm, ["true"], timeout=1),
}


@pytest.mark.parametrize("capability", Capability)
def test_undeclared_is_unsupported(world: World, capability: Capability, boots: Image, tmp_path: Path) -> None:
    if capability in world.driver.capabilities:
        return  # the other tests show that it can
    (tmp_path / "root.qcow2").write_bytes(boots.path.read_bytes())
    vm = world.made()
    before = world.picture()
    if capability is Capability.INCREMENTAL and Capability.BACKUP in world.driver.capabilities:
        found = world.driver.backup(vm, tmp_path, "point", "before")  # a full holds all that was asked for
        assert found.kind == "full"
        assert found.why
        assert world.picture() == before
        return
    with pytest.raises(Unsupported) as caught:
        CALLS[capability](world, world.driver, vm, tmp_path)
    whole = {Capability.INCREMENTAL: Capability.BACKUP, Capability.ISOLATE: Capability.RESTORE}.get(capability)
    # Who takes none takes no part of one: either may be named.
    named = {capability} | ({whole} if whole and whole not in world.driver.capabilities else set())
    assert any(f"cannot do '{one}'" in str(caught.value) for one in named)
    assert world.picture() == before
    assert [file.name for file in tmp_path.iterdir()] == ["root.qcow2"]


def test_every_capability_is_asked_for() -> None:
    assert CALLS.keys() == set(Capability)
