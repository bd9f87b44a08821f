"""What a VM needs and does not find is said before anything changes, also to the VMs beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fleets import Small
from libvirt_site import on_libvirt, real
from muster.operations import inspect
from sites import World

MISSING: dict[str, tuple[dict[str, Any], str]] = {
    "a network": ({"nics": [{"network": "not-there"}]}, "which the site does not have (known are "),
    "a network by its nearest": ({"nics": [{"network": "use"}]}, "which the site does not have (did you mean 'user'?)"),
    "a pool": ({"disks": [{"size": "1 MiB", "pool": "not-there"}]}, "the site has no storage pool 'not-there' ("),
    "an image": ({"image": "gone", "disks": [{"size": "1 MiB"}]}, "the image 'gone' is missing: there is no file "),
    "an SSH key": ({"image": "empty"}, "the SSH key {folder}/key does not exist, so nobody could reach the guest"),
}  # fmt: skip


@pytest.fixture
def small(world: World, tmp_path: Path) -> Small:
    found = Small(world, tmp_path)
    (tmp_path / "empty.qcow2").write_bytes(b"")
    site = found.document["sites"][world.access.name]
    site["images"] = {"gone": {"path": "gone.qcow2"}, "empty": {"path": "empty.qcow2"}}
    site["ssh"] = {"key": "key"}
    return found


def refused(small: Small, spec: dict[str, Any]) -> str:
    """The one sentence with which check mode and the run refuse to make `a` after `spec`; nothing is made."""
    small.edit(lambda vms: vms["a"].update(spec))
    before = small.world.picture()
    said, did = small.run(check=True), small.run()
    assert small.world.picture() == before
    assert [outcome.error for outcome in said] == [outcome.error for outcome in did]
    error, *others = [outcome.error for outcome in did]
    assert all("was refused. Mend that" in other for other in others)
    assert error.startswith(f"VM '{small.name('a')}' at site '{small.world.access.name}': ")
    assert error.endswith(".")
    return error


@on_libvirt
@pytest.mark.parametrize(("spec", "words"), MISSING.values(), ids=MISSING)
def test_missing(small: Small, spec: dict[str, Any], words: str) -> None:
    assert words.format(folder=small.folder) in refused(small, spec)


@real
def test_more_memory_than_the_host_has(small: Small) -> None:
    assert "it asks for 16 TiB of memory, and the host has " in refused(small, {"memory": "16 TiB"})


@real
def test_a_network_that_is_not_active(small: Small) -> None:
    world, name = small.world, small.name("net")
    network = small.folder / "network.xml"
    network.write_text(f"<network><name>{name}</name></network>", encoding="utf-8")
    world.virsh("net-define", str(network))  # type: ignore[attr-defined]
    try:
        asleep = {"nics": [{"network": name}], "power": "on"}
        assert f"Start it (virsh net-start {name})" in refused(small, asleep)
        small.edit(lambda vms: vms["a"].update(power="off"))
        assert [outcome.error for outcome in small.run()] == ["", ""]
    finally:
        world.virsh("net-undefine", name)  # type: ignore[attr-defined]


@on_libvirt
def test_what_is_missing_and_what_is_down_is_told(small: Small) -> None:
    def look() -> tuple[list[str], list[str]]:
        found = inspect.look(small.fleet, small.drivers, gather=["health"])
        assert all(vm["health_checks"][0]["detail"] == "it is off" for vm in found["vms"])
        return found["missing"], found["down"]

    missing, down = look()
    assert [small.name("a") in missing[0], small.name("b") in missing[1], down] == [True, True, []]
    small.run()
    assert look() == ([], [])
    small.edit(lambda vms: vms["b"].update(power="on"))
    missing, down = look()
    assert missing == []
    assert [f"VM '{small.name('b')}' at site '{small.world.access.name}': it is off" in one for one in down] == [True]
