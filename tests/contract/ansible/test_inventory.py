"""The inventory plugin, through the real ansible-inventory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from fleets import Small
from libvirt_site import real
from plays import run
from sites import World

pytestmark = real


@pytest.fixture
def small(world: World, tmp_path: Path) -> Small:
    nic = {"network": "user", "forwards": [{"guest": 22}]}
    served = {"profile": "web", "tags": {"environment": "test.1"}, "nics": [nic], "power": "on"}
    fleet = Small(world, tmp_path, a=served, b={})
    fleet.run()
    return fleet


def inventory(small: Small, **more: Any) -> Path:
    path = small.folder / "lab.fleet.yml"
    assert small.fleet  # reading it writes its file
    path.write_text(yaml.safe_dump({"plugin": "muster.fleet.fleet", "fleet_file": "fleet.yml", **more}))
    return path


def listed(path: Path) -> dict[str, Any]:
    ran = run("ansible-inventory", "-i", str(path), "--list")
    assert ran.code == 0, ran.output
    found: dict[str, Any] = json.JSONDecoder().raw_decode(ran.output[ran.output.index("{") :])[0]
    return found


def plain(value: Any) -> Any:
    """Without the marks of what came from outside: Ansible never takes it for a template."""
    if isinstance(value, dict):
        return value.get("__ansible_unsafe") or {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def test_hosts_and_groups(small: Small) -> None:
    a, b = small.name("a"), small.name("b")
    found = listed(inventory(
        small, strict=True, keyed_groups=[{"key": "tags.environment | default('none')", "prefix": "env"}],
        groups={"running": "power == 'on'"}, compose={"owner": "tags.owner | default('nobody')",
                                                      "disk": "disks[0].path"}))  # fmt: skip
    groups = {name: sorted(entry["hosts"]) for name, entry in found.items() if "hosts" in entry}
    assert groups["site_real"] == sorted([a, b])
    assert groups["profile_web"] == groups["tag_environment_test_1"] == groups["env_test_1"] == groups["running"] == [a]
    hosts = plain(found["_meta"]["hostvars"])
    assert hosts[a]["ansible_host"] == "127.0.0.1"
    assert hosts[a]["ansible_port"] == small.world.driver.endpoint(small.world.driver.get(a), 22)[1]
    assert hosts[a]["owner"] == "nobody"
    assert hosts[a]["muster"]["power"] == "on"
    assert hosts[a]["disk"].endswith(".qcow2")  # what is for rules is not written for each host, and can be had
    assert "path" not in hosts[a]["muster"]["disks"][0]
    assert "ansible_host" not in hosts[b]


def test_cache(small: Small) -> None:
    path = inventory(small, cache=True, cache_plugin="ansible.builtin.jsonfile",
                     cache_connection=str(small.folder / "cache"))  # fmt: skip
    first = listed(path)
    small.world.driver.delete(small.world.driver.get(small.name("b")))
    assert listed(path) == first
    ran = run("ansible-inventory", "-i", str(path), "--list", "--flush-cache")
    assert small.name("b") not in ran.output


TAGGED = {"__ansible_type": "_AnsibleTaggedStr", "tags": [{"__ansible_type": "TrustedAsTemplate"}]}


@pytest.mark.parametrize(("poison", "ours"), [
    pytest.param(lambda vm, touch: {"x": {"document": {}, "groups": [], "variables": {"ansible_connection": "local"}}},
                 False, id="of another shape"),
    pytest.param(lambda vm, touch: [{**vm, "site": "elsewhere"}], False, id="of another site"),
    pytest.param(lambda vm, touch: [{**vm, "spec": "text"}], False, id="no mapping"),
    pytest.param(lambda vm, touch: [{**vm, "ansible_connection": "local", "state": {
        **vm["state"], "address": {**TAGGED, "value": touch}, "addresses": [{**TAGGED, "value": touch}]}}],
        True, id="a template that Ansible is told to trust"),
    pytest.param(lambda vm, touch: [{**vm, "mark": [vm["mark"][0], {**TAGGED, "value": touch}, ""]}],
                 True, id="as a name"),
])  # fmt: skip
def test_a_cache_that_somebody_else_wrote(small: Small, tmp_path: Path, poison: Any, ours: bool) -> None:
    """It runs nothing, and says nothing of how a guest is reached: that is the fleet file's."""
    path = inventory(small, cache=True, cache_plugin="ansible.builtin.jsonfile",
                     cache_connection=str(small.folder / "cache"))  # fmt: skip
    before = listed(path)
    [file] = (small.folder / "cache").iterdir()
    kept = json.loads(json.loads(file.read_text())["__payload__"])
    [vm] = [one for one in kept if one["name"] == small.name("a")]
    touch = "{{ lookup('ansible.builtin.pipe', 'touch %s') }}" % (tmp_path / "ran")
    file.write_text(json.dumps({"__payload__": json.dumps(poison(vm, touch))}))
    debug = run("ansible", "-i", str(path), "all", "-m", "ansible.builtin.debug", "-a", "var=muster")
    assert not (tmp_path / "ran").exists(), debug.output
    found = listed(path)
    reached = [one.get("ansible_connection") for one in found["_meta"]["hostvars"].values()]
    assert not any(reached)
    assert (found != before) == ours  # what is no cache of ours is none: the sites were asked


@pytest.mark.parametrize(("edit", "says"), [
    pytest.param({"uri": "qemu+unix:///system?socket=/nonexistent"}, "unable to connect to", id="unreachable"),
    pytest.param({"archive": "local"}, "'archive' means nothing to the platform 'libvirt'", id="an option of others"),
])  # fmt: skip
def test_a_site_that_does_not_answer_is_no_empty_inventory(small: Small, edit: dict[str, str], says: str) -> None:
    small.document["sites"][small.world.access.name].update(edit)
    ran = run("ansible-inventory", "-i", str(inventory(small)), "--list")
    assert ran.code != 0
    assert says in " ".join(ran.output.split())
    assert "Traceback" not in ran.output


def test_a_broken_fleet_file(small: Small) -> None:
    path = inventory(small)
    (small.folder / "fleet.yml").write_text("fleet: [\n")
    ran = run("ansible-inventory", "-i", str(path), "--list")
    assert ran.code != 0
    assert "fleet.yml" in ran.output
