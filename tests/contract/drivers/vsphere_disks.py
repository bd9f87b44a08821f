"""VMs of the vCenter simulator with bytes in their disks, and backups of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from muster.drivers import qcow2
from muster.drivers.driver import Backup
from muster.model.vm import VM
from sites import sha256
from test_backup import raw
from vsphere_site import VsphereWorld

MIB = 1 << 20
DISKS: dict[str, Any] = {"disks": [{"size": "1 MiB"}, {"size": "64 MiB"}], "nics": [{"network": "DC0_DVPG0"}]}
# Content of the disks: within a grain, over the edge of two, and beyond the 32 MiB of the first table.
FIRST = b"\1" * 70000
SECOND = bytes(5 * MIB) + bytes(range(256)) * 1024 + bytes(35 * MIB) + b"\2" * 513


def filled(world: VsphereWorld, **spec: Any) -> VM:
    vm = world.made(**{**DISKS, **spec})
    for place, content in (("0:0", FIRST), ("0:1", SECOND)):
        world.flat(vm, place).write_bytes(content)
    return vm


def taken(world: VsphereWorld, vm: VM, folder: Path, point: str = "one", parent: str | None = None) -> Backup:
    folder.mkdir(exist_ok=True)
    found = world.driver.backup(vm, folder, point, parent)
    for disk in found.disks:
        assert disk.sha256 == sha256(disk.path)
        assert disk.bytes == disk.path.stat().st_size
        qcow2.check_image(disk.path, "vc", "web")
    assert sorted(path.name for path in folder.iterdir()) == sorted(disk.path.name for disk in found.disks)
    return found


def holds(found: Backup) -> bool:
    first, second = (raw(disk.path) for disk in found.disks)
    return first == FIRST.ljust(MIB, b"\0") and second == SECOND.ljust(64 * MIB, b"\0")
