"""A new disk of a VM: once, whatever happens between its volume and its attachment, and never over somebody's data."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from libvirt_site import real
from muster.drivers.driver import Conflict
from sites import World

TWO: dict[str, Any] = {"disks": [{"size": "1 MiB"}, {"size": "2 MiB"}]}

STEPS = """
import os, signal, sys
sys.path[:0] = [sys.argv[6]]
import libvirt
from libvirt_site import LibvirtWorld
from muster.drivers.libvirt import build, volumes
from muster.drivers.registry import open_site
from muster.model.fleet import Site

uri, pool, names, at, spec = sys.argv[1:6]
access = Site("real", "libvirt", {"uri": uri, "pool": pool})
left = int(at)

def stepped(call):
    def wrapped(*arguments, **options):
        for when in ("before", "after"):
            global left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            if when == "before":
                result = call(*arguments, **options)
        return result
    return wrapped

volumes.Volumes.create = stepped(volumes.Volumes.create)
build.write_mark = stepped(build.write_mark)
libvirt.virDomain.attachDeviceFlags = stepped(libvirt.virDomain.attachDeviceFlags)
libvirt.virConnect.defineXML = stepped(libvirt.virConnect.defineXML)
world = LibvirtWorld(open_site(access), access, True)
world.names = names
desired = world.wanted("a", **eval(spec))
world.driver.apply(desired, world.driver.get(desired.name), world.changes(desired))
"""


@real
@pytest.mark.parametrize("on", [False, True], ids=["off", "on"])
def test_killed_at_every_step(world: Any, on: bool) -> None:
    """kill -9 before and after each call that changes the world; the next run makes exactly one disk of it."""
    for at in range(1, 20):
        world.made("a", on=on)
        argv = [sys.executable, "-c", STEPS, world.uri, world.pool, world.names, str(at), repr(TWO)]
        argv.append(str(Path(__file__).parent))
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        desired = world.wanted("a", **TWO)
        vm = world.driver.apply(desired, world.driver.get(desired.name), world.changes(desired))
        assert [(disk["name"], disk["size"]) for disk in vm["disks"]] == [("root", 1 << 20), ("disk1", 2 << 20)]
        assert world.changes(desired) == [], f"killed at step {at}"
        assert len(world.volumes()) == 2, f"killed at step {at}: {world.volumes()}"
        world.driver.delete(vm)
        assert world.volumes() == [], f"killed at step {at}"
        if done.returncode == 0:
            break
    assert at > 4  # or the steps are not those that change the world any more


@real
@pytest.mark.parametrize("case", ["written to", "of a snapshot", "raw", "in use"])
def test_a_volume_that_may_hold_data_is_in_the_way(world: Any, site_pool: Any, case: str) -> None:
    vm = world.made("a")
    path = site_pool.path / f"{vm.name}.disk1.{vm.uuid[:8]}.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "raw" if case == "raw" else "qcow2", str(path), "2M"], check=True)
    if case == "written to":
        argv = ["qemu-io", "-f", "qcow2", "-c", "write -P 7 1M 512", str(path)]
        subprocess.run(argv, check=True, capture_output=True)
    elif case == "of a snapshot":
        subprocess.run(["qemu-img", "snapshot", "-c", "before", str(path)], check=True)
    elif case == "in use":
        world.foreign(disk=path)
    before, content = world.picture(), path.read_bytes()
    desired = world.wanted("a", **TWO)
    with pytest.raises(Conflict, match=r"exists already .* it may hold data, so nothing was changed"):
        world.driver.apply(desired, vm, world.changes(desired))
    assert world.picture() == before
    assert path.read_bytes() == content


def test_a_disk_that_cannot_be_attached_leaves_no_volume(world: World) -> None:
    vm = world.made("a")
    before = world.picture()
    desired = world.wanted("a", disks=[{"size": "1 MiB"}, {"size": "1 MiB", "pool": "no-such-pool"}])
    with pytest.raises(Exception, match="no-such-pool"):
        world.driver.apply(desired, vm, world.changes(desired))
    assert world.picture() == before
