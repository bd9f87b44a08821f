"""Proxmox: what a run needs of its site is looked for before any of it is done, in check mode too: templates, room."""

from __future__ import annotations

from typing import Any

import pytest
from muster.drivers.proxmox.room import Room
from muster.model.fleet import Fleet, Site
from muster.operations.converge import NOT_BEGUN, Allowed, Outcome, converge
from proxmox_site import ProxmoxWorld, on_proxmox
from test_proxmox_making import template

pytestmark = on_proxmox
POOL = "local-lvm"
GIB = 1 << 30


def run(world: ProxmoxWorld, check: bool = True, **vms: dict[str, Any]) -> list[Outcome]:
    """Converge a fleet of these VMs."""
    wanted = tuple(world.wanted(name, **spec) for name, spec in vms.items())
    fleet = Fleet(world.fleet, {"pve": world.driver.access}, wanted)
    return converge(fleet, {"pve": world.driver}, allowed=Allowed(True, True), wait=False, check=check,
                    parallel=1)  # fmt: skip


def said(world: ProxmoxWorld, **vms: dict[str, Any]) -> str:
    """What check mode and a run refuse alike, changing nothing."""
    before = world.picture()
    both = {one.error for check in (True, False) for one in run(world, check, **vms) if one.how != NOT_BEGUN}
    assert world.picture() == before
    (error,) = both
    return error


def full(world: ProxmoxWorld, free: int = GIB, **more: Any) -> None:
    """A thick storage, if not said otherwise, with so much left."""
    world.fake.storages[POOL] |= {"type": "lvm", "avail": free, **more}
    driver: Any = world.driver
    driver.room = Room(driver.api)  # how storages are defined is asked once in a session


def of(size: str, **more: Any) -> dict[str, Any]:
    return {"disks": [{"size": size, **more}]}


def test_a_template_that_is_not_there(world: ProxmoxWorld) -> None:
    """Before any other VM of the run is made."""
    template(world)
    world.fake.add_vm(9001, "debian-13", template=True)
    images = {"debian": {"template": "debian-1"}}
    world.driver.access = Site("pve", "proxmox", {**world.access.options, "images": images})
    error = said(world, a=of("1 MiB"), b={**of("1 MiB"), "image": "debian"})
    assert "there is no template 'debian-1' for the image 'debian'; did you mean 'debian-12' or 'debian-13'" in error


def test_a_template_is_looked_for_once_in_a_run(world: ProxmoxWorld) -> None:
    template(world)
    images = {"debian": {"template": "debian-12"}}
    world.driver.access = Site("pve", "proxmox", {**world.access.options, "images": images})
    spec = {**of("1 MiB"), "image": "debian", "power": "off"}
    asked = []
    for names in ("a", "bcde"):
        world.fake.trouble.arm()
        assert not any(one.error for one in run(world, False, **dict.fromkeys(names, spec)))
        asked.append(world.fake.trouble.calls.count("GET /cluster/resources"))
    assert asked[1] - asked[0] == 3  # each VM more costs the look for twins of its name


def test_what_fits_alone_and_not_together(world: ProxmoxWorld) -> None:
    world.made("old", **of("1 MiB"))
    full(world)
    names = ", ".join(f"{world.names}-{name}" for name in ("a", "b", "old"))
    assert said(world, a=of("400 MiB"), b=of("400 MiB"), old=of("401 MiB")) == (
        f"Site 'pve': the storage '{POOL}' has 1 GiB free, and {names} need 1200 MiB there; nothing was changed. "
        "Free space there, or name another pool in the fleet file."
    )
    assert not any(one.error for one in run(world, False, a=of("400 MiB"), b=of("400 MiB")))


WAYS: dict[str, dict[str, Any]] = {
    "made": {"new": of("2 GiB")},
    "copied": {"new": {**of("2 GiB"), "image": "debian"}},
    "grown": {"old": of("3 GiB")},
    "added": {"old": {"disks": [{"size": "1 MiB"}, {"size": "2 GiB"}]}},
    "moved": {"big": of("2 GiB", pool=POOL)},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_full_storage(world: ProxmoxWorld, way: str) -> None:
    template(world)
    images = {"debian": {"template": "debian-12"}}
    world.driver.access = Site("pve", "proxmox", {**world.access.options, "images": images})
    world.fake.storages["other"] = {**world.fake.storages[POOL], "volumes": {}}
    world.made("old", **of("1 MiB"))
    world.made("big", **of("2 GiB", pool="other"))
    full(world)
    error = said(world, **WAYS[way])
    assert f"the storage '{POOL}'" in error
    assert "has 1 GiB free, and it needs" in error
    full(world, 4 * GIB)
    assert [one.error for one in run(world, False, **WAYS[way])] == [""]


@pytest.mark.parametrize(("more", "refused"), [
    ({"type": "lvmthin"}, False), ({"type": "zfspool"}, True), ({"type": "zfspool", "sparse": 1}, False),
    ({"type": "dir"}, False), ({"type": "lvm"}, True), ({"type": "lvmthin", "avail": 0}, True),
])  # fmt: skip
def test_thin_storages_may_promise_more_than_they_have(world: ProxmoxWorld, more: Any, refused: bool) -> None:
    full(world, **more)
    assert bool(run(world, a=of("2 GiB"))[0].error) == refused


def test_a_storage_that_is_shared_and_one_of_each_node(world: ProxmoxWorld) -> None:
    world.fake.add_node("pve2")
    full(world)
    assert not run(world, a=of("900 MiB"), b=of("900 MiB"))[0].error  # one on each node
    assert "on node 'pve2' has 1 GiB free, and" in said(
        world, a={**of("900 MiB"), "host": "pve2"}, b={**of("900 MiB"), "host": "pve2"})
    full(world, shared=1)
    assert f"the storage '{POOL}' has 1 GiB free" in said(world, a=of("900 MiB"), b=of("900 MiB"))


def test_another_host_needs_room_for_the_disks_of_its_own(world: ProxmoxWorld) -> None:
    world.fake.add_node("pve2")
    world.made("old", **of("2 GiB"), host="pve1")
    full(world)
    assert "on node 'pve2' has 1 GiB free, and it needs 2 GiB" in said(world, old={**of("2 GiB"), "host": "pve2"})
    full(world, shared=1)
    assert not run(world, old={**of("2 GiB"), "host": "pve2"})[0].error


def test_a_vm_that_is_made_anew_gives_its_room_back(world: ProxmoxWorld) -> None:
    world.made("old", **of("2 GiB"), firmware="bios")
    full(world)
    assert not run(world, old={**of("2 GiB"), "firmware": "uefi"})[0].error
    assert "it needs 2 GiB" in said(world, old={**of("4 GiB"), "firmware": "uefi"})
