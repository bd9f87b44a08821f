"""Compliance at plan time: a rule's sentence at the attribute, unknown values, waivers; and settings that are wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from muster_provider.provider import MusterProvider
from tf_runs import OFF, Terraform, flat

pytestmark = pytest.mark.parametrize("world", ["test"], indirect=True)

RULES: dict[str, Any] = {
    "pack": "our-rules", "version": "1", "title": "Ours", "rules": [
        {"id": "owner", "title": "Every VM has an owner", "severity": "high", "stages": ["plan"],
         "expect": "present(tags.owner)", "why": "Somebody must be called at night.",
         "tests": {"pass": [{"tags": {"owner": "a"}}], "fail": [{"tags": {}}]}},
        {"id": "big-disk", "title": "Root disks hold the logs", "severity": "high", "stages": ["plan"],
         "expect": "disks[0].size >= `1048576`", "why": "Logs fill small disks.",
         "tests": {"pass": [{"disks": [{"size": 1048576}]}], "fail": [{"disks": [{"size": 1}]}]}},
        {"id": "room", "title": "Root disks have room", "severity": "low", "stages": ["plan"],
         "expect": "disks[0].size >= `1073741824`", "why": "Updates need some.",
         "tests": {"pass": [{"disks": [{"size": 1073741824}]}], "fail": [{"disks": [{"size": 1}]}]}},
        {"id": "two", "title": "Two CPUs", "severity": "medium", "stages": ["plan"], "expect": "cpus >= `2`",
         "why": "One is few.", "tests": {"pass": [{"cpus": 2}], "fail": [{"cpus": 1}]}},
        {"id": "spread", "title": "A service has two VMs", "severity": "critical", "stages": ["plan"],
         "expect": "sibling_count > `0`", "why": "One VM is no service.",
         "tests": {"pass": [{"sibling_count": 1}], "fail": [{"sibling_count": 0}]}},
        {"id": "here", "title": "VMs are at home", "severity": "high", "stages": ["plan"],
         "expect": "platform == 'libvirt' && site == 'quick'", "why": "Elsewhere it costs.",
         "tests": {"pass": [{"platform": "libvirt", "site": "quick"}], "fail": [{"platform": "proxmox"}]}},
    ]}


@pytest.fixture
def ruled(terraform: Terraform) -> Terraform:
    (terraform.folder / "ours.yml").write_text(yaml.safe_dump(RULES))
    terraform.provider["packs"] = ["./ours.yml"]
    return terraform


def test_a_plan_that_a_rule_refuses(ruled: Terraform) -> None:
    ruled.vms = {"a": {**OFF, "tags": {"note": "x"}}}
    for command in ("validate", "plan"):
        said = flat(ruled.run(command, code=1))
        assert "Rule owner (high): Every VM has an owner" in said
        assert f"{ruled.name('a')} at {ruled.world.access.name}: tags.owner is not set. Somebody must be called at " \
            "night." in said
        assert "Two CPUs" not in said
        assert "A service has two VMs" not in said  # what only the other VMs tell is judged by 'muster check'
    assert ruled.diagnostics()[0][1].startswith('"tags": {')
    ruled.vms["a"]["tags"]["owner"] = "shop"
    ruled.apply()
    ruled.provider["severity"] = "medium"
    assert "Rule two (medium): Two CPUs" in ruled.refused()
    assert ruled.diagnostics()[0][1].startswith('"cpus": 1')
    ruled.provider["severity"] = "low"
    ruled.vms["a"] |= {"cpus": 2, "disks": [{"size": "512 MiB"}]}
    assert "disks[0].size is 512 MiB" in ruled.refused()
    assert ruled.diagnostics()[0][1].startswith('"size": "512 MiB"')


def test_a_waiver(ruled: Terraform) -> None:
    ruled.vms = {"a": OFF}
    waiver = {"rule": "owner", "vms": [ruled.name("*")], "reason": "new", "approver": "jane", "until": "2099-12-31"}
    ruled.provider["waivers"] = [waiver]
    assert ruled.plan() == {"a": ["create"]}
    ruled.provider["waivers"] = [{**waiver, "until": "2020-01-01"}]
    assert "(the waiver of jane ended on 2020-01-01)" in ruled.refused()


def test_what_comes_with_the_apply_is_checked_again(ruled: Terraform) -> None:
    """Nothing is made of a VM whose values are wrong, or break a rule, once they are known."""
    ruled.provider["severity"] = "medium"
    ruled.more = {"resource": {
        "terraform_data": {"size": {"input": "512 KiB"}, "cpus": {"input": 1}, "site": {"input": "quick"}},
        "muster_vm": {"a": {"name": ruled.name("a"), **OFF, "tags": {"owner": "shop"},
                            "cpus": "${terraform_data.cpus.output}", "site": "${terraform_data.site.output}",
                            "disks": [{"size": "${terraform_data.size.output}"}]}}}}
    ruled.run("validate")
    assert ruled.plan() == {"size": ["create"], "cpus": ["create"], "site": ["create"], "a": ["create"]}
    known = ruled.more["resource"]["terraform_data"]
    for says in ("disks[0].size: 512 KiB is too small", "Rule two (medium): Two CPUs"):
        assert says in flat(ruled.apply(code=1))
        assert ruled.there() == {}
        known["size"]["input"] = "1 MiB"
    known["cpus"]["input"] = 2
    ruled.apply()
    assert ruled.there().keys() == {"a"}
    assert ruled.plan() == {}


def test_a_whole_item_that_comes_with_the_apply(terraform: Terraform) -> None:
    disk = {"terraform_data": {"disk": {"input": {"size": "1 MiB"}}}}
    terraform.more = {"resource": {**disk, "muster_vm": {
        "a": {"name": terraform.name("a"), **OFF, "disks": ["${terraform_data.disk.output}"]}}}}
    terraform.apply()
    assert terraform.there()["a"]["disks"][0]["size"] == 1 << 20
    assert terraform.plan() == {}


@pytest.mark.parametrize(("spec", "says", "line"), [
    ({"memory": "lots"}, "memory: 'lots' is not a size", '"memory": "lots"'),
    ({"disks": [{"size": "1 MiB"}, {"size": "-1 GiB"}]}, "disks[1].size: '-1 GiB' is not a size", '"size": "-1 GiB"'),
    ({"cpus": 0}, "cpus: 0 is too small; the least is 1", '"cpus": 0'),
    ({"cpus": 1.5}, "is not a whole number", '"cpus": 1.5'),
    ({"power": "maybe"}, "'maybe' is not possible", '"power": "maybe"'),
    ({"tags": {"a b": "x"}}, "'a b' cannot be a name here", '"a b": "x"'),
    ({"tags": {"owner": "{{ x }}"}}, "a template is not allowed", '"owner": "{{ x }}"'),
    ({"secure_boot": True}, "secure boot needs UEFI", '"secure_boot": true'),
    ({"cpu_topology": {"sockets": 2, "cores": 2}}, "sockets × cores × threads are 4 and cpus is 1",
     '"cpu_topology": {'),
    ({"nics": [{"network": "a"}, {"network": "b", "forwards": [{"guest": 22}]}]}, "ports are forwarded",
     '}'),
    ({"health": [{"tcp": {"port": 1}, "http": {}}]}, "exactly one of http, tcp, command", '{'),
    ({"site": "moon"}, "there is no site 'moon'", '"site": "moon"'),
    ({"name": "../etc"}, "'../etc' is not possible", '"name": "../etc"'),
    ({"name": "A'/><disk"}, "is not possible", '"name": "A\'/'),
    ({"protection": {"keep": {"daily": 0}}}, "this would keep no restore point at all", '}'),
])
def test_a_wrong_value(terraform: Terraform, spec: dict[str, Any], says: str, line: str) -> None:
    """The sentence stands at the attribute, before anything is planned."""
    terraform.vms = {"a": {**OFF, **spec}}
    [(sentence, place)] = terraform.diagnostics()
    assert says in sentence
    assert place.startswith(line), (sentence, place)
    assert says in terraform.refused()


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize(("spec", "says", "line"), [
    ({"zone": "b"}, "the field 'zone' cannot be honoured", '"zone": "b"'),
    ({"disks": [{"size": "3 MiB", "encrypted": True}]}, "the field 'disks.root.encrypted' cannot", '"encrypted": true'),
    ({"disks": [{"size": "2 MiB"}, {"size": "1 MiB", "name": "data", "encrypted": True}]},
     "the field 'disks.data.encrypted' cannot", '"encrypted": true'),
    ({"nics": [{"network": "default"}, {"network": "default", "vlan": 7}]}, "the field 'nics.nic1.vlan' cannot",
     '"vlan": 7'),
    ({"image": "nothing"}, "the image 'nothing' is not in the site's catalogue", '"image": "nothing"'),
    ({"disks": [{"size": "512 KiB"}, {"size": "1 MiB"}]}, "disks[0].size: 512 KiB is too small", '"size": "512 KiB"'),
    ({"disks": [{"size": "1 MiB"}]}, "disks.root.size cannot shrink from 2 MiB to 1 MiB", '"size": "1 MiB"'),
])
def test_what_the_site_refuses(
    terraform: Terraform, spec: dict[str, Any], says: str, line: str, there: bool
) -> None:
    """In the plan of a new VM, and of one that is there: at the attribute."""
    if there or "shrink" in says:
        terraform.vms = {"a": {**OFF, "disks": [{"size": "2 MiB"}]}}
        terraform.apply()
    terraform.vms = {"a": {**OFF, **({} if "shrink" in says else {"disks": [{"size": "2 MiB"}]}), **spec}}
    if there and ("image" in says or "zone" in says):
        return  # what is there needs no image, and libvirt reports no zone to compare
    [(sentence, place)] = terraform.planned_diagnostics()
    assert says in sentence
    assert place.startswith(line), (sentence, place)


@pytest.mark.parametrize(("source", "settings", "says", "line"), [
    ("muster_findings", {"severity": "awful"}, "'awful' is no severity", '"severity": "awful"'),
    ("muster_findings", {"site": "moon"}, "there is no site 'moon'", '"site": "moon"'),
    ("muster_vms", {"site": "moon"}, "there is no site 'moon'", '"site": "moon"'),
    ("muster_vm", {"name": "a", "site": "moon"}, "there is no site 'moon'", '"site": "moon"'),
    ("muster_drill", {"vm": "../a"}, "'../a' is not possible", '"vm": "../a"'),
])
def test_a_wrong_data_source(
    terraform: Terraform, source: str, settings: dict[str, Any], says: str, line: str
) -> None:
    """At the attribute, before anything is asked."""
    terraform.more = {"data": {source: {"a": settings}}}
    [(sentence, place)] = terraform.diagnostics()
    assert says in sentence
    assert place.startswith(line)


@pytest.mark.parametrize("vms", [{}, {"a": OFF}, {"a": OFF, "b": OFF}])
@pytest.mark.parametrize(("settings", "says", "line"), [
    ({"packs": ["muster/no-such"]}, "there is no such pack", '"packs": ['),
    ({"packs": ["muster/baseline", "./nothing.yml"]}, "nothing.yml", '"packs": ['),
])
def test_packs_that_cannot_be_read(
    terraform: Terraform, vms: dict[str, Any], settings: dict[str, Any], says: str, line: str
) -> None:
    """Once, where they are named, whether there is a VM to be judged or not."""
    terraform.provider |= settings
    terraform.vms = vms
    terraform.more = {} if vms else {"data": {"muster_vms": {"all": {}}}}  # Terraform starts no provider for nothing
    [(sentence, place)] = terraform.diagnostics()
    assert says in sentence
    assert place.startswith(line)
    assert terraform.refused().count("Error:") == 1


@pytest.mark.parametrize(("settings", "says"), [
    ({"fleet": None}, "'fleet' is missing"),
    ({"fleet": "A/B"}, "fleet: 'A/B' is not possible"),
    ({"sites": {}}, "'sites' is missing"),
    ({"sites": {"lab": {"platform": "vmware"}}}, "sites.lab.platform: 'vmware' is not possible"),
    ({"severity": "awful"}, "'awful' is no severity"),
    ({"packs": ["muster/no-such"]}, "there is no such pack"),
    ({"packs": ["./nothing.yml"]}, "nothing.yml"),
    ({"fleet_file": "fleet.yml"}, "'fleet' and 'fleet_file' say the same twice"),
    ({"fleet": None, "sites": None, "fleet_file": "no.yml"}, "the fleet file cannot be read"),
    ({"waivers": [{"rule": "x", "vms": ["a"], "reason": "r", "approver": "j", "until": "2026-02-31"}]},
     "'2026-02-31' is not a day"),
    ({"sites": {"lab": {"platform": "libvirt", "images": {"d": {"url": "https://e.test/i"}}}}}, "'sha256' is missing"),
])
def test_a_wrong_setting(terraform: Terraform, settings: dict[str, Any], says: str) -> None:
    terraform.provider.update(settings)
    terraform.vms = {"a": OFF}
    assert says in terraform.refused()


def test_a_fleet_file(terraform: Terraform, provider: MusterProvider) -> None:
    """Its name, sites, rules and waivers; its VMs are Terraform's own business."""
    world = terraform.world
    site = {"platform": "libvirt", **world.access.options}
    (terraform.folder / "ours.yml").write_text(yaml.safe_dump(RULES))
    waiver = {"rule": "owner", "vms": [world.names + "-a"], "reason": "new", "approver": "jane", "until": "2099-12-31"}
    (terraform.folder / "fleet.yml").write_text(yaml.safe_dump({
        "fleet": world.fleet, "sites": {world.access.name: site}, "vms": {world.names + "-a": {"cpus": 9}},
        "rules": ["./ours.yml"], "waivers": [waiver]}))
    terraform.provider = {"fleet_file": "fleet.yml"}
    terraform.vms = {"a": OFF, "b": {**OFF, "tags": {"owner": "shop"}}}
    terraform.apply()
    assert terraform.there()["a"]["cpus"] == 1
    terraform.vms["b"].pop("tags")
    assert "Rule owner" in terraform.refused()


def test_data_sources(ruled: Terraform) -> None:
    world = ruled.world
    ruled.vms = {"a": {**OFF, "tags": {"owner": "shop"}}, "b": {**OFF, "tags": {"owner": "shop"}}}
    ruled.apply()
    stranger = world.foreign("x")
    ruled.more = {
        "data": {"muster_vm": {"a": {"name": ruled.name("a")}}, "muster_vms": {"ours": {}, "all": {"all": True}},
                 "muster_findings": {"now": {"severity": "low"}}},
        "output": {"vm": {"value": "${data.muster_vm.a}"}, "ours": {"value": "${data.muster_vms.ours.vms[*].name}"},
                   "all": {"value": "${data.muster_vms.all.vms}"},
                   "findings": {"value": "${data.muster_findings.now.findings}"}},
    }
    ruled.provider["packs"] = ["muster/baseline"]
    ruled.provider["waivers"] = [
        {"rule": rule, "vms": ["*"], "reason": "a test", "approver": "jane", "until": "2099-12-31"}
        for rule in ("rpo-set", "rto-set", "keep-something", "memory-enough")]
    ruled.apply()
    shown = {name: one["value"] for name, one in json.loads(ruled.run("output", "-json")).items()}
    assert (shown["vm"]["cpus"], shown["vm"]["owned"], shown["vm"]["memory"]) == (1, True, "32 MiB")
    assert shown["ours"] == [ruled.name("a"), ruled.name("b")]
    assert {vm["uuid"]: vm["owned"] for vm in shown["all"]}[stranger.uuid] is False
    assert {one["rule"] for one in shown["findings"]} >= {"profile-set"}
    assert all(one["sentence"] for one in shown["findings"])
    ruled.more["data"]["muster_vm"]["a"]["name"] = "nobody"
    assert "has no VM of the name 'nobody'" in ruled.refused()


CANARY = "canary-7d793037a0760186"
RESOURCE = {"resource": {"muster_vm": {"a": {"name": "a", **OFF}}}}
SOURCE = {"data": {"muster_vm": {"a": {"name": "a"}}}}


@pytest.mark.parametrize(("place", "document"), [
    ("provider.read_settings", RESOURCE),
    ("provider.Sites", RESOURCE),
    ("vm.check_name", RESOURCE),
    ("vm_plan.VmPlanning._predicted", RESOURCE),
    ("data._Data.validate", SOURCE),
    ("data.VmData.ask", SOURCE),
    ("vm_read.VmReading.import_", {**RESOURCE, "import": [{"to": "muster_vm.a", "id": "a"}]}),
    ("functions.parse_size", {"output": {"a": {"value": "${provider::muster::bytes(\"1\")}"}}}),
    ("check._document", {"output": {"a": {"value": "${provider::muster::check({})}"}}}),
])
def test_a_defect_is_an_error_without_the_text_of_the_exception(
    terraform: Terraform, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], place: str,
    document: dict[str, Any]
) -> None:
    """Wherever it is: its text may hold values."""
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError(CANARY)

    terraform.more = document
    with monkeypatch.context() as planted:
        planted.setattr(f"muster_provider.{place}", broken)
        said = terraform.refused()
    assert "Muster's provider has a defect" in said
    assert "RuntimeError in broken" in said
    assert CANARY not in said + "".join(capfd.readouterr())


def test_functions(terraform: Terraform) -> None:
    terraform.vms = {"a": OFF}
    call = "${provider::muster::%s(\"%s\")}"
    terraform.more = {"output": {"size": {"value": call % ("bytes", "2 GiB")},
                                 "time": {"value": call % ("seconds", "1d 12h")}}}
    terraform.apply()
    shown = {name: one["value"] for name, one in json.loads(terraform.run("output", "-json")).items()}
    assert shown == {"size": 2 << 30, "time": 129600}
    terraform.more["output"]["size"]["value"] = call % ("bytes", "lots")
    assert "'lots' is not a size" in terraform.refused()


def test_the_rules_on_one_vm(ruled: Terraform) -> None:
    """In an expression: of a resource, of an object, with packs of a file or the baseline."""
    ruled.provider["packs"] = []
    ruled.vms = {"a": {**OFF, "tags": {"note": "x"}}}
    call = "${[for one in provider::muster::check(%s) : one.rule]}"
    ruled.more = {"output": {
        "resource": {"value": call % 'muster_vm.a, "./ours.yml"'},
        "object": {"value": call % '{name = "x", cpus = 2, tags = {owner = "me"}, disks = [{size = "2 GiB"}]}, '
                   '"./ours.yml"'},
        "baseline": {"value": "${length(provider::muster::check(muster_vm.a)) > 0}"}}}
    ruled.apply()
    shown = {name: one["value"] for name, one in json.loads(ruled.run("output", "-json")).items()}
    assert sorted(shown["resource"]) == ["owner", "room", "two"]
    assert shown["object"] == []
    assert shown["baseline"] is True


@pytest.mark.parametrize(("vm", "says"), [
    ("{cpu = 2}", "did you mean 'cpus'"), ("{cpus = 0}", "cpus: 0 is too small"), ('"web"', "a VM is an object"),
    ('{disks = ["x"]}', "disks[0]"), ('{name = "../x"}', "is not possible"), ("{cpus = 2}, \"./no.yml\"", "no.yml"),
    ('{memory = "2 GiB", secure_boot = true}', "secure boot needs UEFI"), ("null", "null"),
])
def test_no_vm_for_the_rules(terraform: Terraform, vm: str, says: str) -> None:
    terraform.more = {"output": {"it": {"value": "${provider::muster::check(" + vm + ")}"}}}
    assert says in terraform.refused()
