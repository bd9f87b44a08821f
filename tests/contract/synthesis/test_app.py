"""The app over a fleet file: what it writes, the same over both libraries, and what it says of what is wrong."""

from __future__ import annotations

import copy
import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cdk_apps import CHECKOUT, LIBRARIES, needs_node, run, stacks, synthesised

pytestmark = needs_node

GOOD: dict[str, Any] = {
    "cpus": 1, "memory": "64 MiB", "disks": [{"size": "1 GiB"}], "nics": [{"network": "user"}], "power": "off",
    "profile": "web", "tags": {"owner": "shop", "environment": "test", "cost_center": "4711"},
    "protection": {"rpo": "24h", "rto": "15m", "keep": {"daily": 7}},
}
FLEET: dict[str, Any] = {
    "fleet": "acme",
    "sites": {"lab": {"platform": "libvirt", "uri": "test:///default"},
              "dc": {"platform": "proxmox", "uri": "https://pve.example:8006"},
              "vc": {"platform": "vsphere", "uri": "https://vcenter.example"}},
    "defaults": {**GOOD, "site": "lab"},
    "vms": {"web": {"count": 3}, "db": {"memory": "128 MiB"}, "2nd": {}, "backend": {"site": "dc", "count": 2}},
    "rules": ["muster/baseline"],
}


def fleet(**more: Any) -> dict[str, Any]:
    return copy.deepcopy({**FLEET, **more})


VERSION = importlib.metadata.version("muster-fleet")
ALLOWED = {name: f"${{var.{name}}}" for name in ("allow_power_cycle", "allow_force")}
NICS = {"nics": [{"name": "nic0", "network": "user"}]}


def without_version(found: dict[str, Any]) -> dict[str, Any]:
    for stack in found.values():
        assert stack["//"]["metadata"].pop("version")
    return found


def test_what_is_written(tmp_path: Path) -> None:
    found = synthesised(tmp_path, fleet())
    assert found.keys() == {"lab", "dc", "vc"}
    lab = found["lab"]
    vms = lab["resource"]["muster_vm"]
    assert vms.keys() == {"web", "db", "_2nd"}
    assert vms["web"]["for_each"] == '${toset(["web-1", "web-2", "web-3"])}'
    assert (vms["web"]["name"], vms["web"]["memory"], vms["web"]["site"]) == ("${each.key}", "64 MiB", "lab")
    assert "for_each" not in vms["db"]
    assert (vms["db"]["name"], vms["db"]["memory"]) == ("db", "128 MiB")
    assert vms["_2nd"]["name"] == "2nd"
    assert lab["provider"]["muster"] == [{"fleet_file": "../../../fleet.yml", **ALLOWED}]
    assert {name: (one["type"], one["default"]) for name, one in lab["variable"].items()} == dict.fromkeys(
        ALLOWED, ("bool", False))
    assert lab["terraform"] == {"backend": {"local": {"path": "../../../terraform.lab.tfstate"}},
                                "required_providers": {"muster": {
                                    "source": "muster.fleet/muster/muster", "version": f">= {VERSION}"}}}
    assert found["dc"]["resource"]["muster_vm"].keys() == {"backend"}
    assert "resource" not in found["vc"]  # the VMs of a site that lost its last are taken down by its stack


def test_a_folder_is_data_too(tmp_path: Path) -> None:
    folder = tmp_path / "${x}"
    folder.mkdir()
    (folder / "fleet.yml").write_text(json.dumps(fleet()))
    assert run(tmp_path, str(folder / "fleet.yml")).code == 0
    lab = stacks(tmp_path)["lab"]
    assert lab["provider"]["muster"] == [{"fleet_file": "../../../$${x}/fleet.yml", **ALLOWED}]
    assert lab["terraform"]["backend"] == {"local": {"path": "../../../$${x}/terraform.lab.tfstate"}}


def test_the_example_fleet(tmp_path: Path) -> None:
    """The fleet of `make demo` is one that the rules let pass."""
    ran = run(tmp_path, str(CHECKOUT / "examples" / "acme" / "fleet.yml"))
    assert (ran.code, ran.said, ran.errors) == (0, f"{Path('cdktf.out/stacks/lab')}: 2 VMs\n", "")


def test_both_libraries_write_the_same(tmp_path: Path) -> None:
    made = fleet(state={"backend": "s3", "settings": {"bucket": "acme"}})
    made["vms"]["web"]["overrides"] = {"2": {"nics": None, "tags": {"note": "${x} %{y} #{z} \"'"}}}
    found = {}
    for library in LIBRARIES:
        (tmp_path / library).mkdir()
        found[library] = synthesised(tmp_path / library, made, library)
    versions = {library: one["lab"]["//"]["metadata"]["version"] for library, one in found.items()}
    assert versions["cdktf"].startswith("0.21.")
    assert tuple(map(int, versions["cdktn"].split(".")[:2])) >= (0, 24)
    assert without_version(found["cdktf"]) == without_version(found["cdktn"])


def test_an_override_moves_no_vm(tmp_path: Path) -> None:
    """A VM keeps its address when its fields change: at another one it would be deleted and made again."""
    made = fleet()
    made["vms"]["web"]["overrides"] = {"2": {"memory": "256 MiB", "nics": None}}
    web = synthesised(tmp_path, made)["lab"]["resource"]["muster_vm"]["web"]
    assert web["for_each"] == {
        name: {"memory": f"{memory} MiB", **nics}
        for name, memory, nics in (("web-1", 64, NICS), ("web-2", 256, {}), ("web-3", 64, NICS))}
    assert (web["name"], web["memory"], web["nics"]) == (
        "${each.key}", "${each.value.memory}", "${try(each.value.nics, null)}")


@pytest.mark.parametrize("state", [
    {"backend": "s3", "settings": {"bucket": "acme", "region": "eu-central-1"}},
    {"backend": "http", "settings": {"address": "https://git.example/state"}},
    {"backend": "kubernetes", "settings": {"namespace": "ops"}},
])
def test_the_backend(tmp_path: Path, state: dict[str, Any]) -> None:
    from muster.model.fleet import load_fleet

    made = fleet(state=state)
    expected = load_fleet(json.dumps(made)).state
    for site, stack in synthesised(tmp_path, made).items():
        assert stack["terraform"]["backend"] == {state["backend"]: expected.block("acme", site)}
        assert "hunter2" not in json.dumps(stack)


# Rules

SIBLINGS: dict[str, Any] = {"pack": "ours", "version": "1", "title": "Ours", "rules": [{
    "id": "siblings", "title": "A service has two VMs", "severity": "high", "stages": ["spec"], "why": "One is none.",
    "expect": "sibling_count > `0`",
    "tests": {"pass": [{"sibling_count": 1}], "fail": [{"sibling_count": 0}]}}]}


def checked(folder: Path) -> dict[tuple[str, str], str]:
    """The sentences of `muster check` by rule and VM."""
    argv = [Path(sys.executable).with_name("muster"), "check", "fleet.yml", "--format", "json"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    return {(one["rule"], one["vm"]): one["sentence"] for one in json.loads(done.stdout)["compliance"]["findings"]
            if one["outcome"] == "fail" and one["severity"] in ("high", "critical")}


def test_a_rule_that_fails_stops_the_synthesis(tmp_path: Path) -> None:
    made = fleet(vms={"web": {"count": 2, "protection": {"rpo": None}}, "far": {"site": "dc", "protection": None}})
    (tmp_path / "fleet.yml").write_text(json.dumps(made))
    sentences = checked(tmp_path)
    assert {("rpo-set", "web-1"), ("rpo-set", "web-2"), ("rto-set", "far")} <= sentences.keys()
    for library in LIBRARIES:
        ran = run(tmp_path, library=library)
        assert (ran.code, ran.said) == (1, "")
        assert stacks(tmp_path) == {}
        assert [sentence for sentence in sentences.values() if sentence not in ran.errors] == []
        assert f"{len(sentences)} findings stopped the synthesis" in ran.errors
        assert "Rule rpo-set (high): The VM has a recovery point objective\n" in ran.errors
        assert "Traceback" not in ran.errors


def test_a_waiver(tmp_path: Path) -> None:
    made = fleet(vms={"web": {"protection": {"rpo": None}}}, waivers=[
        {"rule": "rpo-set", "vms": ["web"], "reason": "new", "approver": "jane", "until": "2099-12-31"}])
    synthesised(tmp_path, made)
    made["waivers"][0]["until"] = "2020-01-01"
    (tmp_path / "fleet.yml").write_text(json.dumps(made))
    ran = run(tmp_path)
    assert ran.code == 1
    assert "(the waiver of jane ended on 2020-01-01)" in ran.errors


def test_rules_know_the_whole_fleet(tmp_path: Path) -> None:
    """A rule on siblings is judged with the VMs of all sites in sight."""
    (tmp_path / "ours.yml").write_text(json.dumps(SIBLINGS))
    made = fleet(rules=["./ours.yml"], vms={"web": {"count": 2, "tags": {"service": "shop"}}})
    synthesised(tmp_path, made)
    made["vms"]["web"]["count"] = 1
    (tmp_path / "fleet.yml").write_text(json.dumps(made))
    assert "Rule siblings (high): A service has two VMs" in run(tmp_path).errors


# What is wrong

@pytest.mark.parametrize(("change", "says"), [
    ({"vms": {"web": {"cpus": 0}}}, "vms.web.cpus: 0 is too small; the least is 1"),
    ({"rules": ["muster/none-such"]}, "muster/none-such"),
    ({"state": {"backend": "s4"}}, "state.backend: 's4' is not possible"),
    ({"vms": {"web": {"tags": {"a": "${TfToken[TOKEN.0]}"}}}}, "VM 'web': text with 'TfToken[' means a value of the"),
])
def test_a_fleet_file_that_is_wrong(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    (tmp_path / "fleet.yml").write_text(json.dumps(fleet(**change)))
    ran = run(tmp_path)
    assert (ran.code, ran.said) == (2, "")
    assert says in ran.errors
    assert "Traceback" not in ran.errors
    assert stacks(tmp_path) == {}


def test_what_the_app_cannot_do_without(tmp_path: Path) -> None:
    ran = run(tmp_path, "nowhere.yml")
    assert ran.code == 2
    assert "nowhere.yml: the fleet file cannot be read: No such file or directory" in ran.errors
    (tmp_path / "fleet.yml").write_text(json.dumps(fleet()))
    ran = run(tmp_path, library="neither")
    assert (ran.code, ran.errors) == (2, "neither cdktn nor cdktf is installed; 'pip install muster-fleet[cdktf]' does "
                                         "that\n")
    assert run(tmp_path, "a", "b").code == 2


def test_without_nodejs(tmp_path: Path) -> None:
    (tmp_path / "fleet.yml").write_text(json.dumps(fleet()))
    argv = [sys.executable, CHECKOUT / "cdktf" / "main.py"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False,
                          env={**os.environ, "PATH": str(tmp_path)})
    assert done.returncode == 2
    assert done.stderr == "there is no 'node' on the path, and the CDK runs on Node.js; install that\n"
