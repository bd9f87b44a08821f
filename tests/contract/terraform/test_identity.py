"""Which resource is which VM: one that is there already, two of one name, and one that has another name in the
configuration."""

from __future__ import annotations

from typing import Any

import pytest
from muster.drivers.driver import Capability, Failed, Image
from tf_runs import OFF, Terraform, flat

pytestmark = pytest.mark.parametrize("world", ["test", "pve"], indirect=True)
LATER = {"tags": {"owner": "${terraform_data.owner.output}"}}


def later(terraform: Terraform, **vms: dict[str, Any]) -> None:
    """`vms` of a configuration in which something is known only after apply."""
    terraform.more = {"resource": {"terraform_data": {"owner": {"input": "shop"}}, "muster_vm": {
        key: {"name": terraform.name(key), **OFF, **LATER, **vm} for key, vm in vms.items()}}}


# Another name of the resource


def test_a_resource_with_another_name_of_which_not_all_is_known(terraform: Terraform) -> None:
    terraform.vms = {"a": OFF}
    terraform.apply()
    before, terraform.vms = terraform.world.picture(), {}
    later(terraform, b={"name": terraform.name("a")})
    assert "say so with a 'moved' block" in terraform.refused()
    assert terraform.world.picture() == before


# Two resources of one VM


@pytest.mark.parametrize("there", [False, True])
def test_two_resources_of_one_name(terraform: Terraform, there: bool) -> None:
    """Both new, or one more than there was."""
    terraform.vms = {"a": OFF}
    if there:
        terraform.apply()
    before, one = terraform.world.picture(), terraform.name("a")
    terraform.vms = {"a": OFF, "b": {**OFF, "name": one, "cpus": 2}}
    assert f"Two resources are VM '{one}'" in terraform.refused()
    terraform.vms = {}
    later(terraform, a={}, b={"name": one})
    assert f"Two resources are VM '{one}'" in flat(terraform.apply(code=1))
    assert terraform.world.picture() == before


def test_new_names_of_two_resources(terraform: Terraform) -> None:
    """Each name has one resource before and after, so nothing is wrong with it."""
    terraform.vms = {"a": OFF, "b": {**OFF, "cpus": 2}}
    terraform.apply()
    terraform.vms = {"a": {**OFF, "name": terraform.name("c")}, "b": {**OFF, "name": terraform.name("d"), "cpus": 2}}
    assert terraform.plan() == {"a": ["delete", "create"], "b": ["delete", "create"]}
    terraform.apply()
    assert {name: vm["cpus"] for name, vm in terraform.there().items()} == {"c": 1, "d": 2}
    assert terraform.plan() == {}


@pytest.mark.parametrize("ignore", [[], ["cpus"]])
def test_a_vm_that_is_made_anew_is_one_resource(terraform: Terraform, ignore: list[str]) -> None:
    """Terraform asks for two plans of it, of a tainted one for the second alone; none says that it is taken over."""
    terraform.vms = {"a": {**OFF, "lifecycle": {"ignore_changes": ignore}}}
    terraform.apply()
    for words in ([], ["-refresh=false"]):
        said = terraform.apply("-replace=muster_vm.a", *words)
        assert "1 added, 0 changed, 1 destroyed" in said
        assert "is there already" not in said
        terraform.run("taint", "muster_vm.a")
        said = terraform.apply(*words)
        assert "1 added, 0 changed, 1 destroyed" in said
        assert "is there already" not in said
    assert terraform.plan() == {}


@pytest.mark.parametrize(("more", "says"), [
    ({"zone": "b"}, "the field 'zone' cannot be honoured"),
    ({"image": "nothing"}, "the image 'nothing' is not in the site's catalogue"),
])
@pytest.mark.parametrize("why", ["another firmware", "another name", "tainted", "-replace"])
def test_a_vm_that_could_not_be_made_anew_is_not_deleted(
    terraform: Terraform, more: dict[str, str], says: str, why: str
) -> None:
    terraform.vms = {"a": {**OFF, "firmware": "bios"}}
    terraform.apply()
    before, words = terraform.world.picture(), []
    terraform.vms["a"] |= more
    if why == "another firmware":
        terraform.vms["a"]["firmware"] = "uefi"
    elif why == "another name":
        terraform.vms["a"]["name"] = terraform.name("b")
    elif why == "tainted":
        terraform.run("taint", "muster_vm.a")
    else:
        words = ["-replace=muster_vm.a"]
    assert says in terraform.refused(*words)
    assert says in flat(terraform.apply(*words, code=1))
    assert terraform.world.picture() == before


# A VM that is there already


def test_a_vm_that_is_taken_over_is_announced(terraform: Terraform) -> None:
    terraform.world.made("a", power="off")
    name = terraform.name("a")
    terraform.vms = {"a": {**OFF, "cpus": 2}}
    said = flat(terraform.run("plan"))
    assert f"VM '{name}' at site '{terraform.world.access.name}' is there already" in said
    assert "takes it over and changes cpus: 1 → 2" in said
    terraform.vms = {}
    later(terraform, a={"cpus": 1})
    assert "takes it over and changes nothing that is known yet" in flat(terraform.run("plan"))
    terraform.more, terraform.vms = {}, {"a": OFF}
    assert "takes it over and changes nothing" in flat(terraform.apply())
    assert terraform.plan() == {}


def test_a_vm_that_was_never_seen_ready_is_finished(terraform: Terraform, boots: Image) -> None:
    if Capability.IMAGE not in terraform.world.driver.capabilities:
        pytest.skip("the site makes no VM of an image")
    made = terraform.world.made("a", image=boots, disks=[{"size": "64 MiB"}])
    assert made.state["ready"] is False
    terraform.vms = {"a": {**OFF, "power": "on", "disks": [{"size": "64 MiB"}]}}
    assert "takes it over, finishes what an interrupted run began and changes power: off → on" in flat(
        terraform.run("plan"))


@pytest.mark.parametrize("known", [True, False])
def test_a_vm_that_is_not_taken_over_as_it_is(terraform: Terraform, known: bool) -> None:
    """It would have to be made anew: refused by the plan, as soon as that is known, in words of Terraform's."""
    terraform.world.made("a", power="off", firmware="bios")
    before = terraform.world.picture()
    wanted = {"firmware": "uefi" if known else "${terraform_data.firmware.output}"}
    terraform.more = {"resource": {"terraform_data": {"firmware": {"input": "uefi"}},
                                   "muster_vm": {"a": {"name": terraform.name("a"), **OFF, **wanted}}}}
    if not known:
        terraform.run("plan")
    said = terraform.refused() if known else flat(terraform.apply(code=1))
    assert "can be changed by making it anew only" in said
    assert f"terraform import ADDRESS {terraform.world.access.name}/{terraform.name('a')}" in said
    assert "allow_replace" not in said
    assert terraform.world.picture() == before


def test_a_power_cycle_of_a_vm_that_is_taken_over(terraform: Terraform, monkeypatch: pytest.MonkeyPatch) -> None:
    world = terraform.world
    world.obedient(monkeypatch)
    world.made("a", on=True)
    terraform.vms = {"a": {**OFF, "power": "on", "cpus": 2, "memory": "16 MiB"}}
    said = terraform.refused()
    assert "needs a power cycle, which this run does not allow" in said
    assert "allow_power_cycle in the provider's settings" in said
    terraform.vms["a"]["firmware"] = "uefi"
    said = terraform.refused()  # all that stands in the way, at once
    assert "needs a power cycle" in said
    assert "can be changed by making it anew only" in said
    del terraform.vms["a"]["firmware"]
    terraform.provider["allow_power_cycle"] = True
    said = flat(terraform.apply())
    assert "will be restarted" in said
    assert terraform.there()["a"]["cpus"] == 2
    assert terraform.plan() == {}


# What a failure leaves


@pytest.mark.parametrize("then", ["apply", "destroy"])
def test_a_vm_that_was_made_and_did_not_start(
    terraform: Terraform, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    """It is in no state, so the error says that it is there, how to go on and how to be rid of it."""
    def failing(self: Any, vm: Any, *_: Any, **__: Any) -> None:
        raise Failed("there is no room on the host", site=self.site, vm=vm.name, todo="Make some")

    terraform.vms = {"a": {**OFF, "power": "on"}}
    with monkeypatch.context() as planted:
        planted.setattr(type(terraform.world.driver), "power", failing)
        said = flat(terraform.apply(code=1))
    assert "there is no room on the host. Make some." in said
    assert "is there and in no state" in said
    uuid, name = terraform.there()["a"].uuid, f"{terraform.world.access.name}/{terraform.name('a')}"
    if then == "apply":
        terraform.apply()
        assert terraform.there()["a"].uuid == uuid
        assert terraform.plan() == {}
    else:
        assert f"'terraform import ADDRESS {name}'" in said
        terraform.run("import", "muster_vm.a", name)
        terraform.run("destroy", "-auto-approve")
        assert terraform.there() == {}


# An answer that proves nothing


@pytest.mark.parametrize("doing", [["plan"], ["apply", "-auto-approve"], ["destroy", "-auto-approve"]])
def test_no_vm_at_all_is_no_proof(terraform: Terraform, monkeypatch: pytest.MonkeyPatch, doing: list[str]) -> None:
    """Without a refresh before it too."""
    terraform.vms = {"a": OFF, "b": OFF}
    terraform.apply()
    state = terraform.state()
    terraform.vms["a"] = {**OFF, "cpus": 2}
    with monkeypatch.context() as planted:
        planted.setattr(type(terraform.world.driver), "list", lambda self: [])
        assert "answers with no VM at all" in flat(terraform.run(*doing, "-refresh=false", code=1))
    assert terraform.state() == state
    terraform.world.driver.delete(terraform.there()["b"])  # by somebody else: what is deleted here proves the rest
    terraform.run("destroy", "-auto-approve", "-refresh=false", "-parallelism=1")
    assert terraform.state() == {}
