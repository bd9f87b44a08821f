"""Every change: done in the way that the plan says, and after it the plan is empty."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from typing import Any

import pytest
from libvirt_site import booted, content, real, write
from muster.drivers.driver import Conflict, Failed, Image, StillOn, Unsupported, silent
from muster.model.planner import worst
from proxmox_site import ProxmoxWorld
from sites import NETWORK, World

DISK: dict[str, Any] = {"size": "1 MiB"}
NIC: dict[str, Any] = {"network": NETWORK}
BIG: dict[str, Any] = {"memory": "64 MiB"}

# before, after, how a running VM is changed at best (`World.costs` says where it costs more)
CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "more cpus": ({"cpus": 1}, {"cpus": 3}, "live"),
    "fewer cpus": ({"cpus": 3}, {"cpus": 1}, "power_cycle"),
    "more cpus than it can grow to": ({"cpus": 1}, {"cpus": 9}, "power_cycle"),
    "topology": ({"cpus": 4}, {"cpus": 4, "cpu_topology": {"sockets": 2, "cores": 2}}, "power_cycle"),
    "another topology": (
        {"cpus": 4, "cpu_topology": {"sockets": 2, "cores": 2}},
        {"cpus": 4, "cpu_topology": {"sockets": 1, "cores": 4}},
        "power_cycle",
    ),
    "topology and cpus": (
        {"cpus": 4, "cpu_topology": {"sockets": 2, "cores": 2}},
        {"cpus": 2, "cpu_topology": {"sockets": 1, "cores": 2}},
        "power_cycle",
    ),
    "pinning": ({}, {"cpu_pinning": "0"}, "live"),
    "another pinning": ({"cpu_pinning": "0"}, {"cpu_pinning": "1"}, "live"),
    "a wider pinning": ({"cpu_pinning": "0", "cpus": 2}, {"cpu_pinning": "0-1", "cpus": 2}, "live"),
    "a pinning in other words": ({"cpu_pinning": "0"}, {"cpu_pinning": "1,0"}, "live"),
    "fewer cpus of a topology that nobody manages": (
        {"cpus": 4, "cpu_topology": {"sockets": 2, "cores": 2}},
        {"cpus": 3},
        "power_cycle",
    ),
    "more cpus than a topology that nobody manages": (
        {"cpus": 4, "cpu_topology": {"sockets": 2, "cores": 2}},
        {"cpus": 6},
        "power_cycle",
    ),
    "cpus kept": ({"cpus": 2}, {"cpus": 2, "cpu_reservation": 33}, "live"),
    "fewer cpus kept": ({"cpu_reservation": 50}, {"cpu_reservation": 25}, "live"),
    "cpus kept of more cpus": (
        {"cpus": 1, "cpu_reservation": 50}, {"cpus": 2, "cpu_reservation": 50}, "power_cycle"),
    "a limit of cpus": ({"cpus": 3}, {"cpus": 3, "cpu_limit": 17}, "live"),
    "a limit above what is kept": ({"cpu_limit": 50}, {"cpu_limit": 75, "cpu_reservation": 60}, "live"),
    "no limit of cpus": ({"cpu_limit": 50}, {"cpu_limit": 0}, "live"),
    "a limit of more cpus": ({"cpus": 1, "cpu_limit": 50}, {"cpus": 2, "cpu_limit": 50}, "power_cycle"),
    "a limit of memory": (
        {"memory_limit": "24 MiB"}, {"memory_limit": "16 MiB", "memory_reservation": "8 MiB"}, "live"),
    "no limit of memory": ({"memory_limit": "24 MiB"}, {"memory_limit": 0}, "live"),
    "into a pool": ({}, {"resource_pool": "gold"}, "live"),
    "another pool": ({"resource_pool": "gold"}, {"resource_pool": "gold/web"}, "live"),
    "into a folder": ({}, {"folder": "shop"}, "live"),
    "another folder and pool": (
        {"folder": "shop/web", "resource_pool": "gold"}, {"folder": "shop", "resource_pool": "silver"}, "live"),
    "memory by a DIMM": (BIG, {"memory": "192 MiB"}, "live"),
    "memory by less than a DIMM": (BIG, {"memory": "96 MiB"}, "power_cycle"),
    "less memory": (BIG, {"memory": "32 MiB"}, "power_cycle"),
    "much more memory": ({"memory": "32 MiB"}, {"memory": "512 MiB"}, "power_cycle"),
    "larger disk": ({"disks": [DISK]}, {"disks": [{"size": "3 MiB"}]}, "live"),
    "new disk": ({"disks": [DISK]}, {"disks": [DISK, {"size": "2 MiB"}]}, "live"),
    "two new disks": ({"disks": [DISK]}, {"disks": [DISK, DISK, {**DISK, "name": "data"}]}, "live"),
    "new disk with a limit": ({"disks": [DISK]}, {"disks": [DISK, {**DISK, "iops_limit": 50}]}, "live"),
    "iops limit": ({"disks": [DISK]}, {"disks": [{**DISK, "iops_limit": 100}]}, "live"),
    "no iops limit": ({"disks": [{**DISK, "iops_limit": 100}]}, {"disks": [{**DISK, "iops_limit": 0}]}, "live"),
    "bandwidth limit": ({"disks": [DISK]}, {"disks": [{**DISK, "bandwidth_limit": "1 MiB"}]}, "live"),
    "both limits": (
        {"disks": [{**DISK, "iops_limit": 10}]},
        {"disks": [{**DISK, "iops_limit": 20, "bandwidth_limit": "2 MiB"}]},
        "live",
    ),
    "link down": ({"nics": [NIC]}, {"nics": [{**NIC, "connected": False}]}, "live"),
    "link up": ({"nics": [{**NIC, "connected": False}]}, {"nics": [{**NIC, "connected": True}]}, "live"),
    "new NIC": ({"nics": [NIC]}, {"nics": [NIC, NIC]}, "live"),
    "first NIC": ({"nics": []}, {"nics": [NIC]}, "live"),
    "NIC removed": ({"nics": [NIC, {**NIC, "name": "old"}]}, {"nics": [NIC]}, "live"),
    "mac": ({"nics": [NIC]}, {"nics": [{**NIC, "mac": "52:54:00:00:00:07"}]}, "power_cycle"),
    "tags": ({"tags": {"a": "1", "b": "2"}}, {"tags": {"a": "3"}}, "mark"),
    "all tags removed": ({"tags": {"a": "1"}}, {"tags": {}}, "mark"),
    "protection": ({}, {"protection": {"rpo": "1h", "deletion": True}}, "mark"),
    "protection taken away": ({"protection": {"deletion": True}}, {"protection": {"deletion": False}}, "mark"),
    "schedule": ({}, {"schedule": {"timezone": "UTC", "start": "07:00", "stop": "19:00"}}, "mark"),
    "health": ({"health": [{"tcp": {"port": 1}}]}, {"health": [{"tcp": {"port": 2}}]}, "mark"),
    "profile": ({"profile": "web"}, {"profile": "database"}, "mark"),
    "several at once": (
        {"cpus": 1, "disks": [DISK], "nics": [NIC], "tags": {"a": "1"}},
        {"cpus": 2, "disks": [{"size": "2 MiB"}, DISK], "nics": [{**NIC, "connected": False}], "tags": {"a": "2"}},
        "live",
    ),
}


CYCLED = {"fewer cpus", "topology and cpus", "less memory", "NIC removed"}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("power", ["off", "on"])
def test_then_the_plan_is_empty(world: World, name: str, power: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after, how = CHANGES[name]
    refused = {*before, *after} & world.refused
    if refused:
        with pytest.raises(Unsupported, match="cannot be honoured"):
            list(map(world.driver.check, (world.wanted(**before), world.wanted(**after))))
        return
    how = world.costs.get(name, how)
    if power == "on" and not world.live and how != "mark":
        return
    if power == "on" and how == "power_cycle" and name not in CYCLED:
        return  # what is changed between off and on is what is changed of a stopped VM
    world.obedient(monkeypatch)
    vm = world.made(on=power == "on", **before)
    desired = world.wanted(**after)
    changes = world.changes(desired)
    assert changes
    if power == "on":
        assert worst(changes) == how
    said: list[str] = []
    if name in world.cannot:
        with pytest.raises(Unsupported, match=world.cannot[name]):
            world.driver.apply(desired, vm, changes)
        return
    now = world.driver.apply(desired, vm, changes, said.append)
    assert now.power == power
    assert world.changes(desired) == []
    assert (how == "power_cycle" and power == "on") == any("shutting down" in text for text in said)
    if power == "on" and how == "live":  # and it is in the configuration too: the next start does not undo it
        off = world.driver.power(now, "off", force=True)
        assert world.changes(replace(desired, spec={**desired.spec, "power": "off"})) == []
        assert [disk["name"] for disk in off["disks"]] == [disk["name"] for disk in now["disks"]]


@real
def test_a_power_cycle_asks_the_guest(world: World, boots: Image) -> None:
    vm = world.made(image=boots, on=True, cpus=3)
    booted(world, vm)
    desired = world.wanted(cpus=2)
    said: list[str] = []
    now = world.driver.apply(desired, vm, world.changes(desired), said.append)
    assert now.power == "on"
    assert world.changes(desired) == []
    assert said == [f"{vm.name}: shutting down to change cpus", f"{vm.name}: shutting down"]


@pytest.mark.parametrize(("before", "after"), [("off", "on"), ("on", "off"), ("on", "on"), ("off", "off")])
def test_power(world: World, boots: Image, before: str, after: str) -> None:
    vm = world.made(image=boots if world.real else None, on=before == "on")
    if world.real and before == "on":
        booted(world, vm)
    assert world.driver.power(vm, after).power == after
    assert world.driver.get(vm.name).power == after


@real
def test_a_guest_that_does_not_shut_down_is_left_running(world: World) -> None:
    vm = world.made(on=True)  # it has nothing to boot and hears no button
    with pytest.raises(Failed, match="did not shut down within 1 s; it was left running"):
        world.driver.power(vm, "off", timeout=1)
    assert world.driver.get(vm.name).power == "on"
    assert world.driver.power(vm, "off", force=True).power == "off"


def test_a_paused_vm_is_not_switched_off(world: World) -> None:
    """Its memory would be lost: nothing but force does so, where the fleet file wants it off."""
    vm = world.made(on=True)
    world.pause(vm)
    desired = world.wanted(tags={"owner": "shop"})
    now = world.driver.apply(desired, world.driver.again(vm), world.changes(desired))
    assert (now.power, now["tags"]) == ("paused", {"owner": "shop"})
    before = world.picture()
    for spec in ({"power": "off", "tags": {"owner": "else"}}, {"memory": "16 MiB"}):
        desired = world.wanted(**spec)
        changes = [replace(change, how="power_cycle") for change in world.changes(desired)]
        with pytest.raises(StillOn, match=r"it is paused and .* it was left as it is"):
            world.driver.apply(desired, now, changes)
    with pytest.raises(StillOn, match="it is paused and"):
        world.driver.power(now, "off")
    assert world.picture() == before
    desired = world.wanted(power="off")
    assert world.driver.apply(desired, now, world.changes(desired), silent, True).power == "off"


@pytest.mark.parametrize("world", ["qemu", "pve"], indirect=True)
def test_force_cuts_the_power_of_a_guest_that_was_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    vm = world.made(on=True, cpus=3)  # at libvirt it has nothing to boot and hears no button
    if isinstance(world, ProxmoxWorld):
        world.inside(vm).acpi = False
    monkeypatch.setattr(world.driver, "shutdown_within", 1)
    desired = world.wanted(cpus=2)
    changes = world.changes(desired)
    with pytest.raises(StillOn, match=r"did not shut down within 1 s; it was left running\..* with allow_force\."):
        world.driver.apply(desired, vm, changes)
    assert world.driver.again(vm).power == "on"
    said: list[str] = []
    now = world.driver.apply(desired, world.driver.again(vm), changes, said.append, True)
    assert (now.power, now["cpus"]) == ("on", 2)
    asked, cut = (next(n for n, text in enumerate(said) if word in text) for word in ("shutting down", "power is cut"))
    assert asked < cut


@real
def test_a_paused_vm_goes_on(world: World) -> None:
    vm = world.made(on=True)
    world.domain(vm).suspend()
    seen = world.driver.get(vm.name)
    assert seen.power == "paused"
    assert world.driver.power(seen, "on").power == "on"


@real
def test_a_grown_disk_keeps_its_content(world: World, tmp_path: Any) -> None:
    vm = world.made(on=True)
    write(world, vm, "root", 0xAB, "0", "1M")
    desired = world.wanted(disks=[{"size": "4 MiB"}])
    world.driver.apply(desired, vm, world.changes(desired))
    off = world.driver.power(vm, "off", force=True)
    assert content(world, off, "root", tmp_path) == b"\xab" * (1 << 20) + b"\0" * (3 << 20)


@real
def test_a_new_disk_that_cannot_be_attached_is_not_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    vm = world.made()
    before = world.picture()
    desired = world.wanted(disks=[DISK, {**DISK, "pool": "no-such-pool"}])
    with pytest.raises(Exception, match="no-such-pool"):
        world.driver.apply(desired, vm, world.changes(desired))
    assert world.picture() == before


@real
def test_a_volume_with_data_is_not_taken_for_a_new_disk(world: World) -> None:
    """The disk was detached by hand; its volume is still there."""
    both = {"disks": [DISK, DISK]}
    vm = world.made(**both)
    path = str(vm.state["disks"]["disk1"]["path"])
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 7 0 512", path], check=True, capture_output=True)
    names = world.volumes()
    world.virsh("detach-disk", str(vm.uuid), "vdb", "--config")
    desired = world.wanted(**both)
    with pytest.raises(Conflict, match="it may hold data, so nothing was changed"):
        world.driver.apply(desired, world.driver.get(vm.name), world.changes(desired))
    assert world.volumes() == names
