"""Snapshots: taken once for an operation, deleted one by one, and a way back that works."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from libvirt_site import content, real, write
from muster.drivers.driver import Conflict, NotFound, Snapshot
from sites import World


def test_take(world: World) -> None:
    vm = world.made()
    began = int(time.time())
    taken = world.driver.take_snapshot(vm, "op-1", "before the patches", hold=True)
    assert (taken.operation, taken.description, taken.hold) == ("op-1", "before the patches", True)
    assert began - 1 <= taken.created <= time.time() + 1
    assert list(world.driver.snapshots(vm)) == [taken]


def test_taking_it_again_adopts_it(world: World) -> None:
    vm = world.made()
    first = world.driver.take_snapshot(vm, "op-1")
    assert world.driver.take_snapshot(vm, "op-1", "another word", hold=True) == first
    assert len(world.driver.snapshots(vm)) == 1


def test_the_middle_of_three_goes_alone(world: World) -> None:
    vm = world.made()
    first, middle, last = (world.driver.take_snapshot(vm, f"op-{number}") for number in range(3))
    assert [snapshot.parent for snapshot in world.driver.snapshots(vm)] == [None, first.id, middle.id]
    world.driver.delete_snapshot(vm, middle)
    assert {snapshot.id for snapshot in world.driver.snapshots(vm)} == {first.id, last.id}
    world.driver.delete_snapshot(vm, middle)  # one that is gone is nothing to do


def test_reverting_to_what_is_not_there_changes_nothing(world: World) -> None:
    vm = world.made(on=True)
    before = world.picture()
    with pytest.raises(NotFound, match="find the snapshot 'muster-none'"):
        world.driver.revert_snapshot(vm, Snapshot("muster-none", 1, "none"))
    assert world.picture() == before


def test_delete_takes_the_snapshots_with_it(world: World) -> None:
    vm = world.made()
    world.driver.take_snapshot(vm, "op")
    world.driver.delete(vm)
    assert not [name for name in world.volumes() if name.startswith(world.names)]


@real
@pytest.mark.parametrize("on", [False, True])
def test_the_way_back(world: World, tmp_path: Path, on: bool) -> None:
    vm = world.made(on=True)
    write(world, vm, "root", 1, "0", "512k")
    if not on:
        vm = world.driver.power(vm, "off", force=True)
    taken = world.driver.take_snapshot(vm, "op")
    vm = world.driver.power(vm, "on")
    write(world, vm, "root", 2, "0", "1M")
    now = world.driver.revert_snapshot(vm, taken)
    assert now.power == ("on" if on else "off")
    off = world.driver.power(now, "off", force=True)
    assert content(world, off, "root", tmp_path) == b"\1" * (512 << 10) + b"\0" * (512 << 10)


@real
@pytest.mark.parametrize("on", [False, True], ids=["stopped", "running"])
def test_the_way_back_after_an_incremental_backup(world: World, tmp_path: Path, on: bool) -> None:
    """A backup's bitmap makes QEMU refuse to revert and leaves the VM off; the checkpoints must go first."""
    vm = world.made(on=True)
    write(world, vm, "root", 1, "0", "512k")
    folders = [tmp_path / "full", tmp_path / "more"]
    for folder in folders:
        folder.mkdir()
    assert world.driver.backup(vm, folders[0], "one", None).kind == "full"
    taken = world.driver.take_snapshot(vm, "op")
    write(world, vm, "root", 2, "0", "1M")
    assert world.driver.backup(vm, folders[1], "two", "one").kind == "incremental"
    if not on:
        world.driver.power(vm, "off", force=True)
    now = world.driver.revert_snapshot(vm, taken)
    assert now.power == "on"  # so it was when the snapshot was taken
    again = tmp_path / "again"
    again.mkdir()
    backup = world.driver.backup(now, again, "three", "two")
    assert (backup.kind, backup.why) == ("full", "the checkpoint of the last backup is gone")
    off = world.driver.power(now, "off", force=True)
    assert content(world, off, "root", tmp_path) == b"\1" * (512 << 10) + b"\0" * (512 << 10)


@real
def test_an_external_snapshot_is_not_reverted_to(world: World) -> None:
    vm = world.made()
    world.virsh("snapshot-create-as", str(vm.uuid), "outside", "--disk-only")
    seen = world.driver.get(vm.name)
    (outside,) = world.driver.snapshots(seen)
    with pytest.raises(Conflict, match="'outside' is an external snapshot, which libvirt cannot revert"):
        world.driver.revert_snapshot(seen, outside)
    assert [snapshot.id for snapshot in world.driver.snapshots(seen)] == ["outside"]


@real
def test_kinds_of_snapshots_are_never_mixed(world: World) -> None:
    """An internal one upon an external one can be neither reverted nor deleted without loss."""
    vm = world.made()
    world.virsh("snapshot-create-as", str(vm.uuid), "outside", "--disk-only")
    before: Any = world.picture()
    with pytest.raises(Conflict, match=r"external snapshot 'outside'.*no snapshot was taken"):
        world.driver.take_snapshot(world.driver.get(vm.name), "op")
    assert world.picture() == before
