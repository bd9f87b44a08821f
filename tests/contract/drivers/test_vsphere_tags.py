"""vSphere: tags and custom attributes of VMs that others made; what cannot be told is unknown, and never empty."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
from muster.drivers.vsphere import tags as service
from muster.model.vm import VM, Mark
from pyVmomi import vim
from vsphere_simulator import ACCOUNT
from vsphere_site import VsphereWorld, on_vsphere

pytestmark = on_vsphere


class Tagging:
    """vCenter's own service, past Muster. `asked` are the questions that Muster asks it."""

    def __init__(self, world: VsphereWorld) -> None:
        unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
        self.connection = http.client.HTTPSConnection(world.simulator.address, context=unverified)
        self.headers = {"Authorization": "Basic " + base64.b64encode(":".join(ACCOUNT).encode()).decode()}
        self.headers = {"vmware-api-session-id": str(self.call("POST", "session"))}
        self.categories: dict[str, str] = {}
        self.category("any")  # so that this vCenter has one from the beginning

    def call(self, method: str, path: str, body: Any = None) -> Any:
        self.connection.request(method, f"/rest/com/vmware/cis/{path}", json.dumps(body), self.headers)
        answer = self.connection.getresponse()
        content = answer.read()
        assert answer.status == 200, (path, answer.status, content)
        return json.loads(content).get("value") if content else None

    def category(self, name: str) -> str:
        if name not in self.categories:
            spec = {"create_spec": {"name": name, "cardinality": "MULTIPLE", "associable_types": [], "description": ""}}
            self.categories[name] = str(self.call("POST", "tagging/category", spec))
        return self.categories[name]

    def attach(self, category: str, name: str, *vms: VM) -> None:
        spec = {"create_spec": {"name": name, "category_id": self.category(category), "description": ""}}
        tag = self.call("POST", "tagging/tag", spec)
        for vm in vms:
            object_id = {"type": "VirtualMachine", "id": vm.state["moid"]}
            self.call("POST", f"tagging/tag-association/id:{tag}?~action=attach", {"object_id": object_id})


@pytest.fixture
def tagging(world: VsphereWorld) -> Iterator[Tagging]:
    found = Tagging(world)
    yield found
    found.connection.close()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The questions to the service, in their order."""
    found: list[str] = []
    ask = service._Service._ask

    def heard(self: Any, method: str, path: str, *words: Any, **more: Any) -> Any:
        found.append(f"{method} {path}")
        return ask(self, method, path, *words, **more)

    monkeypatch.setattr(service._Service, "_ask", heard)
    return found


def attribute(world: VsphereWorld, name: str, **values: str) -> None:
    """A custom attribute, and what it says of VMs (by the end of their names)."""
    manager = world.content.customFieldsManager
    field = manager.AddFieldDefinition(name, vim.VirtualMachine, None, None)
    for vm, value in values.items():
        obj = next(one for one in world.inventory if one.name.endswith(f"-{vm}"))
        manager.SetField(obj, field.key, value)


def test_categories_and_attributes_are_keys(world: VsphereWorld, tagging: Tagging) -> None:
    a, b, c = (world.foreign(name) for name in ("a", "b", "c"))
    tagging.attach("Owner", "shop", a, b)
    tagging.attach("Cost Center", "4711", a)
    tagging.attach("backup", "daily", a)
    tagging.attach("backup", "weekly", a)
    attribute(world, "environment", a="production")
    attribute(world, "owner", a="nobody", b="nobody", c="lab")
    attribute(world, "note", c="")
    wanted = {
        a.name: {"owner": "shop", "cost_center": "4711", "backup": "daily, weekly", "environment": "production"},
        b.name: {"owner": "shop"},
        c.name: {"owner": "lab"},
    }
    assert {vm.name: vm["tags"] for vm in world.driver.list()} == wanted
    for vm in world.driver.list():
        assert world.driver.get(str(vm.uuid)) == vm
        assert "unknown" not in vm.state


def test_questions_do_not_grow_with_the_vms(
    world: VsphereWorld, tagging: Tagging, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    vms = [world.foreign(f"v{number}") for number in range(6)]
    tagging.attach("owner", "shop", *vms)
    tagging.attach("owner", "lab", vms[0])
    asked.clear()
    world.driver.list()
    few = [one.partition(":")[0].partition("?")[0] for one in asked]
    assert few == ["POST session", "GET tagging/category", "POST tagging/tag-association", *["GET tagging/tag/id"] * 2,
                   "GET tagging/category/id", "DELETE session"]  # fmt: skip
    monkeypatch.setattr(service, "_PAGE", 4)
    asked.clear()
    assert [vm["tags"]["owner"] for vm in world.driver.list()] == ["lab, shop", *["shop"] * 5]
    assert len(asked) == len(few) + 1


def test_no_session_of_the_service_is_left_and_vms_of_a_fleet_need_none(
    world: VsphereWorld, tagging: Tagging, asked: list[str]
) -> None:
    vm = world.made(tags={"owner": "shop"})
    tagging.attach("owner", "else", vm)
    assert [one["tags"] for one in world.driver.list()] == [{"owner": "shop"}]
    assert asked == []


def test_a_vcenter_in_which_no_category_is_seen(world: VsphereWorld, asked: list[str]) -> None:
    """There is none, or this account may read none: nobody can say which."""
    vm = world.foreign()
    asked.clear()
    world.driver.session.memory.clear()  # type: ignore[attr-defined]
    attribute(world, "owner", foreign="shop")
    (seen,) = world.driver.list()
    assert (seen["tags"], seen.state["unknown"]) == (None, ["tags"])
    assert asked == ["POST session", "GET tagging/category", "DELETE session"]
    world.driver.get(vm.name)
    assert len(asked) == 3, "it is asked once in a session"


LOST = [http.client.HTTPException("403 Forbidden"), ConnectionRefusedError("refused"), TimeoutError("silence"),
        RecursionError("levels")]  # fmt: skip
NONSENSE = [{"no": "list"}, [{"object_id": {}}], [{"object_id": {"id": "x"}, "tag_ids": [7]}],
            [{"object_id": {"id": "x"}, "tag_ids": ["../../session"]}], "<html>", 7]  # fmt: skip


@pytest.mark.parametrize(("at", "what"), [
    *(("session", what) for what in (*LOST, None, "", {})),
    *(("tagging/category", what) for what in (*LOST, None, [])),
    *(("tagging/tag-association", what) for what in (*LOST, *NONSENSE)),
    *(("tagging/tag/", what) for what in (*LOST, None, {}, {"name": "shop"}, {"name": 7, "category_id": "x"})),
])
def test_a_service_that_does_not_answer_leaves_them_unknown(
    world: VsphereWorld, tagging: Tagging, monkeypatch: pytest.MonkeyPatch, what: Any, at: str
) -> None:
    vm = world.foreign()
    tagging.attach("owner", "shop", vm)
    ask = service._Service._ask

    def broken(self: Any, method: str, path: str, *words: Any, **more: Any) -> Any:
        if not path.startswith(at) or path.startswith("tagging/category/id"):
            return ask(self, method, path, *words, **more)
        if isinstance(what, Exception):
            raise what
        return what

    monkeypatch.setattr(service._Service, "_ask", broken)
    (seen,) = world.driver.list()
    assert (seen["tags"], seen.state["unknown"]) == (None, ["tags"])


def test_a_service_that_takes_too_long_leaves_them_unknown(
    world: VsphereWorld, tagging: Tagging, monkeypatch: pytest.MonkeyPatch
) -> None:
    tagging.attach("owner", "shop", world.foreign())
    monkeypatch.setattr(service, "_WHOLE", 0.0)
    (seen,) = world.driver.list()
    assert (seen["tags"], seen.state["unknown"]) == (None, ["tags"])


@pytest.mark.parametrize("told", [{"owner": "shop"}, {"owner": "s" * 300}])
def test_an_adopted_vm_keeps_the_tags_that_a_file_can_say(
    world: VsphereWorld, tagging: Tagging, told: dict[str, str]
) -> None:
    vm = world.foreign()
    for category, name in told.items():
        tagging.attach(category, name, vm)
    vm = world.driver.get(vm.name)
    assert vm["tags"] == told
    now = world.driver.adopt(vm, Mark(world.fleet, "web", "op"))
    assert now.mark == Mark(world.fleet, "web", "op")
    assert now["tags"] == (told if len(told["owner"]) < 256 else None)
