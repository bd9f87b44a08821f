"""Backups: the disks at one point in time, whole or as what changed, byte for byte; and what is made of them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from libvirt_site import content, real, write
from muster.drivers import qcow2
from muster.drivers.driver import Backup, Conflict, Failed, NotFound
from muster.drivers.libvirt import domain as xml
from muster.drivers.libvirt import forwards
from muster.model.vm import VM
from sites import World, sha256

pytestmark = real
FORWARDED: dict[str, Any] = {"nics": [{"network": "user", "forwards": [{"guest": 22}]}]}


def taken(world: World, vm: VM, folder: Path, point: str, parent: str | None = None) -> Backup:
    folder.mkdir()
    found = world.driver.backup(vm, folder, point, parent)
    for disk in found.disks:
        assert disk.sha256 == sha256(disk.path)
        assert disk.bytes == disk.path.stat().st_size
        qcow2.check_image(disk.path, "lab", "web")
    return found


def raw(path: Path) -> bytes:
    target = path.with_suffix(".raw")
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(path), str(target)], check=True)
    return target.read_bytes()


def patterned(world: World, **spec: Any) -> VM:
    vm = world.made(on=True, **spec)
    write(world, vm, "root", 1, "0", "256k")
    return vm


FIRST = b"\1" * (256 << 10) + b"\0" * (768 << 10)
SECOND = b"\1" * (128 << 10) + b"\2" * (128 << 10) + b"\0" * (768 << 10)


def test_full_then_incremental(world: World, tmp_path: Path) -> None:
    vm = patterned(world)
    began = time.time()
    full = taken(world, vm, tmp_path / "full", "one")
    assert (full.kind, full.why, full.consistency) == ("full", "", "crash")
    assert began - 1 <= full.created <= time.time()
    write(world, vm, "root", 2, "128k", "128k")
    more = taken(world, vm, tmp_path / "more", "two", "one")
    assert (more.kind, more.why) == ("incremental", "")
    write(world, vm, "root", 3, "0", "1M")  # after the point in time
    assert raw(full.disks[0].path) == FIRST
    flat = tmp_path / "flat.qcow2"
    qcow2.flatten([full.disks[0].path, more.disks[0].path], flat, "lab", "web")
    assert raw(flat) == SECOND
    assert len(world.volumes()) == 1  # nothing of the backups stays in the pool


def test_a_stopped_vm(world: World, tmp_path: Path) -> None:
    vm = world.driver.power(patterned(world), "off", force=True)
    found = taken(world, vm, tmp_path / "off", "one", "zero")
    assert (found.kind, found.consistency, found.why) == ("full", "offline", "the VM is off")
    assert raw(found.disks[0].path) == FIRST


def test_a_stopped_vm_with_snapshots(world: World, tmp_path: Path) -> None:
    """Its volume holds them too; what is backed up must boot without them."""
    vm = world.driver.power(patterned(world), "off", force=True)
    world.driver.take_snapshot(vm, "op")
    found = taken(world, vm, tmp_path / "off", "one")
    assert raw(found.disks[0].path) == FIRST


def test_after_qemu_was_killed_a_full_is_taken_and_says_so(world: World, tmp_path: Path) -> None:
    vm = patterned(world)
    taken(world, vm, tmp_path / "full", "one")
    pid = int(Path(f"/run/libvirt/qemu/{vm.name}.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 30
    while world.driver.get(vm.name).power == "on":
        assert time.monotonic() < end
    again = world.driver.power(world.driver.get(vm.name), "on")
    found = taken(world, again, tmp_path / "again", "two", "one")
    assert found.kind == "full"
    assert found.why
    assert raw(found.disks[0].path) == FIRST
    write(world, again, "root", 2, "128k", "128k")
    assert taken(world, again, tmp_path / "third", "three", "two").kind == "incremental"


def test_an_unknown_parent_is_a_full(world: World, tmp_path: Path) -> None:
    found = taken(world, patterned(world), tmp_path / "x", "one", "never-was")
    assert (found.kind, found.why) == ("full", "the checkpoint of the last backup is gone")


def test_a_new_disk_between_two_backups(world: World, tmp_path: Path) -> None:
    vm = patterned(world)
    taken(world, vm, tmp_path / "full", "one")
    desired = world.wanted(disks=[{"size": "1 MiB"}, {"size": "1 MiB"}])
    now = world.driver.apply(desired, vm, world.changes(desired))
    write(world, now, "disk1", 7, "0", "1M")
    found = taken(world, now, tmp_path / "more", "two", "one")
    assert found.kind == "full"
    assert found.why
    assert [raw(disk.path) for disk in found.disks] == [FIRST, b"\7" * (1 << 20)]


def test_a_backup_that_is_interrupted_leaves_nothing(world: World, tmp_path: Path, monkeypatch: Any) -> None:
    vm = patterned(world)
    before = world.volumes()
    driver: Any = world.driver

    def interrupted(*_arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(driver.volumes, "download", interrupted)
    with pytest.raises(KeyboardInterrupt):
        driver.backup(vm, tmp_path, "one", None)
    monkeypatch.undo()
    assert world.volumes() == before
    assert taken(world, vm, tmp_path / "again", "two", "one").disks


def restored(world: World, backup: Backup, name: str = "a", isolated: bool = False, **spec: Any) -> VM:
    desired = world.wanted(name, **spec)
    mark = world.mark(desired, "op-restore")
    return world.driver.restore(desired, mark, {disk.name: disk.path for disk in backup.disks}, isolated)


def test_a_deleted_vm_comes_back(world: World, tmp_path: Path) -> None:
    vm = patterned(world)
    backup = taken(world, vm, tmp_path / "full", "one")
    world.driver.delete(vm)
    now = restored(world, backup)
    assert (now.uuid, now.name, now.power) == (vm.uuid, vm.name, "off")
    assert world.changes(world.wanted()) == []
    assert content(world, now, "root", tmp_path) == FIRST


def test_an_isolated_twin_reaches_nothing(world: World, tmp_path: Path) -> None:
    vm = patterned(world, **FORWARDED)
    backup = taken(world, vm, tmp_path / "full", "one")
    before = {uuid: part for uuid, part in world.picture().items() if uuid == vm.uuid}
    twin = restored(world, backup, "twin", isolated=True, **FORWARDED)
    assert twin.uuid != vm.uuid
    domain = world.domain(twin)
    assert xml.is_isolated(domain.XMLDesc(0))
    assert "<interface" not in domain.XMLDesc(0)
    on = world.driver.power(twin, "on")
    assert xml.is_isolated(domain.XMLDesc(0))
    assert world.driver.endpoint(on, 22)[0] == "127.0.0.1"
    assert not forwards.is_free(world.driver.endpoint(on, 22)[1])
    world.driver.delete(on)
    assert {uuid: part for uuid, part in world.picture().items() if uuid == vm.uuid} == before
    assert len(world.volumes()) == 1


def test_a_twin_that_is_not_isolated_any_more_is_not_started(world: World, tmp_path: Path) -> None:
    backup = taken(world, patterned(world), tmp_path / "full", "one")
    twin = restored(world, backup, "twin", isolated=True, **FORWARDED)
    world.virsh("attach-interface", str(twin.uuid), "network", "default", "--config")
    with pytest.raises(Conflict, match="the twin has a NIC that is not isolated; it was not started"):
        world.driver.power(twin, "on")
    assert world.driver.get(twin.name).power == "off"


@pytest.mark.parametrize("on", [True, False], ids=["running", "stopped"])
def test_clone(world: World, tmp_path: Path, on: bool) -> None:
    vm = patterned(world, nics=[{"network": "user", "mac": "52:54:00:00:00:09"}])
    vm = vm if on else world.driver.power(vm, "off", force=True)
    desired = world.wanted("twin")
    twin = world.driver.clone(vm, VM(desired.name, desired.site, {}, mark=desired.mark), world.mark(desired))
    assert twin.uuid != vm.uuid
    assert twin["nics"][0]["mac"] != "52:54:00:00:00:09"
    assert content(world, twin, "root", tmp_path) == FIRST
    world.driver.delete(twin)
    assert len(world.volumes()) == 1


def test_forwards(world: World) -> None:
    vm = world.made(on=True, **FORWARDED)
    host, port = world.driver.endpoint(vm, 22)
    assert host == "127.0.0.1"
    assert not forwards.is_free(port)
    with pytest.raises(NotFound, match="nothing leads to its port 80"):
        world.driver.endpoint(vm, 80)
    off = world.driver.power(vm, "off", force=True)
    on = world.driver.power(off, "on")
    assert world.driver.endpoint(on, 22) == (host, port)  # the port that it had
    other = forwards.free_port()
    desired = world.wanted(nics=[{"network": "user", "forwards": [{"guest": 80, "host": other}]}])
    now = world.driver.apply(desired, on, world.changes(desired))
    assert world.changes(desired) == []
    assert world.driver.endpoint(now, 80) == (host, other)
    assert forwards.is_free(port)


def test_a_taken_port(world: World) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        vm = world.made(nics=[{"network": "user", "forwards": [{"guest": 22, "host": port}]}])
        with pytest.raises(Conflict, match=f"port {port} on the loopback address is taken"):
            world.driver.power(vm, "on")
        assert world.driver.get(vm.name).power == "off"
    assert world.driver.power(vm, "on").power == "on"


def test_a_port_that_is_taken_at_the_last_moment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was free when it was chosen. QEMU says no; the VM must not run unreachable."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        vm = world.made(nics=[{"network": "user", "forwards": [{"guest": 22, "host": port}]}])
        monkeypatch.setattr(forwards, "is_free", lambda _port: True)
        with pytest.raises(Failed, match=f"QEMU could not forward the loopback port {port} to port 22"):
            world.driver.power(vm, "on")
        assert world.driver.get(vm.name).power == "off"
