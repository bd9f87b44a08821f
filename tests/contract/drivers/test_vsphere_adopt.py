"""vSphere: a VM that somebody else made bears our mark from then on, and is else as it was."""

from __future__ import annotations

from typing import Any

import pytest
from muster.drivers.driver import Conflict
from muster.model.planner import plan
from muster.model.vm import VM, Mark
from pyVmomi import vim
from test_vsphere_making import SPEC, extra
from vsphere_site import VsphereWorld, disk_spec, done, on_vsphere

pytestmark = on_vsphere


def stranger(world: VsphereWorld) -> Any:
    """A VM of others with a disk, and what people wrote on it."""
    controller = vim.vm.device.VirtualDeviceSpec(
        operation="add", device=vim.vm.device.ParaVirtualSCSIController(key=-1, busNumber=0, sharedBus="noSharing"))
    vm = world.foreign(deviceChange=[controller, disk_spec(1 << 20, 0, world.pool)])
    world.reconfigure(world.inside(vm), extraConfig=[vim.option.OptionValue(key="their.key", value="1")])
    return world.driver.get(str(vm.uuid))


def unmarked(world: VsphereWorld) -> dict[str, Any]:
    found = world.picture()
    for its in found.values():
        if isinstance(its, dict):
            its.pop("extra")
    return found


def test_nothing_but_the_mark_is_put_on_it(world: VsphereWorld) -> None:
    vm, before = stranger(world), unmarked(world)
    mark = Mark(world.fleet, "web", "op")
    now = world.driver.adopt(vm, mark)
    assert (now.mark, now.uuid, now.name, now["disks"], now["nics"]) == (
        mark, vm.uuid, vm.name, vm["disks"], vm["nics"])
    assert unmarked(world) == before
    assert extra(world, vm)["their.key"] == "1"
    whole = world.picture()
    assert world.driver.adopt(now, Mark(world.fleet, "web", "again")).mark == mark  # it is: nothing is written
    assert world.picture() == whole


@pytest.mark.parametrize(("owner", "words"), [
    (None, "it is of the fleet 'others'"), ("third", "it is of the fleet 'others'"), ("others", ""),
])
def test_a_vm_of_another_fleet_is_taken_where_that_is_named(
    world: VsphereWorld, owner: str | None, words: str
) -> None:
    desired = world.wanted(**SPEC, tags={"owner": "shop"})
    vm = world.driver.create(desired, Mark("others", desired.name), None)
    before = world.picture()
    mark = Mark(world.fleet, "web", "op")
    if words:
        with pytest.raises(Conflict, match=f"{words}; it was left as it is"):
            world.driver.adopt(vm, mark, owner)
        assert world.picture() == before
        return
    now = world.driver.adopt(vm, mark, owner)
    assert (now.mark, now["tags"], now["disks"]) == (mark, {"owner": "shop"}, vm["disks"])


def test_its_disks_outlive_it(world: VsphereWorld) -> None:
    vm = world.driver.adopt(stranger(world), Mark(world.fleet, "web", "op"))
    volumes = world.volumes()
    assert volumes
    desired = VM(vm.name, vm.site, {"disks": [*vm["disks"], {"name": "more", "size": 1 << 20}]})
    world.driver.apply(desired, vm, plan(desired, vm, world.driver.refine))
    assert len(world.volumes()) == 2 * len(volumes)
    inside = world.inside(vm)
    done(inside.CreateSnapshot_Task("before", "", False, False))
    before = world.picture()
    with pytest.raises(Conflict, match=r"disks that Muster did not make, and snapshots, .*; nothing was changed"):
        world.driver.delete(vm)
    assert world.picture() == before
    done(inside.RemoveAllSnapshots_Task())
    world.driver.delete(vm)
    assert world.volumes() == volumes
    assert world.driver.list() == []


def test_it_stays_ours_when_it_goes_back_to_a_snapshot_of_before(world: VsphereWorld) -> None:
    vm = stranger(world)
    done(world.inside(vm).CreateSnapshot_Task("before", "", False, False))
    now = world.driver.adopt(vm, Mark(world.fleet, "web", "op"))
    (taken,) = world.driver.snapshots(now)
    assert world.driver.revert_snapshot(now, taken) == now


def test_what_somebody_writes_meanwhile_is_seen(world: VsphereWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second fleet that adopts it at the same time: one of the two is refused."""
    vm, driver = stranger(world), world.driver
    original = vim.VirtualMachine.ReconfigVM_Task
    raced: list[int] = []

    def second(obj: Any, spec: Any) -> Any:
        if not raced:
            raced.append(1)
            driver.adopt(vm, Mark("others", "web", "op"))
        return original(obj, spec)

    monkeypatch.setattr(vim.VirtualMachine, "ReconfigVM_Task", second)
    with pytest.raises(Conflict):
        driver.adopt(vm, Mark(world.fleet, "web", "op"))
    assert driver.get(str(vm.uuid)).owner.fleet == "others"
