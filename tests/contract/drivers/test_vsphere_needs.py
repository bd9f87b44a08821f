"""vSphere: what a run needs of its site is looked for before any of it is done: room in the datastores, and the rights
of the account."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from muster.drivers.driver import Conflict, Denied, Driver, Image, Template
from muster.model.fleet import Fleet, Site
from muster.model.fleet_planner import VMPlan
from muster.model.units import format_size
from muster.model.vm import VM
from muster.operations.converge import Allowed, Outcome, converge
from pyVmomi import vim
from test_vsphere_placement import cluster
from vsphere_simulator import ACCOUNT
from vsphere_site import VsphereWorld, disk_spec, done, on_vsphere

pytestmark = on_vsphere
MIB = 1 << 20
DISK: dict[str, Any] = {"disks": [{"size": "1 MiB"}]}


def free(world: VsphereWorld, datastore: str) -> int:
    """Bytes, of whole MiB."""
    (store,) = (one for one in cluster(world).datastore if one.name == datastore)
    return int(store.summary.freeSpace) >> 20 << 20


def run(world: VsphereWorld, **vms: dict[str, Any]) -> list[Outcome]:
    """Converge a fleet of these VMs."""
    wanted = tuple(world.wanted(name, **spec) for name, spec in vms.items())
    fleet = Fleet(world.fleet, {"vc": world.driver.access}, wanted)
    return converge(fleet, {"vc": world.driver}, allowed=Allowed(True, True), wait=False)


def disk(size: int, **more: str) -> dict[str, Any]:
    return {"size": f"{size >> 20} MiB", **more}


def debian(world: VsphereWorld) -> None:
    """The image `debian` of the site is the template of that name."""
    images = {"debian": {"template": "debian"}}
    world.driver.access = Site("vc", "vsphere", {**world.access.options, "images": images})


def fill(world: VsphereWorld, datastore: str, left: int) -> None:
    """A VM of others takes all of a datastore but for `left` bytes."""
    (store,) = (one for one in cluster(world).datastore if one.name == datastore)
    controller = vim.vm.device.VirtualDeviceSpec(
        operation="add", device=vim.vm.device.ParaVirtualSCSIController(key=-1, busNumber=0, sharedBus="noSharing"))
    size = int(store.summary.freeSpace) - left
    world.add(f"hog-{size}", deviceChange=[controller, disk_spec(size, 0, datastore)])


def drive(obj: Any) -> Any:
    """The one disk of a VM or template."""
    (found,) = (one for one in obj.config.hardware.device if isinstance(one, vim.vm.device.VirtualDisk))
    return found


def thicken(world: VsphereWorld, vm: VM) -> None:
    device = drive(world.inside(vm))
    device.backing.thinProvisioned = False
    world.reconfigure(
        world.inside(vm), deviceChange=[vim.vm.device.VirtualDeviceSpec(operation="edit", device=device)])


def hold(world: VsphereWorld, obj: Any, holds: int) -> None:
    """From now on the disk of a VM or template holds so many bytes, and vCenter knows."""
    datastore, _bracket, path = str(drive(obj).backing.fileName).removeprefix("[").partition("] ")
    (file,) = world.simulator.folder.rglob(f"*{datastore}*/{path.removesuffix('.vmdk')}-flat.vmdk")
    os.truncate(file, holds)
    obj.RefreshStorageInfo()


def test_what_fits_alone_and_not_together(world: VsphereWorld) -> None:
    """A run of three VMs, of which any two fit: their disks are thick."""
    thicken(world, world.made("old", **DISK))
    world.template()
    debian(world)
    size = (free(world, world.pool) * 2 // 5) >> 20 << 20
    before = world.picture()
    left = format_size(int(next(one for one in cluster(world).datastore if one.name == world.pool).summary.freeSpace))
    outcomes = run(world, a={"disks": [disk(size)], "image": "debian"}, b={"disks": [disk(size)], "image": "debian"},
                   old={"disks": [disk(size + (1 << 20))]})  # fmt: skip
    assert not any(one.changed for one in outcomes)
    assert len(outcomes) == 3
    (error,) = {one.error for one in outcomes}
    names = ", ".join(f"{world.names}-{name}" for name in ("a", "b", "old"))
    assert error == (
        f"Site 'vc': the datastore '{world.pool}' has {left} free, and {names} need {format_size(3 * size)} there; "
        "nothing was changed. Free space there, or name another pool in the fleet file."
    )
    assert world.picture() == before
    assert [one.error for one in run(world, a={"disks": [disk(size)], "image": "debian"}, b=DISK)] == ["", ""]


# What is done for a disk of 4 MiB · whether the one that is there or is copied is thin, it holds 3 MiB · MiB that must
# find room at once; where that is none, something must be free.
ROOM = [
    ("made", True, 0), ("added", True, 0), ("grown", True, 0), ("grown", False, 3), ("copied", True, 3),
    ("copied", False, 4), ("cloned", True, 3), ("cloned", False, 4), ("moved", True, 3), ("moved", False, 4),
    ("sent", True, 3), ("restored", True, 3), ("made again", True, 0), ("made again", False, 5),
]  # fmt: skip


@pytest.mark.parametrize(("way", "thin", "size"), ROOM)
def test_a_full_datastore(world: VsphereWorld, tmp_path: Path, way: str, thin: bool, size: int) -> None:
    """Each way in which a disk comes to need room there, without a run around it. A VM that is made again is a copy of
    8 MiB, and gives back the 3 MiB that it holds."""
    there, driver, image = {"pool": "LocalDS_1"}, world.driver, tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(image), "4M"], check=True)
    os.truncate(image, 3 * MIB)
    again = way == "made again"
    hold(world, world.template(sizes=(4 * MIB,), thin=thin), 3 * MIB)
    debian(world)
    own = disk((1 if way == "grown" else 4) * MIB, **there if way == "grown" or again else {})
    vm = world.made("old", disks=[own], firmware="bios")
    if not thin and not again:
        thicken(world, vm)
    hold(world, world.inside(vm), (1 if way == "grown" else 3) * MIB)
    vm = driver.get(vm.name)
    new = world.wanted("new", disks=[disk(4 * MIB, **there)])
    disks = [own, disk(4 * MIB, **there)] if way == "added" else [disk(4 * MIB, **there)]
    desired = world.wanted("old", disks=disks)
    anew = world.wanted("old", disks=[disk(8 * MIB, **there)], firmware="uefi", image="debian")
    ways: dict[str, Callable[[], object]] = {
        "made": lambda: driver.create(new, world.mark(new), None),
        "copied": lambda: driver.create(new, world.mark(new), Template("debian", "debian")),
        "cloned": lambda: driver.clone(vm, new, world.mark(new)),
        "sent": lambda: driver.create(new, world.mark(new), Image("debian", image, "")),
        "restored": lambda: driver.restore(new, world.mark(new), {"root": image}),
        "made again": lambda: driver.check_run([VMPlan(anew, vm, tuple(world.changes(anew)))]),
    }
    act = ways.get(way, lambda: driver.apply(desired, vm, world.changes(desired)))
    fill(world, "LocalDS_1", max(0, size - 1) * MIB)
    before, has = world.picture(), f"{size - 1} MiB" if size > 1 else "0 B"
    lacks = f"{size} MiB" if size else "some"
    with pytest.raises(Conflict, match=rf"^VM '.*'LocalDS_1' has {has} free, and it needs {lacks} there; nothing was"):
        act()
    assert world.picture() == before
    (hog,) = (one for one in world.inventory if one.name.startswith("hog-"))
    done(hog.Destroy_Task())
    fill(world, "LocalDS_1", max(1, size) * MIB)
    act()


def role(world: VsphereWorld, *rights: str) -> None:
    """From now on the account has these rights alone, everywhere."""
    manager, root = world.content.authorizationManager, world.content.rootFolder
    known = {one.name: one.roleId for one in manager.roleList}
    if "muster" in known:
        manager.UpdateAuthorizationRole(known["muster"], "muster", list(rights))
    else:
        made = manager.AddAuthorizationRole("muster", list(rights))
        manager.SetEntityPermissions(root, [
            vim.AuthorizationManager.Permission(principal=ACCOUNT[0], group=False, roleId=made, propagate=True)])
    world.driver.session.memory.pop("rights", None)  # type: ignore[attr-defined]


CONFIG, INTERACT, INVENTORY = (f"VirtualMachine.{word}." for word in ("Config", "Interact", "Inventory"))
READ = ("System.Anonymous", "System.View", "System.Read")
NIC = {"nics": [{"network": "DC0_DVPG0"}]}
MAKING = (f"{INVENTORY}Create", f"{CONFIG}AdvancedConfig", f"{CONFIG}AddNewDisk", "Resource.AssignVMToPool",
          "Datastore.AllocateSpace", "Network.Assign")  # fmt: skip
CYCLE = (f"{CONFIG}AdvancedConfig", f"{INTERACT}PowerOff", f"{INTERACT}PowerOn")
# What is done to a VM of DISK that runs, or to none → the rights that it needs beside those to read.
RUNS: dict[str, tuple[bool, dict[str, Any], tuple[str, ...]]] = {
    "make": (False, {**DISK, **NIC, "power": "off"}, MAKING),
    "make and start": (False, {**DISK, **NIC}, (*MAKING, f"{INTERACT}PowerOn")),
    "copy": (False, {**DISK, **NIC, "power": "off", "image": "debian"}, (
        f"{INVENTORY}CreateFromExisting", f"{CONFIG}AdvancedConfig", "VirtualMachine.Provisioning.DeployTemplate",
        f"{CONFIG}CPUCount", f"{CONFIG}Memory", f"{CONFIG}AddRemoveDevice",
        "Resource.AssignVMToPool", "Datastore.AllocateSpace", "Network.Assign")),
    "promises": (False, {**DISK, "power": "off", "ha_priority": "high"}, (
        *MAKING[:-1], "Host.Inventory.EditCluster")),
    "cpus": (True, {**DISK, "cpus": 2}, (*CYCLE, f"{CONFIG}CPUCount")),
    "memory": (True, {**DISK, "memory": "64 MiB"}, (*CYCLE, f"{CONFIG}Memory")),
    "limit": (True, {**DISK, "cpu_limit": 50, "memory_limit": "16 MiB"}, (CYCLE[0], f"{CONFIG}Resource")),
    "reserve": (True, {**DISK, "memory_reservation": "8 MiB"}, (CYCLE[0], f"{CONFIG}Resource")),
    "grow": (True, {"disks": [{"size": "2 MiB"}]}, (CYCLE[0], f"{CONFIG}DiskExtend", "Datastore.AllocateSpace")),
    "another disk": (True, {"disks": [{"size": "1 MiB"}, {"size": "1 MiB"}]}, (
        CYCLE[0], f"{CONFIG}AddNewDisk", "Datastore.AllocateSpace")),
    "a NIC": (True, {**DISK, **NIC}, (CYCLE[0], f"{CONFIG}AddRemoveDevice", "Network.Assign")),
    "another datastore": (True, {"disks": [{"size": "1 MiB", "pool": "LocalDS_1"}]}, (
        CYCLE[0], "Resource.HotMigrate", "Datastore.AllocateSpace")),
    "another host": (True, {**DISK, "host": "another"}, (CYCLE[0], "Resource.HotMigrate")),
    "another folder": (True, {**DISK, "folder": "shop"}, (CYCLE[0], f"{INVENTORY}Move")),
    "another pool": (True, {**DISK, "resource_pool": "gold"}, (CYCLE[0], "Resource.AssignVMToPool")),
    "stop": (True, {**DISK, "power": "off"}, (CYCLE[1],)),
}  # fmt: skip


# What is done to a running VM with a snapshot, of more than one step → the rights that it needs.
CALLS: dict[str, tuple[Callable[[Driver, VM, Path], object], tuple[str, ...]]] = {
    "delete": (lambda driver, vm, _folder: driver.delete(vm), (f"{INVENTORY}Delete", *CYCLE[:2])),
    "back up": (lambda driver, vm, folder: driver.backup(vm, folder, "op", None), (
        "VirtualMachine.State.CreateSnapshot", "VirtualMachine.State.RemoveSnapshot", "VApp.Export")),
    "revert": (lambda driver, vm, _folder: driver.revert_snapshot(vm, driver.snapshots(vm)[0]), (
        "VirtualMachine.State.RevertToSnapshot", f"{CONFIG}AdvancedConfig")),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_each_right_that_a_step_needs_is_named_before_the_first(
    world: VsphereWorld, tmp_path: Path, name: str
) -> None:
    act, rights = CALLS[name]
    vm = world.made("a", **DISK)
    world.flat(vm).write_bytes(b"\5" * 1000)
    vm = world.driver.power(vm, "on")
    world.driver.take_snapshot(vm, "op")
    before = world.picture()
    for missing in rights:
        role(world, *READ, *(one for one in rights if one != missing))
        with pytest.raises(Denied, match=f"its account lacks the right {re.escape(missing)} on the VM '.*nothing was"):
            act(world.driver, vm, tmp_path)
        assert world.picture() == before
    role(world, *READ, *rights)
    act(world.driver, vm, tmp_path)


@pytest.mark.parametrize("name", RUNS)
def test_each_right_that_is_missing_is_named_before_anything_changes(world: VsphereWorld, name: str) -> None:
    there, spec, rights = RUNS[name]
    images = {"debian": {"template": "debian"}}
    world.driver.access = Site("vc", "vsphere", {**world.access.options, "images": images})
    if spec.get("image"):
        world.template()
    if there:
        host = world.made("a", **DISK, on=True)["host"]
        if spec.get("host"):
            spec = {**spec, "host": next(name for name in ("DC0_C0_H0", "DC0_C0_H1") if name != host)}
    before, calls = world.picture(), []
    for missing in rights:
        role(world, *READ, *(one for one in rights if one != missing))
        (outcome,) = run(world, a=spec)
        assert re.search(rf"^VM '.*-a' at site 'vc': its account lacks the right {re.escape(missing)} on (the|its) .*; "
                         "nothing was changed. Give", outcome.error), outcome.error
        calls.append(outcome.changed)
    assert (any(calls), world.picture()) == (False, before)
    role(world, *READ, *rights)
    (outcome,) = run(world, a=spec)
    assert (outcome.error, outcome.changed) == ("", True)
