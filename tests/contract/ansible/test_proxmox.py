"""A site of Proxmox through the real programs of Ansible: the driver is shipped whole, and no secret comes back."""

from __future__ import annotations

from pathlib import Path

import pytest
from fleets import Small
from plays import fleet_task, play, run
from proxmox_fake import TOKEN
from proxmox_site import ProxmoxWorld, on_proxmox
from test_inventory import inventory, listed, plain

pytestmark = on_proxmox


@pytest.fixture
def small(world: ProxmoxWorld, tmp_path: Path) -> Small:
    return Small(world, tmp_path, a={"power": "on", "nics": [{"network": "vmbr0"}]}, b={})


def test_a_fleet_is_provisioned_once(small: Small, tmp_path: Path) -> None:
    ran = play(tmp_path, {"first": fleet_task(small, wait=False), "again": fleet_task(small, wait=False)}, "-vvv")
    assert ran.results["first"]["changed"] is True, ran.output
    assert ran.results["again"]["changed"] is False
    assert small.there() == {"a", "b"}
    assert TOKEN[1] not in ran.output


def test_a_wrong_token_is_one_sentence(small: Small, tmp_path: Path) -> None:
    wrong = "0" * 8 + TOKEN[1][8:]
    (tmp_path / "token").write_text(f"{TOKEN[0]}={wrong}", encoding="utf-8")
    small.document["sites"]["pve"]["credentials"] = "./token"
    before = small.world.picture()
    ran = play(tmp_path, {"refused": fleet_task(small)}, "-vvv")
    said = ran.results["refused"]
    assert said["failed"]
    assert said["msg"].startswith("Site 'pve': unable to open the site: authentication failure. Check the API token")
    assert wrong not in ran.output
    assert small.world.picture() == before


def test_the_inventory(small: Small) -> None:
    small.run()
    a = small.name("a")
    small.world.inside(small.world.driver.get(a)).agent = {}  # type: ignore[attr-defined]
    hosts = plain(listed(inventory(small))["_meta"]["hostvars"])
    assert hosts[a]["ansible_host"] == "192.0.2.10"


def test_a_site_that_is_down_is_no_empty_inventory(small: Small) -> None:
    small.document["sites"]["pve"]["uri"] = "https://127.0.0.1:1"
    ran = run("ansible-inventory", "-i", str(inventory(small)), "--list")
    assert ran.code != 0
    assert "Connection refused" in ran.output


def test_a_certificate_that_nobody_verifies_is_warned_about(small: Small, tmp_path: Path) -> None:
    small.run()
    small.document["sites"]["pve"]["tls"] = {"verify": False}
    warning = "its certificate is not verified (tls.verify is false)"
    ran = play(tmp_path, {"looked": fleet_task(small, "vm_info")})
    assert warning in " ".join(ran.results["looked"]["warnings"])
    listing = run("ansible-inventory", "-i", str(inventory(small)), "--list")
    assert warning in " ".join(listing.output.split())
