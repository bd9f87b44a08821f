"""A disk whose pool or tier is another one now is moved there, on or off, where the platform can."""

from __future__ import annotations

from typing import Any

import pytest
from muster.drivers.driver import Conflict, DriverError, Template
from muster.model.fleet import Site
from muster.model.planner import plan, worst
from proxmox_site import ProxmoxWorld, on_proxmox
from sites import World
from test_proxmox_making import template
from vsphere_site import VsphereWorld, on_vsphere

SECOND = {"vsphere": "LocalDS_1", "proxmox": "fast", "libvirt": "muster-second"}
TWO = ({"size": "1 MiB"}, {"size": "2 MiB", "name": "data"})
on_both = pytest.mark.parametrize("world", ["vsphere", "pve"], indirect=True)


def second(world: World, **tiers: str) -> str:
    """Another pool of the site, and from now on tiers of it."""
    name = SECOND[world.driver.platform]
    if isinstance(world, ProxmoxWorld):
        world.fake.storages[name] = {"type": "lvmthin", "active": 1, "content": "images", "files": set()}
    world.driver.access = Site(world.access.name, world.access.platform, {**world.access.options, "tiers": tiers})
    return name


def pools(world: World) -> dict[str, str]:
    (vm,) = world.driver.list()
    return {disk["name"]: disk["pool"] for disk in vm["disks"]}


def moved(world: World, on: bool, before: Any, after: Any, **more: Any) -> None:
    vm = world.made(on=on, disks=list(before))
    desired = world.wanted(disks=list(after), **more)
    world.driver.check(desired)
    changes = world.changes(desired)
    assert worst(changes) == "live"
    now = world.driver.apply(desired, vm, changes)
    assert now.power == vm.power
    assert world.changes(desired) == []


@on_both
@pytest.mark.parametrize("on", [False, True])
@pytest.mark.parametrize("which", [(0,), (1,), (0, 1)])
def test_to_another_pool(world: World, on: bool, which: tuple[int, ...]) -> None:
    other = second(world)
    after = [{**disk, "pool": other if n in which else world.pool} for n, disk in enumerate(TWO)]
    moved(world, on, TWO, after)
    assert list(pools(world).values()) == [disk["pool"] for disk in after]


@on_both
def test_to_another_tier(world: World) -> None:
    """By its name, and of a disk that had none; one that is there already is not moved."""
    other = second(world, fast=SECOND[world.driver.platform], slow=world.pool)
    moved(world, True, ({"size": "1 MiB", "tier": "slow"}, TWO[1]),
          ({"size": "1 MiB", "tier": "fast"}, {**TWO[1], "tier": "slow"}))
    assert list(pools(world).values()) == [other, world.pool]


@on_both
def test_moved_grown_and_limited_at_once(world: World) -> None:
    other = second(world)
    moved(world, True, TWO, (TWO[0], {**TWO[1], "size": "3 MiB", "pool": other, "iops_limit": 50}), tags={"a": "1"})
    assert pools(world) == {"root": world.pool, "data": other}


@on_both
@pytest.mark.parametrize("of", ["template", "VM"])
def test_a_copy_whose_disks_go_to_several_pools(world: World, of: str) -> None:
    """A platform copies all disks of its source to one pool: the first run moves the others, not the second."""
    other = second(world)
    disks = [{**TWO[0], "pool": world.pool}, {**TWO[1], "pool": other}]
    desired = world.wanted("copy", disks=disks)
    if of == "VM":
        copy = world.driver.clone(world.made(disks=list(TWO)), desired, world.mark(desired))
    else:
        two_disks(world)
        copy = world.driver.create(desired, world.mark(desired), Template("debian", "golden"))
    assert [disk["pool"] for disk in copy["disks"]] == [world.pool, other]
    assert copy.state["built"]
    assert plan(desired, copy, world.driver.refine) == []


def two_disks(world: World) -> None:
    """A template 'golden' that has them in one pool."""
    if isinstance(world, VsphereWorld):
        world.template("golden", (1 << 20, 2 << 20))
    elif isinstance(world, ProxmoxWorld):
        template(world, name="golden", scsi1=f"{world.pool}:base-9000-disk-1,size=2M")
        volumes = world.fake.storages[world.pool]["volumes"]
        volumes["base-9000-disk-1"] = {"content": "images", "format": "raw", "size": 2 << 20, "vmid": 9000}


@on_vsphere
def test_the_bytes_are_where_vcenter_says(world: VsphereWorld) -> None:
    second(world)
    vm = world.made(disks=list(TWO))
    world.flat(vm).write_bytes(b"x" * 100)
    desired = world.wanted(disks=[{**TWO[0], "pool": "LocalDS_1"}, TWO[1]])
    now = world.driver.apply(desired, vm, world.changes(desired))
    assert world.flat(now).read_bytes() == b"x" * 100
    world.driver.delete(now)
    assert world.volumes() == []


@on_proxmox
def test_what_stands_in_the_way_on_proxmox(world: ProxmoxWorld) -> None:
    other = second(world)
    world.fake.storages[other]["type"] = "lvm"
    vm = world.made(disks=list(TWO))
    desired = world.wanted(disks=[{**TWO[0], "pool": other}, TWO[1]])
    world.fake.storages[other]["avail"] = 100
    with pytest.raises(Conflict, match=r"'fast' on node .* has 100 B free, and it needs 1 MiB there; the disk stays"):
        world.driver.apply(desired, vm, world.changes(desired))
    del world.fake.storages[other]["avail"]
    world.driver.take_snapshot(vm, "op")
    before = world.picture()
    with pytest.raises(DriverError, match=r"move the disk 'root' to the storage 'fast'.*with snapshots"):
        world.driver.apply(desired, vm, world.changes(desired))
    assert world.picture() == before


@pytest.mark.parametrize("world", ["test"], indirect=True)
def test_libvirt_makes_the_vm_again(world: World) -> None:
    other = second(world, fast=SECOND["libvirt"], slow=world.pool)
    vm = world.made(disks=[{"size": "1 MiB", "pool": world.pool}, {**TWO[1], "tier": "slow"}])

    def hows(*disks: dict[str, Any]) -> list[str]:
        desired = world.wanted(disks=list(disks))
        return [change.how for change in plan(desired, world.driver.get(vm.name), world.driver.refine)]

    here, data = {"size": "1 MiB", "pool": world.pool}, {**TWO[1], "tier": "slow"}
    assert hows(here, data) == []
    assert hows({**here, "pool": other}, data) == ["replace"]
    assert hows(here, {**data, "pool": other}) == []  # nobody named its pool: it is not compared, and not believed
    desired = world.wanted(disks=[here, {**data, "pool": other}], tags={"a": "1"})
    world.driver.apply(desired, world.driver.get(vm.name), world.changes(desired))
    assert "pool" not in world.driver.get(vm.name)["disks"][1]
    assert hows(here, {**data, "tier": "fast"}) == ["replace"]
    assert hows({**here, "tier": "slow"}, data) == ["live"]  # it lies there
    desired = world.wanted(disks=[{**here, "tier": "slow"}, data])
    world.driver.apply(desired, world.driver.get(vm.name), world.changes(desired))
    assert world.changes(desired) == []
