"""What a cluster answers when it cannot say which VMs there are: over the network, as it comes. The state stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from proxmox_fake import TOKEN
from tf_runs import OFF, Terraform, flat

pytestmark = pytest.mark.parametrize("world", ["pve"], indirect=True)
Fault = Callable[[Any, pytest.MonkeyPatch], object]


def answer(status: int, message: str = "", path: str = "/cluster/resources", **more: Any) -> Fault:
    return lambda world, _planted: world.fake.fail("GET", path, status, message or "trouble", **more)


def of_one(status: int) -> Fault:
    """Of the configuration of one VM alone."""
    return lambda world, planted: answer(status, path=f"/qemu/{world.driver.list()[0].state['vmid']}/config")(
        world, planted)


def rights_are_gone(world: Any, _planted: pytest.MonkeyPatch) -> None:
    """Proxmox shows a token without rights an empty cluster."""
    world.fake.grant("others@pve", "/", "VM.Audit")


def rights_on_one_vm(world: Any, _planted: pytest.MonkeyPatch) -> None:
    """Proxmox leaves the other one out of the list."""
    world.fake.grant(TOKEN[0], f"/vms/{world.driver.list()[0].state['vmid']}", "VM.Audit")


def a_node_is_down(world: Any, _planted: pytest.MonkeyPatch) -> None:
    world.fake.set_node_offline("pve1")


FAULTS: dict[str, Fault] = {
    "401": answer(401), "403": answer(403), "500": answer(500), "503": answer(503), "595": answer(595),
    "an HTML page": answer(502, html=True), "an HTML page that is fine": answer(200, html=True),
    "401 of one VM": of_one(401), "403 of one VM": of_one(403), "500 of one VM": of_one(500),
    "no rights": rights_are_gone, "rights on one VM": rights_on_one_vm, "a node that is down": a_node_is_down,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_site_that_cannot_say(terraform: Terraform, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """Plan, refresh and destroy are refused; the state is as it was, and so is the site."""
    world: Any = terraform.world
    terraform.vms = {"a": OFF, "b": OFF}
    terraform.apply()
    state, picture = terraform.state(), world.picture()
    with monkeypatch.context() as planted:
        FAULTS[fault](world, planted)
        for words in (["plan"], ["apply", "-auto-approve", "-refresh-only"], ["destroy", "-auto-approve"]):
            said = flat(terraform.run(*words, code=1))
            assert "Error: Unable to" in said
            assert "Traceback" not in said
    assert terraform.state() == state
    assert world.picture() == picture


def test_a_vm_that_moved_is_found(terraform: Terraform) -> None:
    """Another node is no other VM: no change, and what is changed then is changed there."""
    world: Any = terraform.world
    world.fake.add_node("pve2")
    terraform.vms = {"a": OFF}
    terraform.apply()
    uuid = terraform.there()["a"].uuid
    world.inside(terraform.there()["a"]).node = "pve2"
    assert terraform.plan() == {}
    terraform.vms["a"] = {**OFF, "cpus": 2}
    terraform.apply()
    assert [(vm.uuid, vm["cpus"]) for vm in terraform.there().values()] == [(uuid, 2)]
    terraform.run("destroy", "-auto-approve")
    assert terraform.there() == {}
