"""Proxmox: kill -9 before and after each request that changes the world. The next run makes exactly one VM of it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from muster.drivers.driver import Image, Template
from proxmox_site import ProxmoxWorld, on_proxmox
from test_proxmox_making import template

pytestmark = on_proxmox
TWO: dict[str, Any] = {"disks": [{"size": "2 MiB"}, {"size": "1 MiB"}], "nics": [{"network": "vmbr0"}]}

STEPS = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [sys.argv[1]]
from muster.drivers.driver import Image, Template
from muster.drivers.proxmox import connection
from muster.drivers.registry import open_site
from muster.model.fleet import Site
from muster.model.normal import normalise
from muster.model.planner import plan
from muster.model.vm import VM, Mark

uri, ca, credentials, fleet, at, source, spec, work = sys.argv[2:10]
left = int(at)
call = connection.Api._call

def stepped(self, method, *arguments):
    global left
    for when in ("before", "after"):
        left -= method != "get"
        if left == 0 and method != "get":
            os.kill(os.getpid(), signal.SIGKILL)
        if when == "before":
            answer = call(self, method, *arguments)
    return answer

connection.Api._call = stepped
driver = open_site(Site("pve", "proxmox", {"uri": uri, "tls": {"ca": ca}, "credentials": credentials,
                                           "pool": "local-lvm"}))
name = fleet + "-a"
desired = VM(name, "pve", normalise(eval(spec)), mark=Mark(fleet, name))
if work == "make":
    image = Image("boot", Path(source), "") if source.startswith("/") else Template("debian", source)
    driver.create(desired, Mark(fleet, name, "op-1"), image)
elif work == "change":
    driver.apply(desired, driver.get(name), plan(desired, driver.get(name), driver.refine))
else:
    driver.delete(driver.get(name))
"""


def killed(world: ProxmoxWorld, at: int, source: str, spec: dict[str, Any], work: str = "make") -> bool:
    """Run until the request `at`, half steps counted, and die there. Returns whether it came to its end before."""
    options = world.access.options
    argv = [sys.executable, "-c", STEPS, str(Path(__file__).parent), options["uri"], options["tls"]["ca"],
            options["credentials"], world.fleet, str(at), source, repr(spec), work]  # fmt: skip
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode == 0


@pytest.mark.parametrize("kind", ["template", "image"])
def test_a_making(world: ProxmoxWorld, boots: Image, kind: str) -> None:
    template(world)
    spec = {"cpus": 1, "memory": "32 MiB", **TWO}
    source: Image | Template = boots if kind == "image" else Template("debian", "debian-12")
    before = world.volumes()
    for at in range(1, 60):
        through = killed(world, at, str(boots.path) if kind == "image" else "debian-12", spec)
        desired = world.wanted(**TWO)
        vm = world.driver.create(desired, world.mark(desired), source)
        assert [one for one in world.driver.list() if one.mark] == [vm], f"killed at step {at}"
        assert vm.state["built"]
        assert world.changes(desired) == [], f"killed at step {at}"
        cloudinit = ["vm-100-disk-2"] if kind == "image" else []  # fakepve counts the drive of cloud-init as a disk
        assert len(set(world.volumes()) - set(before)) == 2 + len(cloudinit), f"killed at step {at}: {world.volumes()}"
        world.driver.delete(vm)
        assert world.volumes() == before, f"killed at step {at}"
        if through:
            break
    assert at > 6  # or the steps are not those that change the world any more


@pytest.mark.parametrize("on", [False, True], ids=["off", "on"])
def test_a_change(world: ProxmoxWorld, on: bool) -> None:
    """A new disk and a new NIC are there once, and are known by their names."""
    power = {"power": "on"} if on else {}
    spec = {"cpus": 2, "memory": "32 MiB", **TWO, "tags": {"a": "1"}, **power}
    for at in range(1, 60):
        world.made(on=on)
        through = killed(world, at, "", spec, "change")
        desired = world.wanted(**spec)
        now = world.driver.apply(desired, world.driver.get(desired.name), world.changes(desired))
        if now.state["ready"] is False:  # converge starts such a VM again
            now = world.driver.power(now, "on")
        assert world.changes(desired) == [], f"killed at step {at}"
        assert [disk["name"] for disk in now["disks"]] == ["root", "disk1"]
        assert len(world.volumes()) == 2, f"killed at step {at}"
        assert now.power == ("on" if on else "off"), f"killed at step {at}"
        world.driver.delete(now)
        if through:
            break
    assert at > 10


def test_a_deletion(world: ProxmoxWorld) -> None:
    for at in range(1, 30):
        world.made(on=True, ha_priority="medium")
        through = killed(world, at, "", {"cpus": 1}, "delete")
        for vm in world.driver.list():
            world.driver.delete(vm)
        assert (world.fake.vms, world.volumes()) == ([], []), f"killed at step {at}"
        if through:
            break
    assert at > 4
