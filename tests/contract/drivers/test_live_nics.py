"""vSphere and Proxmox: the NICs of a running VM come, go and move to another network while it runs."""

from __future__ import annotations

from typing import Any

import pytest
from muster.model.planner import worst
from proxmox_site import ProxmoxWorld, on_proxmox
from sites import NETWORK, World

NIC: dict[str, Any] = {"network": NETWORK}
OTHER = {"vsphere": "VM Network", "proxmox": "vmbr1"}
on_both = pytest.mark.parametrize("world", ["vsphere", "pve"], indirect=True)


def changed(world: World, before: list[dict[str, Any]], after: list[dict[str, Any]], how: str = "live") -> Any:
    vm = world.made(on=True, nics=before)
    desired = world.wanted(nics=after)
    world.driver.check(desired)
    changes = world.changes(desired)
    assert worst(changes) == how
    now = world.driver.apply(desired, vm, changes)
    assert now.power == "on"
    assert world.changes(desired) == []
    return now


@on_both
@pytest.mark.parametrize(("before", "after"), [
    ([], [NIC]),
    ([NIC], [NIC, {**NIC, "name": "more"}]),
    ([NIC, {**NIC, "name": "old"}], [NIC]),
    ([NIC, {**NIC, "name": "old"}], [NIC, {**NIC, "name": "new"}]),
])
def test_nics_come_and_go(world: World, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
    changed(world, before, after)


@on_both
def test_another_network(world: World) -> None:
    """The NIC stays the one that it is for its guest."""
    other = OTHER[world.driver.platform]
    vm = world.made("b", nics=[NIC])
    now = changed(world, [NIC], [{"network": other}])
    assert now["nics"][0]["network"] == other
    assert now["nics"][0]["mac"] == world.driver.get(now.name)["nics"][0]["mac"] != vm["nics"][0]["mac"]


@on_proxmox
def test_another_vlan_and_what_needs_hotplug(world: ProxmoxWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    assert changed(world, [{**NIC, "vlan": 7}], [{**NIC, "vlan": 8}])["nics"][0]["vlan"] == 8
    vm = world.made("cold", on=True, nics=[NIC])
    world.inside(vm).config["hotplug"] = "disk,usb"
    desired = world.wanted("cold", nics=[NIC, NIC])
    assert worst(world.changes(desired)) == "power_cycle"
