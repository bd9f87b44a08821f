"""What Muster does not own it never changes or deletes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from libvirt_site import real
from muster.drivers.driver import Capability, Conflict, Snapshot
from muster.model.planner import Change
from muster.model.vm import VM
from sites import World, sha256

CALLS: dict[str, Callable[[World, VM, Path], object]] = {
    "delete": lambda world, vm, folder: world.driver.delete(vm),
    "power on": lambda world, vm, folder: world.driver.power(vm, "on"),
    "power off": lambda world, vm, folder: world.driver.power(vm, "off", force=True),
    "apply": lambda world, vm, folder: world.driver.apply(world.wanted(), vm, [Change(("cpus",), 1, 2, "live")]),
    "apply nothing": lambda world, vm, folder: world.driver.apply(world.wanted(), vm, []),
    "take snapshot": lambda world, vm, folder: world.driver.take_snapshot(vm, "op"),
    "delete snapshot": lambda world, vm, folder: world.driver.delete_snapshot(vm, Snapshot("theirs", 1, "op")),
    "revert": lambda world, vm, folder: world.driver.revert_snapshot(vm, Snapshot("theirs", 1, "op")),
    "backup": lambda world, vm, folder: world.driver.backup(vm, folder, "point", None),
}

ALMOST = {
    "no mark": "",
    "broken mark": "{",
    "mark of another kind": "[]",
    "mark without a fleet": json.dumps({"vm": "a"}),
    "mark with hostile fields": json.dumps({"fleet": "acme", "vm": "a", "built": True, "fields": {"tags": 5}}),
}


@pytest.mark.parametrize("text", ALMOST.values(), ids=ALMOST)
@pytest.mark.parametrize("call", CALLS)
def test_refused(world: World, call: str, text: str, tmp_path: Path) -> None:
    if call == "backup" and Capability.BACKUP not in world.driver.capabilities:
        return  # Unsupported comes first; that is tested
    vm = world.foreign(mark=text)
    before = world.picture()
    with pytest.raises(Conflict, match="the VM bears no ownership mark of Muster; it was left as it is") as caught:
        CALLS[call](world, vm, tmp_path)
    assert caught.value.vm == vm.name
    assert world.picture() == before
    assert list(tmp_path.iterdir()) == []


def test_a_hostile_mark_does_not_break_the_listing(world: World) -> None:
    for index, text in enumerate(ALMOST.values()):
        world.foreign(f"x{index}", mark=text)
    ours = world.made()
    assert [vm.uuid for vm in world.driver.list() if vm.mark is not None and vm.name.startswith(world.names)] == [
        ours.uuid
    ]


@real
def test_a_disk_that_muster_did_not_make_outlives_the_vm(world: World, site_pool: Any, tmp_path: Path) -> None:
    vm = world.made()
    data = site_pool.path / f"{world.names}-data.img"
    data.write_bytes(bytes(range(256)) * 4096)
    before = sha256(data)
    world.virsh("attach-disk", str(vm.uuid), str(data), "vdz", "--subdriver", "raw", "--config")
    seen = world.driver.get(vm.name)
    assert len(seen["disks"]) == 2
    world.driver.delete(seen)
    assert sha256(data) == before
    assert world.volumes() == [data.name]


@real
def test_a_volume_of_a_namesake_outlives_the_vm(world: World, site_pool: Any) -> None:
    """`web.root.…` of one VM, `web.root.…` of another that was made by hand: only the identity tells them apart."""
    vm = world.made()
    other = site_pool.path / f"{vm.name}.root.00000000.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(other), "1M"], check=True)
    world.virsh("attach-disk", str(vm.uuid), str(other), "vdz", "--subdriver", "qcow2", "--config")
    world.driver.delete(world.driver.get(vm.name))
    assert world.volumes() == [other.name]


def test_snapshots_of_others_are_seen_and_bear_no_operation(world: World) -> None:
    vm = world.made()
    world.foreign_snapshot(vm, "theirs", "before")
    world.foreign_snapshot(vm, "muster-x", "[1]")
    found = world.driver.snapshots(vm)
    assert {(snapshot.id, snapshot.operation) for snapshot in found} == {("theirs", ""), ("muster-x", "")}
