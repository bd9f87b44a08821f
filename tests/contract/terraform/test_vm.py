"""`muster_vm` under Terraform: made, read, changed, replaced and deleted as the planner says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.drivers.driver import Denied, DriverError, Failed, NotFound, Unreachable
from muster.model.vm import Mark
from muster_provider.provider import MusterProvider
from sites import NETWORK
from tf_runs import OFF, Terraform, flat

pytestmark = pytest.mark.parametrize("world", ["test", "qemu", "pve", "vsphere"], indirect=True)


def test_from_nothing_to_nothing(terraform: Terraform) -> None:
    terraform.vms = {"a": OFF, "b": {**OFF, "tags": {"owner": "shop"}, "protection": {"rpo": "24h"}}}
    assert terraform.plan() == {"a": ["create"], "b": ["create"]}
    assert terraform.there() == {}
    terraform.apply()
    there = terraform.there()
    assert there.keys() == {"a", "b"}
    assert there["b"]["tags"] == {"owner": "shop"}
    assert {name: state["uuid"] for name, state in terraform.state().items()} == {
        name: vm.uuid for name, vm in there.items()}
    assert terraform.plan() == {}
    terraform.run("destroy", "-auto-approve")
    assert terraform.there() == {}


@pytest.mark.parametrize(("one", "other"), [
    ({"memory": "32 MiB"}, {"memory": "32768 KiB"}),
    ({"memory": "32 MiB"}, {"memory": 33554432}),
    ({"disks": [{"size": "1 MiB"}]}, {"disks": [{"size": "1024KiB", "name": "root", "iops_limit": 0}]}),
    ({"protection": {"rpo": "24h", "rto": "90m"}}, {"protection": {"rpo": "1d", "rto": "1h 30m"}}),
    ({"health": [{"http": {"port": 80}}]}, {"health": [{"http": {"path": "/", "status": 200}}]}),
])
def test_what_means_the_same_is_no_change(terraform: Terraform, one: dict[str, Any], other: dict[str, Any]) -> None:
    terraform.vms = {"a": {**OFF, **one}}
    terraform.apply()
    before = terraform.world.picture()
    terraform.vms["a"].update(other)
    said = terraform.apply()
    assert terraform.plan() == {}, said
    assert terraform.world.picture() == before


@pytest.mark.parametrize("change", [
    {"cpus": 2},
    {"memory": "64 MiB"},
    {"tags": {"owner": "shop", "note": "b"}},
    {"nics": [{"network": NETWORK, "connected": False}]},
    {"disks": [{"size": "1 MiB"}, {"size": "2 MiB"}]},
    {"protection": {"rto": "15m", "deletion": True}},
    {"schedule": {"start": "07:00", "stop": "19:00", "days": ["mon"]}},
])
def test_a_change(terraform: Terraform, change: dict[str, Any]) -> None:
    terraform.vms = {"a": {**OFF, "tags": {"owner": "shop"}, "nics": [{"network": NETWORK}]}}
    terraform.apply()
    uuid = terraform.there()["a"].uuid
    terraform.vms["a"].update(change)
    assert terraform.plan() == {"a": ["update"]}
    terraform.apply()
    assert terraform.there()["a"].uuid == uuid
    assert terraform.plan() == {}
    [left] = [terraform.world.changes(terraform.world.wanted("a", **terraform.vms["a"]))]
    assert left == []


def test_what_is_not_set_is_not_managed(terraform: Terraform) -> None:
    terraform.vms = {"a": {**OFF, "tags": {"owner": "shop"}}}
    terraform.apply()
    del terraform.vms["a"]["tags"]
    del terraform.vms["a"]["cpus"]
    assert terraform.plan() == {}
    assert terraform.there()["a"]["tags"] == {"owner": "shop"}


@pytest.mark.parametrize("change", [{"firmware": "uefi"}, {"name": "other"}])
def test_a_replacement(terraform: Terraform, change: dict[str, Any]) -> None:
    if terraform.world.real:
        pytest.skip("a firmware file for UEFI may be missing here")
    terraform.vms = {"a": {**OFF, "firmware": "bios"}}
    terraform.apply()
    change = {key: terraform.name(value) if key == "name" else value for key, value in change.items()}
    terraform.vms["a"].update(change)
    assert terraform.plan() == {"a": ["delete", "create"]}
    terraform.apply()
    [there] = terraform.there().values()
    assert there["firmware"] == terraform.vms["a"]["firmware"]
    assert terraform.plan() == {}


@pytest.mark.parametrize("doing", ["destroy", "remove the block", "replace", "rename"])
def test_protection_lives_on_the_vm(terraform: Terraform, doing: str) -> None:
    terraform.vms = {"a": {**OFF, "firmware": "bios", "protection": {"deletion": True}}, "b": OFF}
    terraform.apply()
    before, state = terraform.there()["a"].uuid, terraform.state()["a"]
    if doing == "destroy":
        del terraform.vms["a"]["protection"]
        said = flat(terraform.run("destroy", "-auto-approve", code=1))
    elif doing == "remove the block":
        del terraform.vms["a"]
        said = terraform.refused()
    else:
        terraform.vms["a"].update({"firmware": "uefi"} if doing == "replace" else {"name": terraform.name("c")})
        said = terraform.refused()
    assert "protected from deletion" in said
    assert terraform.there()["a"].uuid == before
    assert terraform.state()["a"] == state
    terraform.vms["a"] = {**OFF, "firmware": "bios", "protection": {"deletion": False}}
    terraform.apply()
    terraform.run("destroy", "-auto-approve")
    assert terraform.there() == {}


def test_a_tainted_vm_that_is_protected_stays(terraform: Terraform) -> None:
    terraform.vms = {"a": {**OFF, "protection": {"deletion": True}}}
    terraform.apply()
    uuid = terraform.there()["a"].uuid
    said = flat(terraform.apply("-replace=muster_vm.a", code=1))
    assert "protected from deletion" in said
    assert terraform.there()["a"].uuid == uuid
    assert terraform.plan() == {}


def test_create_before_destroy_deletes_nothing(terraform: Terraform) -> None:
    terraform.vms = {"a": {**OFF, "lifecycle": {"create_before_destroy": True}}}
    terraform.apply()
    uuid = terraform.there()["a"].uuid
    said = flat(terraform.apply("-replace=muster_vm.a", code=1))
    assert "remove create_before_destroy" in said
    assert terraform.there()["a"].uuid == uuid


@pytest.mark.parametrize("again", ["made", "imported"])
def test_a_resource_with_another_name_deletes_nothing(terraform: Terraform, again: str) -> None:
    """Terraform would delete the VM as the old resource, and believe that the new one is there."""
    terraform.vms = {"a": OFF}
    terraform.apply()
    before, uuid = terraform.world.picture(), terraform.there()["a"].uuid
    terraform.vms = {"b": {**OFF, "name": terraform.name("a")}}
    if again == "imported":
        site = terraform.world.access.name
        terraform.more = {"import": [{"to": "muster_vm.b", "id": f"{site}/{terraform.name('a')}"}]}
    assert "say so with a 'moved' block" in terraform.refused()
    assert terraform.world.picture() == before
    terraform.more = {"moved": [{"from": "muster_vm.a", "to": "muster_vm.b"}]}
    terraform.apply()
    assert terraform.plan() == {}
    assert terraform.there()["a"].uuid == uuid
    terraform.run("destroy", "-auto-approve")
    assert terraform.there() == {}


def test_a_lost_answer(terraform: Terraform) -> None:
    """What an earlier try made, or Ansible, bears the mark: it is taken into the state and not made twice."""
    made = terraform.world.made("a", power="off")
    terraform.vms = {"a": {**OFF, "cpus": 2}}
    terraform.apply()
    assert [vm.uuid for vm in terraform.there().values()] == [made.uuid]
    assert terraform.there()["a"]["cpus"] == 2
    assert terraform.plan() == {}


def test_a_stranger_of_the_name(terraform: Terraform) -> None:
    terraform.world.foreign("a")
    before = terraform.world.picture()
    terraform.vms = {"a": OFF}
    assert "a VM of that name is there already" in terraform.refused()
    assert terraform.world.picture() == before


def test_import(terraform: Terraform) -> None:
    world = terraform.world
    full: dict[str, Any] = {**OFF, "tags": {"owner": "shop"}, "protection": {"rpo": "24h", "keep": {"daily": 2}},
                            "nics": [{"network": NETWORK}], "disks": [{"size": "1 MiB"}, {"size": "2 MiB"}]}
    made = world.made("a", **full)
    world.made("b", power="off")
    terraform.vms = {"a": full, "b": OFF}
    terraform.write()
    terraform.run("import", "muster_vm.a", f"{world.access.name}/{terraform.name('a')}")
    terraform.run("import", "muster_vm.b", f"{world.access.name}/{world.driver.get(terraform.name('b')).uuid}")
    assert terraform.state()["a"]["uuid"] == made.uuid
    assert terraform.plan() == {}
    terraform.vms["a"]["cpus"] = 2
    assert terraform.plan() == {"a": ["update"]}
    stranger = world.foreign("x")
    terraform.vms["x"] = OFF
    for id_ in (str(stranger.uuid), terraform.name("x"), "nowhere/x"):
        said = flat(terraform.run("import", "muster_vm.x", id_, code=1))
        assert "Unable to import" in said


def test_one_listing_serves_a_refresh(terraform: Terraform, provider: MusterProvider) -> None:
    terraform.vms = {f"v{number}": OFF for number in range(6)}
    terraform.apply()
    terraform.plan()
    assert provider.sites is not None
    assert [site.listings for site in provider.sites] == [1]


# Drift

Hand = Callable[[Terraform], object]


def _virsh(*words: str) -> Hand:
    def change(terraform: Terraform) -> None:
        if not hasattr(terraform.world, "virsh") or not terraform.world.real:
            pytest.skip("virsh has a test driver of its own")
        world: Any = terraform.world
        world.virsh(*(word.replace("VM", str(terraform.there()["a"].uuid)) for word in words))

    return change


def _remark(**fields: Any) -> Hand:
    def change(terraform: Terraform) -> None:
        there, driver = terraform.there()["a"], terraform.world.driver
        desired = terraform.world.wanted("a", **{**OFF, **fields})
        driver.apply(desired, there, terraform.world.changes(desired))

    return change


@pytest.mark.parametrize(("hand", "says"), [
    (_virsh("setmem", "VM", "16384", "--config"), 'memory = "16 MiB" -> "32 MiB"'),
    (_remark(cpus=2), "cpus = 2 -> 1"),
    (_remark(tags={"owner": "thief"}), '"thief" -> "shop"'),
    (_remark(nics=[{"network": NETWORK}, {"network": NETWORK}]), "nics = ["),
])
def test_drift(terraform: Terraform, hand: Hand, says: str) -> None:
    terraform.vms = {"a": {**OFF, "tags": {"owner": "shop"}, "nics": [{"network": NETWORK}]}}
    terraform.apply()
    before = terraform.there()["a"]
    hand(terraform)
    assert says in flat(terraform.run("plan"))
    terraform.apply()
    now = terraform.there()["a"]
    assert (now.uuid, now["cpus"], now["tags"], len(now["nics"])) == (before.uuid, 1, {"owner": "shop"}, 1)
    assert terraform.plan() == {}


def test_switched_off_by_hand(terraform: Terraform) -> None:
    terraform.vms = {"a": {**OFF, "power": "on"}}
    terraform.apply()
    terraform.world.driver.power(terraform.there()["a"], "off", force=True)
    assert 'power = "off" -> "on"' in flat(terraform.run("plan"))
    terraform.apply()
    assert terraform.there()["a"].power == "on"
    assert terraform.plan() == {}


def test_an_extra_disk_is_nobodys_to_take(terraform: Terraform) -> None:
    terraform.vms = {"a": OFF}
    terraform.apply()
    _remark(disks=[{"size": "1 MiB"}, {"size": "2 MiB"}])(terraform)
    said = flat(terraform.run("plan"))
    assert "has disks.disk1, which is not in the fleet file; it is left as it is" in said
    assert terraform.plan() == {}


def test_a_renamed_vm_is_found(terraform: Terraform) -> None:
    if not terraform.world.real:
        pytest.skip("libvirt's test driver renames nothing")
    terraform.vms = {"a": OFF}
    terraform.apply()
    uuid = terraform.there()["a"].uuid
    _virsh("domrename", terraform.name("a"), terraform.name("b"))(terraform)
    assert f"is called '{terraform.name('b')}' at the site" in flat(terraform.run("plan"))
    terraform.vms["a"] = {**OFF, "cpus": 2}
    terraform.apply()
    assert {name: (vm.uuid, vm["cpus"]) for name, vm in terraform.there().items()} == {"b": (uuid, 2)}
    terraform.run("destroy", "-auto-approve")
    assert terraform.there() == {}


# Failures

def test_a_vm_that_is_gone_leaves_the_state(terraform: Terraform) -> None:
    terraform.vms = {"a": OFF, "b": OFF}
    terraform.apply()
    terraform.world.driver.delete(terraform.there()["a"])
    assert terraform.plan() == {"a": ["create"]}
    terraform.apply()
    assert terraform.there().keys() == {"a", "b"}


@pytest.mark.parametrize("error", [Unreachable, Denied, Failed, NotFound, None])
def test_what_is_not_a_proof_keeps_the_state(
    terraform: Terraform, monkeypatch: pytest.MonkeyPatch, error: type[DriverError] | None
) -> None:
    terraform.vms = {"a": OFF}
    terraform.apply()
    state = terraform.state()
    kind = type(terraform.world.driver)

    def failing(self: Any) -> list[Any]:
        if error is None:
            return []
        raise error("the answer was an HTML page", site=self.site)

    with monkeypatch.context() as planted:
        planted.setattr(kind, "list", failing)
        said = terraform.refused()
        assert ("Unable to read VM" in said) or ("Unable to plan VM" in said)
        assert ("the answer was an HTML page" in said) == (error is not None)
        terraform.run("apply", "-auto-approve", "-refresh-only", code=1)
        terraform.run("destroy", "-auto-approve", code=1)
    assert terraform.state() == state
    assert terraform.plan() == {}


@pytest.mark.parametrize("call", ["create", "apply", "delete"])
def test_a_write_that_fails(terraform: Terraform, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    kind = type(terraform.world.driver)

    def failing(self: Any, *_: Any, **__: Any) -> None:
        raise Failed("the storage is full", site=self.site, vm="a", todo="Free some")

    terraform.vms = {"a": OFF}
    if call != "create":
        terraform.apply()
    before, state = terraform.world.picture(), terraform.state()
    terraform.vms = {"a": {**OFF, "cpus": 2}} if call != "delete" else {}
    with monkeypatch.context() as planted:
        planted.setattr(kind, call, failing)
        assert "the storage is full. Free some." in flat(terraform.apply(code=1))
    assert (terraform.world.picture(), terraform.state()) == (before, state)
    terraform.apply()
    assert terraform.there().keys() == ({"a"} if call != "delete" else set())
    assert terraform.plan() == {}


def test_a_defect_of_ours_keeps_the_state(terraform: Terraform, monkeypatch: pytest.MonkeyPatch) -> None:
    terraform.vms = {"a": OFF}
    terraform.apply()
    state = terraform.state()
    with monkeypatch.context() as planted:
        planted.setattr(type(terraform.world.driver), "list", lambda self: 1 / 0)
        said = terraform.refused()
    assert "ZeroDivisionError" in said
    assert terraform.state() == state


def test_a_mark_that_is_gone(terraform: Terraform, monkeypatch: pytest.MonkeyPatch) -> None:
    terraform.vms = {"a": OFF}
    terraform.apply()
    uuid = terraform.there()["a"].uuid
    from muster.drivers.libvirt import build
    from muster.drivers.ownership import Written

    driver: Any = terraform.world.driver
    if not hasattr(driver, "domain"):
        pytest.skip("how somebody takes a mark away is the platform's own")
    build.write_mark(driver.domain(terraform.there()["a"]), Written(Mark("others", "a")))
    assert "does not bear this fleet's ownership mark" in terraform.refused()
    assert "does not bear this fleet's ownership mark" in flat(terraform.run("destroy", "-auto-approve", code=1))
    assert terraform.there()["a"].uuid == uuid
    assert terraform.state()["a"]["uuid"] == uuid
