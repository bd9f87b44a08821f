"""Surveying a site: what its hosts and pools have, and the disks that no VM uses. It changes nothing."""

from __future__ import annotations

import pytest
from libvirt_site import LibvirtWorld, on_libvirt, real
from muster.drivers.driver import HostCapacity, Survey
from muster.model.fleet import Site
from muster.model.vm import VM
from muster.operations import surveys


def survey(world: LibvirtWorld) -> Survey:
    return world.driver.survey(world.driver.list())


def loose(world: LibvirtWorld) -> list[str]:
    found = survey(world).loose
    assert found is not None
    return sorted(disk.name for disk in found if disk.name.startswith(world.names))


@on_libvirt
def test_a_disk_is_orphaned_when_its_vm_is_gone_and_not_before(world: LibvirtWorld) -> None:
    kept, gone = world.made("kept", disks=[{"size": "1 MiB"}, {"size": "2 MiB"}]), world.made("gone")
    assert loose(world) == []
    world.remove(gone)
    left = [name for name in world.volumes() if name.startswith(f"{world.names}-gone")]
    assert loose(world) == [name for name in left if name.endswith(".qcow2")] != []
    found = next(disk for disk in survey(world).loose or () if disk.name.startswith(world.names))
    assert (found.pool, found.size) == (world.pool, 1 << 20)
    world.driver.delete(kept)
    assert loose(world) == [found.name]


@real
def test_what_is_used_in_another_way_is_not_orphaned(world: LibvirtWorld) -> None:
    base, top = (f"{world.names}-{name}.qcow2" for name in ("base", "top"))
    world.virsh("vol-create-as", world.pool, base, "2MiB", "--format", "qcow2")
    world.virsh("vol-create-as", world.pool, top, "2MiB", "--format", "qcow2", "--backing-vol", base,
                "--backing-vol-format", "qcow2")
    assert loose(world) == [top]  # what a volume builds upon is in use; nobody uses the volume itself
    world.virsh("vol-create-as", world.pool, f"{world.names}-x.root.qcow2.1.backup", "2MiB", "--format", "qcow2")
    world.virsh("vol-create-as", world.pool, f"{world.names}-note.txt", "1KiB", "--format", "raw")
    assert loose(world) == [top]


@on_libvirt
def test_capacity_and_promises(world: LibvirtWorld) -> None:
    before = survey(world)
    made = [world.made("a", cpus=2, memory="64 MiB", disks=[{"size": "8 MiB"}]), world.made("b", cpus=3)]
    world.driver.power(made[0], "on")
    after = survey(world)
    (host,) = after.hosts
    assert host.cpus > 0
    assert host.memory > 64 << 20
    assert all(after.placed[str(vm.uuid)] == host.name for vm in made)
    pools = [next(pool for pool in one.pools if pool.name == world.pool) for one in (before, after)]
    assert pools[1].promised - pools[0].promised == 9 << 20
    assert pools[1].size >= pools[1].free > 0
    ours = [vm for vm in world.driver.list() if vm.name.startswith(world.names)]  # others live here too, and change
    counted = surveys.document(world.access, after, ours)["hosts"][0]
    assert {key: counted[key] for key in ("vms", "cpus_promised", "memory_promised")} \
        == {"vms": 1, "cpus_promised": 2, "memory_promised": 64 << 20}  # b does not run


@on_libvirt
def test_a_pool_that_does_not_run_makes_orphans_unknown_and_is_not_started(world: LibvirtWorld) -> None:
    connection = world.domain(world.made()).connect()
    name = f"{world.names}-pool"
    pool = connection.storagePoolDefineXML(
        f"<pool type='dir'><name>{name}</name><target><path>/nonexistent/{name}</path></target></pool>", 0)
    options = {**world.access.options, "tiers": {"t": name}}
    world.driver.access = Site(world.access.name, "libvirt", options)
    try:
        found = survey(world)
        assert found.loose is None
        assert name not in {one.name for one in found.pools}
        assert not pool.isActive()
        assert "orphaned_disks" not in surveys.document(world.access, found, [])
    finally:
        pool.undefine()


@on_libvirt
def test_a_live_document_has_a_list_of_disks_with_what_the_driver_knows(world: LibvirtWorld) -> None:
    document = world.made(nics=[{"network": "the-network"}]).document()
    (disk,), (nic,) = document["disks"], document["nics"]
    assert (disk["name"], disk["size"], disk["bus"]) == ("root", 1 << 20, "virtio")
    assert nic["model"] == "virtio"


@pytest.mark.parametrize("hosts", [1, 2])
def test_memory_that_is_left_when_the_largest_host_is_lost(hosts: int) -> None:
    made = tuple(HostCapacity(f"h{number}", 8, number << 30) for number in range(1, hosts + 1))
    found = surveys.document(Site("s", "vsphere", {}), Survey(made, (), {"u": "h1"}, None),
                             [VM("a", "s", {"memory": 1 << 29, "cpus": 2}, uuid="u", state={"power": "on"})])
    assert found.get("memory_after_host_loss") == (1 << 30 if hosts == 2 else None)
    assert (found["memory_promised"], found["hosts"][0]["cpu_overcommit"]) == (1 << 29, 0.25)
