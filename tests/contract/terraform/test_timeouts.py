"""`timeouts` of a resource: they bound its operations, and are no change of what they are about."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest
from muster.drivers.proxmox import driver as proxmox
from muster.drivers.proxmox.tasks import Tasks
from tf_runs import OFF, Terraform, flat

QUICK = pytest.mark.parametrize("world", ["test"], indirect=True)
UNSET = {"create": None, "update": None, "delete": None}


@QUICK
@pytest.mark.parametrize(("before", "after", "differs"), [
    (None, {"create": "1h"}, False),
    ({"create": "1h", "update": "1h"}, {"create": "2h"}, False),
    ({"create": "1h"}, None, False),
    ({"delete": "1h"}, {"delete": "1h", "create": "1h"}, False),
    (None, {"delete": "1h"}, True),
    ({"delete": "1h"}, {"delete": "2h"}, True),
    ({"delete": "1h"}, None, True),
])
def test_other_time_outs_are_no_change(terraform: Terraform, before: Any, after: Any, differs: bool) -> None:
    """But for that of a deletion, for which Terraform has nothing but the state. It is a change of the state alone."""
    terraform.vms = {"a": {**OFF, "timeouts": before}}
    terraform.apply()
    assert terraform.state()["a"]["timeouts"] == {**UNSET, **(before or {})}
    picture, domain = terraform.world.picture(), terraform.there()["a"]
    terraform.vms = {"a": {**OFF, "timeouts": after}}
    assert terraform.plan() == ({"a": ["update"]} if differs else {})
    terraform.apply()
    assert (terraform.state()["a"]["timeouts"]["delete"] or None) == (after or {}).get("delete")
    assert (terraform.world.picture(), terraform.there()["a"]) == (picture, domain)
    assert terraform.plan() == {}


@QUICK
def test_an_import_needs_none(terraform: Terraform) -> None:
    """Of a VM and of a snapshot: the next plan is empty, whatever time-outs the configuration has."""
    made = terraform.world.made("a", power="off")
    terraform.world.driver.take_snapshot(made, "before", "", True)
    name, within = terraform.name("a"), {"timeouts": {"create": "1h"}}
    terraform.more = {"resource": {"muster_vm": {"a": {"name": name, **OFF, **within}},
                                   "muster_vm_snapshot": {"s": {"vm": name, "name": "before", **within}}}}
    site = terraform.world.access.name
    terraform.run("import", "muster_vm.a", f"{site}/{terraform.name('a')}")
    terraform.run("import", "muster_vm_snapshot.s", f"{site}/{terraform.name('a')}/before")
    assert terraform.plan() == {}


@QUICK
def test_a_state_of_an_older_version(terraform: Terraform) -> None:
    """Attributes that it lacks are added, those that nobody knows any more are left out: there is nothing to change."""
    terraform.vms = {"a": {**OFF, "tags": {"owner": "me"}, "protection": {"rpo": "1d"}, "timeouts": {"create": "1h"}}}
    terraform.apply()
    file = terraform.folder / "terraform.tfstate"
    state = json.loads(file.read_text())
    [instance] = state["resources"][0]["instances"]
    values = instance["attributes"]
    for key in ("timeouts", "schedule", "zone"):
        del values[key]
    del values["protection"]["keep"], values["disks"][0]["pool"]
    values["colour"] = values["protection"]["colour"] = "red"
    file.write_text(json.dumps({**state, "serial": state["serial"] + 1}))
    assert terraform.plan() == {}
    terraform.apply()
    assert "colour" not in terraform.state()["a"]
    terraform.run("destroy", "-auto-approve")
    assert terraform.there() == {}


@QUICK
def test_what_is_known_later(terraform: Terraform) -> None:
    """A time-out of another resource's making: the VM is made with it, and changes are planned once."""
    terraform.more = {"resource": {
        "terraform_data": {"time": {"input": "1h"}},
        "muster_vm": {"a": {"name": terraform.name("a"), **OFF, "timeouts": {
            "create": "${terraform_data.time.output}", "delete": "${terraform_data.time.output}"}}}}}
    terraform.apply()
    assert terraform.state()["a"]["timeouts"] == {"create": "1h", "update": None, "delete": "1h"}
    assert terraform.plan() == {}
    terraform.more["resource"]["terraform_data"]["time"]["input"] = "2h"
    terraform.apply()
    assert terraform.state()["a"]["timeouts"]["delete"] == "2h"
    assert terraform.plan() == {}


@QUICK
@pytest.mark.parametrize("kind", ["muster_vm", "muster_vm_snapshot", "muster_restore_point"])
def test_what_is_no_time_out(terraform: Terraform, kind: str) -> None:
    named = {"name": "a"} if kind == "muster_vm" else {"name": "a", "vm": "b"}
    for timeouts, says in (({"create": "soon"}, "timeouts.create: 'soon' is not a duration"),
                           ({"create": "0s"}, "timeouts.create: '0s' is out of range")):
        terraform.more = {"resource": {kind: {"a": {**named, "timeouts": timeouts}}}}
        [(sentence, line)] = terraform.diagnostics()
        assert says in sentence
        assert next(iter(timeouts)) in line


@pytest.mark.parametrize("world", ["pve"], indirect=True)
def test_each_bounds_its_own_operation(terraform: Terraform, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that nobody opens: the sentence names the setting, which stands over the provider's."""
    world: Any = terraform.world
    monkeypatch.setattr(proxmox, "Tasks", lambda *words, **more: Tasks(*words, **{**more, "lock_wait": 300}))
    terraform.provider["timeout"] = "1h"
    terraform.vms = {"a": {**OFF, "timeouts": {"update": "1s", "delete": "2s"}}}
    terraform.apply()
    state, vmid = terraform.state(), terraform.there()["a"].state["vmid"]
    world.fake.snapshot_lock(vmid, "backup")
    terraform.vms["a"]["cpus"] = 2
    start = time.monotonic()
    said = flat(terraform.apply(code=1))
    assert "not done within 1s" in said
    assert "give it more time with the resource's timeouts.update" in said
    said = flat(terraform.run("destroy", "-auto-approve", code=1))
    assert "not done within 2s" in said
    assert "the resource's timeouts.delete, which counts once it was applied" in said
    assert time.monotonic() - start < 120  # and not the 300 s of the lock, twice
    assert terraform.state() == state
    world.fake.unlock(vmid)
    terraform.run("destroy", "-auto-approve")
    assert terraform.there() == {}


@QUICK
@pytest.mark.parametrize(("call", "doing"), [("list", "delete"), ("again", "update"), ("again", "delete")])
def test_a_question_that_is_not_answered(
    terraform: Terraform, monkeypatch: pytest.MonkeyPatch, call: str, doing: str
) -> None:
    """Before an operation changes anything: its time counts, and nothing is changed when the answer comes at last."""
    terraform.vms = {"a": {**OFF, "timeouts": {doing: "1s"}}}
    terraform.apply()
    picture, state = terraform.world.picture(), terraform.state()
    kind: Any = type(terraform.world.driver)
    original, asked, released = getattr(kind, call), [], threading.Event()

    def silent(self: Any, *words: Any) -> Any:
        asked.append(call)
        if call == "list" and len(asked) == 1:  # the plan's
            return original(self, *words)
        released.wait(60)
        return original(self, *words)

    terraform.vms["a"]["cpus"] = 2
    with monkeypatch.context() as planted:
        planted.setattr(kind, call, silent)
        words = ["destroy"] if doing == "delete" else ["apply"]
        said = flat(terraform.run(*words, "-auto-approve", "-refresh=false", code=1))
        released.set()
        for thread in threading.enumerate():
            if thread.name.startswith("operation on"):  # what was left behind
                thread.join(60)
    assert "it was not done within 1s" in said
    assert len(asked) == (2 if call == "list" else 1)
    assert terraform.state() == state
    assert terraform.world.picture() == picture


@QUICK
def test_the_wait_for_another_operation_counts(terraform: Terraform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two snapshots of one VM the second waits for the first; what was given up is not done afterwards."""
    kind: Any = type(terraform.world.driver)
    original, released, begun = kind.take_snapshot, threading.Event(), []

    def slow(self: Any, *words: Any) -> Any:
        begun.append(words)
        released.wait(60)
        return original(self, *words)

    terraform.vms = {"a": OFF}
    terraform.apply()
    one = {"vm": terraform.name("a"), "timeouts": {"create": "1s"}}
    snapshots = {name: {**one, "name": name} for name in ("one", "two")}
    terraform.more = {"resource": {"muster_vm": {"a": {"name": terraform.name("a"), **OFF}},
                                   "muster_vm_snapshot": snapshots}}
    with monkeypatch.context() as planted:
        planted.setattr(kind, "take_snapshot", slow)
        said = flat(terraform.apply(code=1))
        released.set()
    assert said.count("it was not done within 1s") == 2
    assert len(begun) == 1
    terraform.apply()
    assert terraform.plan() == {}
