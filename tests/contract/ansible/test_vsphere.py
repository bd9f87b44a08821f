"""A site of vSphere through the real programs of Ansible: the driver is shipped whole, check mode is pure, and no
secret comes back."""

from __future__ import annotations

from pathlib import Path

import pytest
from fleets import Small
from plays import fleet_task, play, run
from pyVmomi import vim
from test_inventory import inventory, listed, plain
from vsphere_simulator import ACCOUNT
from vsphere_site import VsphereWorld, on_vsphere

pytestmark = on_vsphere


@pytest.fixture
def small(world: VsphereWorld, tmp_path: Path) -> Small:
    return Small(world, tmp_path, a={"power": "on", "nics": [{"network": world.network}]}, b={})


def test_a_fleet_is_provisioned_once(small: Small, tmp_path: Path) -> None:
    before = small.world.picture()
    ran = play(tmp_path, {"predicted": fleet_task(small, wait=False)}, "--check")
    assert ran.results["predicted"]["changed"] is True, ran.output
    assert small.world.picture() == before
    ran = play(tmp_path, {"first": fleet_task(small, wait=False), "again": fleet_task(small, wait=False)}, "-vvv")
    assert ran.results["first"]["changed"] is True, ran.output
    assert ran.results["again"]["changed"] is False
    assert small.there() == {"a", "b"}
    assert ACCOUNT[1] not in ran.output


def test_a_wrong_password_is_one_sentence(small: Small, tmp_path: Path) -> None:
    (tmp_path / "account").write_text(f"{ACCOUNT[0]}:hunter2", encoding="utf-8")
    small.document["sites"]["vc"]["credentials"] = "./account"
    before = small.world.picture()
    ran = play(tmp_path, {"refused": fleet_task(small)}, "-vvv")
    said = ran.results["refused"]
    assert said["failed"]
    assert said["msg"].startswith("Site 'vc': unable to log in: InvalidLogin, Login failure. Check the site's")
    assert "hunter2" not in ran.output
    assert small.world.picture() == before


def test_the_inventory(small: Small) -> None:
    small.run()
    a = small.name("a")
    world: VsphereWorld = small.world  # type: ignore[assignment]
    told = vim.option.OptionValue(key="SET.guest.ipAddress", value="192.0.2.10")
    world.reconfigure(world.inside(world.driver.get(a)), extraConfig=[told])
    hosts = plain(listed(inventory(small))["_meta"]["hostvars"])
    assert hosts[a]["ansible_host"] == "192.0.2.10"


def test_a_site_that_is_down_is_no_empty_inventory(small: Small) -> None:
    small.document["sites"]["vc"]["uri"] = "https://127.0.0.1:1"
    ran = run("ansible-inventory", "-i", str(inventory(small)), "--list")
    assert ran.code != 0
    assert "Connection refused" in ran.output
