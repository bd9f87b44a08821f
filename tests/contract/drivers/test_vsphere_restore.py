"""vSphere: disks that were kept become a VM again, whole and marked from its first moment; twins reach nothing."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from muster.drivers.driver import Backup, Conflict, Unsupported
from muster.model.vm import VM, Mark
from pyVmomi import vim
from vsphere_disks import DISKS, FIRST, MIB, filled, holds, taken
from vsphere_site import VsphereWorld, done, on_vsphere

pytestmark = on_vsphere


def restored(world: VsphereWorld, backup: Backup, name: str = "a", isolated: bool = False, **spec: Any) -> VM:
    desired = world.wanted(name, **{**DISKS, **spec})
    contents = {disk.name: disk.path for disk in backup.disks}
    return world.driver.restore(desired, world.mark(desired, "op-restore"), contents, isolated)


def test_a_deleted_vm_comes_back(world: VsphereWorld, tmp_path: Path) -> None:
    vm = filled(world)
    backup = taken(world, vm, tmp_path / "full")
    world.driver.delete(vm)
    now = restored(world, backup)
    assert (now.uuid, now.name, now.power, now.state["built"]) == (vm.uuid, vm.name, "off", True)
    assert world.changes(world.wanted(**DISKS)) == []
    assert holds(taken(world, now, tmp_path / "again"))


@pytest.fixture
def kept(world: VsphereWorld, tmp_path: Path) -> Backup:
    """A backup of a VM that is deleted then."""
    vm = filled(world)
    found = taken(world, vm, tmp_path / "kept")
    world.driver.delete(vm)
    return found


def test_disks_grow_to_what_is_asked_for(world: VsphereWorld, kept: Backup) -> None:
    spec = {"disks": [{"size": "3 MiB"}, {"size": "64 MiB"}]}
    now = restored(world, kept, **spec)
    assert world.changes(world.wanted(**{**DISKS, **spec})) == []
    assert world.flat(now).read_bytes() == FIRST.ljust(MIB, b"\0")


def test_a_disk_that_is_too_small(world: VsphereWorld, kept: Backup) -> None:
    before = world.picture()
    with pytest.raises(Conflict, match="the disk 'disk1' has 64 MiB and does not fit into 1 MiB; nothing was"):
        restored(world, kept, disks=[{"size": "1 MiB"}, {"size": "1 MiB"}])
    assert world.picture() == before


def test_a_disk_that_nobody_wrote_to(world: VsphereWorld, tmp_path: Path) -> None:
    vm = world.made()
    backup = taken(world, vm, tmp_path / "blank")
    world.driver.delete(vm)
    now = restored(world, backup, disks=[{"size": "1 MiB"}])
    assert world.flat(now).read_bytes() == bytes(MIB)


def test_a_disk_that_ends_within_a_grain(world: VsphereWorld, tmp_path: Path) -> None:
    vm = world.made(disks=[{"size": "1025 KiB"}])
    world.flat(vm).write_bytes(b"\7" * (1025 << 10))
    backup = taken(world, vm, tmp_path / "odd")
    world.driver.delete(vm)
    now = restored(world, backup, disks=[{"size": "1025 KiB"}])
    assert world.flat(now).read_bytes() == b"\7" * (1025 << 10)


def test_an_image_that_names_another_file(world: VsphereWorld, kept: Backup, tmp_path: Path) -> None:
    evil = tmp_path / "evil.qcow2"
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", "/etc/shadow", "-F", "raw", str(evil), "1M"]
    subprocess.run(argv, check=True)
    before = world.picture()
    with pytest.raises(Conflict, match="an image must stand alone"):
        restored(world, replace(kept, disks=(replace(kept.disks[0], path=evil), kept.disks[1])))
    assert world.picture() == before


def test_an_interrupt_leaves_no_half_made_vm(world: VsphereWorld, kept: Backup) -> None:
    before = world.picture()
    seen: list[tuple[bool, str]] = []

    def progress(said: str) -> None:
        if "uploading the disk 'disk1'" in said:
            (half,) = [vm for vm in world.driver.list() if vm.mark]
            seen.append((half.state["built"], str(half.mark and half.mark.vm)))
            raise KeyboardInterrupt

    desired = world.wanted(**DISKS)
    with pytest.raises(KeyboardInterrupt):
        world.driver.restore(
            desired, world.mark(desired), {disk.name: disk.path for disk in kept.disks}, progress=progress
        )
    assert seen == [(False, desired.name)]
    assert world.picture() == before


def test_an_isolated_twin_has_no_nic(world: VsphereWorld, tmp_path: Path) -> None:
    vm = world.driver.power(filled(world), "on")
    backup = taken(world, vm, tmp_path / "full")
    before = world.picture()
    desired = world.wanted("twin", **DISKS)
    mark = Mark(f"{world.fleet}/drill", vm.name, "op-drill")
    contents = {disk.name: disk.path for disk in backup.disks}
    twin = world.driver.restore(desired, mark, contents, isolated=True)
    hardware = world.inside(twin).config.hardware.device
    assert not [one for one in hardware if isinstance(one, vim.vm.device.VirtualEthernetCard)]
    assert twin.uuid != vm.uuid
    assert holds(taken(world, twin, tmp_path / "of-the-twin"))
    on = world.driver.power(twin, "on")
    world.tools(on, "guestToolsRunning")
    assert world.driver.wait_ready(on, stall=5, timeout=5).state["ready"]
    with pytest.raises(Unsupported, match="it has no NIC, so nobody can ask its port 80"):
        world.driver.endpoint(on, 80)
    world.driver.delete(on)
    assert world.picture() == before


def test_a_twin_that_got_a_nic_is_not_started(world: VsphereWorld, kept: Backup) -> None:
    desired = world.wanted("twin", **DISKS)
    contents = {disk.name: disk.path for disk in kept.disks}
    twin = world.driver.restore(desired, Mark(f"{world.fleet}/drill", desired.name, "op"), contents, isolated=True)
    nic = vim.vm.device.VirtualVmxnet3(
        key=-9, backing=vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName="VM Network")
    )
    change = vim.vm.device.VirtualDeviceSpec(operation="add", device=nic)
    done(world.inside(twin).ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[change])))
    with pytest.raises(Conflict, match="the twin has a NIC that is not isolated; it was not started"):
        world.driver.power(twin, "on")
    assert world.driver.get(twin.name).power == "off"
