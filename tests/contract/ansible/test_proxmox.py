"""A site of Proxmox through the real programs of Ansible: the driver is shipped whole, and no secret comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
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


def test_a_guest_that_does_not_shut_down_is_forced_where_that_is_allowed(small: Small, tmp_path: Path) -> None:
    small.edit(lambda vms: vms.pop("b"))
    small.run()
    inside = small.world.inside(small.world.driver.get(small.name("a")))  # type: ignore[attr-defined]
    inside.acpi = False
    small.edit(lambda vms: vms["a"].update(cpus=2))
    asked = {"allow_power_cycle": True, "wait": False}
    found = play(tmp_path, {
        "refused": fleet_task(small, **asked),
        "forced": fleet_task(small, **asked, allow_force=True),
    }).results  # fmt: skip
    assert "did not shut down within 180 s; it was left running" in found["refused"]["msg"]
    assert "let its power be cut with allow_force" in found["refused"]["msg"]
    assert found["forced"]["changed"] is True, found["forced"]
    assert (inside.config["cores"], inside.status) == ("2", "running")


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


@pytest.fixture
def handed(small: Small, tmp_path: Path) -> list[str]:
    """The token in a variable that Ansible Vault encrypted, and nowhere else; what the programs must be told of it."""
    name = small.world.access.name
    del small.document["sites"][name]["credentials"]
    (tmp_path / "password").write_text("of the vault\n", encoding="utf-8")
    secrets = tmp_path / "secrets.yml"
    secrets.write_text(yaml.safe_dump({"muster_credentials": {name: "=".join(TOKEN)}}), encoding="utf-8")
    told = ["--vault-password-file", str(tmp_path / "password")]
    assert run("ansible-vault", "encrypt", *told, str(secrets)).code == 0
    return [*told, "-e", f"@{secrets}"]


def test_credentials_of_ansible_vault(small: Small, handed: list[str], tmp_path: Path) -> None:
    given = {"credentials": "{{ muster_credentials }}"}
    tasks = {"first": fleet_task(small, wait=False, **given), "looked": fleet_task(small, "vm_info", **given),
             "without": fleet_task(small)}  # fmt: skip
    ran = play(tmp_path, tasks, "-vvv", *handed)
    assert ran.results["first"]["changed"] is True, ran.output
    assert len(ran.results["looked"]["vms"]) == 2
    assert "there is no API token for it" in ran.results["without"]["msg"]
    assert TOKEN[1] not in ran.output
    assert TOKEN[1] not in (tmp_path / "results.json").read_text(encoding="utf-8")


def test_the_jobs_take_them_from_a_variable(small: Small, handed: list[str]) -> None:
    assert small.fleet
    words = ["-i", "localhost,", "-e", f"fleet_file={small.path}", "--check", "-vvv"]
    ran = run("ansible-playbook", "muster.fleet.provision", *words, *handed)
    assert ran.code == 0, ran.output
    assert TOKEN[1] not in ran.output
    assert "there is no API token for it" in run("ansible-playbook", "muster.fleet.provision", *words).output


def test_an_inventory_with_an_encrypted_token(small: Small, handed: list[str], tmp_path: Path) -> None:
    small.run()
    path = inventory(small)
    encrypted = run("ansible-vault", "encrypt_string", *handed[:2], "=".join(TOKEN))
    assert encrypted.code == 0
    value = "!vault |" + encrypted.output.partition("!vault |")[2].partition("Encryption")[0]
    beginning = "plugin: muster.fleet.fleet\nfleet_file: fleet.yml\n"
    path.write_text(f"{beginning}credentials:\n  pve: {value}", encoding="utf-8")
    ran = run("ansible-inventory", "-i", str(path), "--list", *handed[:2])
    assert ran.code == 0, ran.output
    assert small.name("a") in ran.output
    looked_up = f"{{{{ lookup('ansible.builtin.file', '{tmp_path}/token') }}}}"
    path.write_text(f'{beginning}credentials: {{pve: "{looked_up}"}}\n', encoding="utf-8")
    (tmp_path / "token").write_text("=".join(TOKEN), encoding="utf-8")
    assert run("ansible-vault", "encrypt", *handed[:2], str(tmp_path / "token")).code == 0
    ran = run("ansible-inventory", "-i", str(path), "--list", *handed[:2])
    assert ran.code == 0, ran.output
    assert small.name("a") in ran.output


@pytest.mark.parametrize(("given", "words"), [
    ({"pvee": "=".join(TOKEN)}, "there are credentials for 'pvee', and no such site; did you mean 'pve'"),
    ({"pve": [TOKEN[1]]}, "the credentials for site 'pve' are no text, or empty"),
    ({"pve": ""}, "the credentials for site 'pve' are no text, or empty"),
    ({"pve": f"x{TOKEN[1]}"}, "the option 'credentials' holds no API token"),
])
def test_credentials_that_are_none(small: Small, tmp_path: Path, given: dict[str, Any], words: str) -> None:
    ran = play(tmp_path, {"refused": fleet_task(small, credentials=given)})
    assert words in ran.results["refused"]["msg"]
    assert TOKEN[1] not in ran.results["refused"]["msg"]
