"""The constructs in other people's apps: the examples of the guide, tokens, and what is wrong."""

from __future__ import annotations

import contextlib
import inspect
import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cdk_apps import CHECKOUT, LIBRARIES, PROGRAM, needs_node, run, stacks
from muster.model.errors import ModelErrors
from muster.model.fields import VM_FIELDS
from test_app import GOOD, SIBLINGS, fleet, without_version

pytestmark = needs_node
EXAMPLES = re.findall(r"```python\n(.*?)```", (CHECKOUT / "docs" / "cdktf.md").read_text(encoding="utf-8"), re.DOTALL)
CDK: Any = None


@pytest.fixture(scope="module", autouse=True)
def _cdk() -> None:
    """Imported once a test needs it: it starts Node.js."""
    global CDK
    import muster_cdktf.cdk
    import muster_cdktf.stacks

    CDK = muster_cdktf


@pytest.fixture
def stack(tmp_path: Path) -> Any:
    return CDK.cdk.TerraformStack(CDK.cdk.App(outdir=str(tmp_path)), "mine")


def resources(stack: Any) -> dict[str, Any]:
    """What the stack of a test becomes."""
    app = CDK.cdk.App.of(stack)
    app.synth()
    found = json.loads(Path(app.outdir, "stacks", "mine", "cdk.tf.json").read_text())
    return {name: {key: value for key, value in one.items() if key != "//"}
            for name, one in found["resource"]["muster_vm"].items()}


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_examples_of_the_guide(tmp_path: Path, number: int) -> None:
    """Over both libraries, which write the same."""
    vsphere = {"platform": "vsphere", "pool": "ssd", "images": {"debian-12": {"template": "debian-12"}}}
    sites = {"lab": {"platform": "libvirt"}, "dc": vsphere, "cloud": {"platform": "libvirt"}}
    big = {"cpus": 2, "memory": "4 GiB", "image": "debian-12", "nics": [{"network": "front"}], "power": "on"}
    vms = {"a": {"count": 2}, "b": {"site": "dc", **big}, "c": {"site": "cloud", **big}}
    program, made = tmp_path / "app.py", {}
    program.write_text(EXAMPLES[number])
    (tmp_path / "fleet.yml").write_text(json.dumps(fleet(sites=sites, vms=vms)))
    for library in LIBRARIES:
        ran = run(tmp_path, library=library, program=program)
        assert ran.code == 0, ran.errors
        made[library] = without_version(stacks(tmp_path))
        shutil.rmtree(tmp_path / "cdktf.out")
    found = made["cdktn"]
    assert made["cdktf"] == found
    assert found.keys() == ({"lab", "shop"} if number == 0 else {"dc", "cloud"})
    if number == 0:
        shop = found["shop"]["resource"]["muster_vm"]
        assert shop["web"]["tags"]["database"] == "${muster_vm.db.uuid}"
        assert found["shop"]["output"]["address"]["value"] == '${muster_vm.web["web-1"].address}'


def test_a_rule_fails_on_a_construct(stack: Any) -> None:
    from muster.policy import load_rules

    CDK.stacks.Vm(stack, "web", site="lab", **{**GOOD, "protection": None})
    CDK.cdk.Aspects.of(stack).add(CDK.stacks.Rulebook(load_rules(["muster/baseline"])))
    with pytest.raises(RuntimeError, match=r"Rule rpo-set \(high\): The VM has a recovery point objective\nweb at lab: "
                                           r"protection\.rpo is not set"):
        CDK.cdk.App.of(stack).synth()


def test_what_is_unknown_is_not_judged(stack: Any) -> None:
    """A token is neither a failure nor a pass: the plan judges it."""
    from muster.policy import load_rules

    first = CDK.stacks.Vm(stack, "first", **GOOD)
    CDK.stacks.Vm(stack, "second", **{**GOOD, "protection": {**GOOD["protection"], "rpo": first.attribute("tags.rpo")}})
    CDK.cdk.Aspects.of(stack).add(CDK.stacks.Rulebook(load_rules(["muster/baseline"])))
    assert resources(stack)["second"]["protection"]["rpo"] == "${muster_vm.first.tags.rpo}"


def test_values_that_come_later(stack: Any) -> None:
    first = CDK.stacks.Vm(stack, "first", cpus=1)
    number, text = first.get_number_attribute("cpus"), first.get_string_attribute("uuid")
    CDK.stacks.Vm(stack, "second", cpus=number, tags={"peer": text, "a": "b"},
                  disks=[{"size": "1 GiB"}, {"name": "data", "size": "${var.size}"}],
                  health=[{"command": {"run": ["id", text]}}])
    made = resources(stack)["second"]
    assert made == {
        "name": "second", "cpus": "${muster_vm.first.cpus}", "tags": {"peer": "${muster_vm.first.uuid}", "a": "b"},
        "disks": [{"name": "root", "size": "1 GiB"}, {"name": "data", "size": "${var.size}"}],
        "health": [{"command": {"run": ["id", "${muster_vm.first.uuid}"]}}]}


@pytest.mark.parametrize(("arguments", "says"), [
    ({"cpus": 0, "memory": "lots"}, ["vm.cpus: 0 is too small; the least is 1", "vm.memory: 'lots' is not a size"]),
    ({"memroy": "2 GiB"}, ["vm.memroy: there is no field 'memroy'; did you mean 'memory'?"]),
    ({"disks": [{"pool": "a"}]}, ["vm.disks[0]: 'size' is missing"]),
    ({"memory": "1 GiB", "memory_minimum": "2 GiB"}, ["vm.memory_minimum: 2 GiB is more than memory"]),
    ({"name": "../x"}, ["vm.name: '../x' is not possible"]),
    ({"name": "a", "each": {"b": {}}}, ["vm.name: 'name' and 'each' name the VMs twice"]),
    ({"timeouts": {"create": "soon", "read": "1m"}}, [
        "vm.timeouts.create: 'soon' is not a duration", "vm.timeouts.read: there is no field 'read'"]),
    ({"timeouts": "1h"}, ["vm.timeouts: '1h' is not a mapping"]),
    ({"each": {}}, ["vm.each: it names no VM; name one"]),
    ({"each": {"a": {"cpus": -1}, "b": {}}}, ["vm.a.cpus: -1 is too small"]),
])
def test_arguments_that_are_wrong(stack: Any, arguments: dict[str, Any], says: list[str]) -> None:
    with pytest.raises(ModelErrors) as caught:
        CDK.stacks.Vm(stack, "vm", **arguments)
    for sentence in says:
        assert sentence in str(caught.value)


def test_time_outs(tmp_path: Path, stack: Any) -> None:
    """Those of a VM, of a group with a value that comes later, and of all VMs of a fleet's site."""
    from muster.model.fleet import load_fleet

    CDK.stacks.Vm(stack, "a", timeouts={"create": "1h"})
    CDK.stacks.Vm(stack, "b", each={"b-1": {}, "b-2": {}}, timeouts={"delete": "${var.patience}"})
    CDK.stacks.Vm(stack, "c", timeouts="${var.all}")
    assert {name: one["timeouts"] for name, one in resources(stack).items()} == {
        "a": {"create": "1h"}, "b": {"delete": "${var.patience}"}, "c": "${var.all}"}
    app = CDK.cdk.App(outdir=str(tmp_path))
    loaded = load_fleet(json.dumps(fleet()), str(tmp_path / "fleet.yml"))
    made = CDK.stacks.FleetStack(app, loaded, "lab", timeouts={"create": "1h"})
    app.synth()
    found = json.loads((tmp_path / "stacks" / made.site / "cdk.tf.json").read_text())["resource"]["muster_vm"]
    assert [one["timeouts"] for one in found.values()] == [{"create": "1h"}] * 3
    with pytest.raises(ModelErrors, match=r"timeouts\.create: 'x' is not a duration"):
        CDK.stacks.FleetStack(app, loaded, "dc", timeouts={"create": "x"})


def test_a_name_that_begins_with_a_digit(stack: Any) -> None:
    """Terraform's names do not."""
    second = CDK.stacks.Vm(stack, "2nd", cpus=1)
    CDK.stacks.Vm(stack, "other", cpus=1, tags={"peer": second.attribute("uuid")})
    found = resources(stack)
    assert found.keys() == {"_2nd", "other"}
    assert found["_2nd"]["name"] == "2nd"
    assert found["other"]["tags"]["peer"] == "${muster_vm._2nd.uuid}"


def test_a_site_of_another_platform(stack: Any) -> None:
    from muster.model.errors import ModelError
    from muster.model.fleet import load_fleet

    loaded, app = load_fleet(json.dumps(fleet()), "/srv/fleet.yml"), CDK.cdk.App.of(stack)
    with pytest.raises(ModelError, match="site 'dc' is one of proxmox, and LibvirtStack makes VMs of libvirt"):
        CDK.stacks.LibvirtStack(app, loaded, "dc")
    with pytest.raises(ModelError, match="has no site 'nowhere'"):
        CDK.stacks.FleetStack(app, loaded, "nowhere")


def test_one_site_alone_is_judged_with_the_whole_fleet(tmp_path: Path) -> None:
    """A service whose other VM is at another site has two."""
    from muster.model.fleet import load_fleet

    (tmp_path / "ours.yml").write_text(json.dumps(SIBLINGS))
    vms = {"web": {"tags": {"service": "shop"}}, "far": {"site": "dc", "tags": {"service": "shop"}}}
    document = fleet(rules=["./ours.yml"], vms=vms)
    for loaded, good in ((document, True), ({**document, "vms": {"web": vms["web"]}}, False)):
        app = CDK.cdk.App(outdir=str(tmp_path / str(good)))
        CDK.stacks.FleetStack(app, load_fleet(json.dumps(loaded), str(tmp_path / "fleet.yml")), "lab")
        with contextlib.nullcontext() if good else pytest.raises(RuntimeError, match="Rule siblings"):
            app.synth()


def test_the_arguments_are_the_fields() -> None:
    arguments = inspect.signature(CDK.stacks.Vm).parameters
    assert [name for name in arguments if name in VM_FIELDS] == list(VM_FIELDS)
    assert arguments.keys() - VM_FIELDS.keys() == {"scope", "id_", "name", "site", "each", "timeouts"}


@pytest.mark.skipif(shutil.which(PROGRAM) is None, reason="there is no terraform on the path")
def test_text_is_data_to_terraform(tmp_path: Path) -> None:
    """Whatever stands in a fleet file, Terraform takes it as it is: as a value, and as a key."""
    signs = ["".join(some) for length in range(1, 6) for some in itertools.product("$%{}", repeat=length)]
    texts = ["${file(\"/etc/passwd\")}", "%{if true}", "é\"\\~", *signs]
    escaped = [CDK.stacks.written.escaped(text) for text in texts]
    (tmp_path / "main.tf.json").write_text(json.dumps({"output": {
        "list": {"value": escaped}, "keys": {"value": dict.fromkeys(escaped, 1)}}}))
    for words in (["init"], ["apply", "-auto-approve"], ["output", "-json"]):
        done = subprocess.run([PROGRAM, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr)[:3000]
    shown = json.loads(done.stdout)
    assert shown["list"]["value"] == texts
    assert shown["keys"]["value"] == dict.fromkeys(texts, 1)
