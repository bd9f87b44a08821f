"""Backups, restores and drills of a small fleet at vSphere. Its guests do not run: what they would say is set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fleets import Small
from muster.model.vm import VM
from muster.operations import backup, drill
from muster.operations.drill import REALM
from pyVmomi import vim
from vsphere_site import VsphereWorld, on_vsphere

pytestmark = on_vsphere
MIB = 1 << 20
CONTENT = b"\x5a" * 700_000


@pytest.fixture
def small(world: VsphereWorld, tmp_path: Path) -> Small:
    """A fleet of one VM with a known content."""
    fleet = Small(world, tmp_path, a={"nics": [{"network": world.network}]})
    fleet.run()
    world.flat(world.driver.get(fleet.name("a"))).write_bytes(CONTENT)
    return fleet


def backed_up(small: Small, **more: Any) -> backup.Outcome:
    (outcome,) = backup.backup(small.fleet, small.drivers, **more)
    return outcome


def awake(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on VMware Tools run in each guest that is started."""
    driver: Any = small.world.driver
    world: Any = small.world
    power = driver.power

    def started(vm: VM, state: str, *more: Any, **options: Any) -> VM:
        found = power(vm, state, *more, **options)
        if state == "on":
            world.tools(found, "guestToolsRunning")
        return found

    monkeypatch.setattr(driver, "power", started)


def test_backup_prune_and_restore(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    world: Any = small.world
    small.edit(lambda vms: vms["a"].update(protection={"keep": {"last": 2}}))
    made = [backed_up(small) for _night in range(3)]
    assert [(one.error, one.kind) for one in made] == [("", "full")] * 3
    assert made[1].why.startswith("vSphere hands out whole disks")  # what changed was asked for
    assert made[2].pruned == (made[0].restore_point,)

    (refused,) = backup.restore_all(small.fleet, small.drivers)
    assert "it still exists, so nothing was restored over it" in refused.error
    world.driver.delete(world.driver.get(small.name("a")))
    awake(small, monkeypatch)
    monkeypatch.setattr(world.driver, "wait_ready", lambda vm, *_: vm)  # its network is none that gives addresses
    (did,) = backup.restore_all(small.fleet, small.drivers)
    assert (did.error, did.restore_point) == ("", made[2].restore_point)
    now = world.driver.get(small.name("a"))
    assert world.flat(now).read_bytes() == CONTENT.ljust(MIB, b"\0")
    world.driver.power(now, "off", force=True)
    assert not any(outcome.changed for outcome in small.run())


def test_a_vm_comes_back_as_the_kind_that_it_was(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its guest may have no driver for another controller than the one that it was installed on."""
    world: Any = small.world
    vm = world.driver.get(small.name("a"))
    inside = world.inside(vm)
    old = next(one for one in inside.config.hardware.device if isinstance(one, vim.vm.device.VirtualSCSIController))
    disk = next(one for one in inside.config.hardware.device if isinstance(one, vim.vm.device.VirtualDisk))
    lsi = vim.vm.device.VirtualLsiLogicSASController(key=-1, busNumber=0, sharedBus="noSharing")
    disk.controllerKey = -1
    edits = [("remove", old), ("add", lsi), ("edit", disk)]
    world.reconfigure(inside, guestId="windows9Server64Guest", deviceChange=[
        vim.vm.device.VirtualDeviceSpec(operation=how, device=device) for how, device in edits])
    assert backed_up(small).error == ""
    world.driver.delete(world.driver.get(small.name("a")))
    monkeypatch.setattr(world.driver, "wait_ready", lambda vm, *_: vm)
    assert backup.restore_all(small.fleet, small.drivers)[0].error == ""
    config = world.inside(world.driver.get(small.name("a"))).config
    (bus,) = (one for one in config.hardware.device if isinstance(one, vim.vm.device.VirtualSCSIController))
    assert config.guestId == "windows9Server64Guest"
    assert isinstance(bus, vim.vm.device.VirtualLsiLogicSASController)


def test_a_drill_proves_the_start_and_says_what_it_cannot_ask(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    small.edit(lambda vms: vms["a"].update(health=[{"http": {"port": 80}}]))
    backed_up(small)
    before = small.world.picture()
    awake(small, monkeypatch)
    (outcome,) = drill.drill(small.fleet, small.drivers)
    assert outcome.outcome == "not_tested"
    assert [(check.name, check.outcome) for check in outcome.checks] == [
        ("restore point intact", "passed"),
        ("isolated", "passed"),
        ("boots", "passed"),
        ("http :80/", "not_tested"),
    ]
    assert "it has no NIC, so nobody can ask its port 80" in drill.sentence(outcome)
    assert small.world.picture() == before


def test_one_flipped_byte_fails_the_drill(small: Small) -> None:
    point = backed_up(small).restore_point
    (path,) = (small.folder / "repository").rglob("root.qcow2")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    before = small.world.picture()
    (outcome,) = drill.drill(small.fleet, small.drivers)
    assert outcome.outcome == "failed"
    assert point in outcome.error
    assert small.world.picture() == before


def test_a_twin_that_a_killed_drill_left_is_taken_down(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    backed_up(small)
    before = small.world.picture()
    driver = small.world.driver

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(driver, "delete", killed)
        patched.setattr(driver, "wait_ready", killed)
        with pytest.raises(KeyboardInterrupt):
            drill.drill(small.fleet, small.drivers)
    twins = [vm for vm in driver.list() if vm.mark and vm.mark.fleet == small.world.fleet + REALM]
    assert len(twins) == 1
    assert not any(outcome.changed for outcome in small.run())  # no plan sees it
    assert drill.reap(small.fleet, driver) == [twins[0].name]
    assert small.world.picture() == before


def test_a_repository_that_gets_full(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing half made is kept, no snapshot grows, and the restore points of before are as they were."""
    first = backed_up(small)
    before = small.world.picture()
    begin = backup.Repository.begin

    def full(repository: Any, vm: VM, id_: str) -> Path:
        part = begin(repository, vm, id_)
        (part / ".root.vmdk").symlink_to("/dev/full")
        return part

    with monkeypatch.context() as patched:
        patched.setattr(backup.Repository, "begin", full)
        outcome = backed_up(small)
    assert "could not be written to" in outcome.error
    assert "No space left on device; older ones are as they were" in outcome.error
    fleet = small.fleet
    points, damaged = backup.repository_of(fleet, fleet.vms[0]).points(fleet.vms[0])
    assert ([point.id for point in points], damaged) == ([first.restore_point], [])
    assert not list((small.folder / "repository").rglob(".part-*"))
    assert small.world.picture() == before
