"""Proxmox under fire: locks, tasks that fail, nodes that are gone. An error is clear, nothing is lost, a retry finishes
the job, and there is never a second VM."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from muster.drivers import waiting
from muster.drivers.driver import (
    Conflict,
    Denied,
    DriverError,
    Failed,
    Image,
    Locked,
    NotFound,
    Progress,
    Snapshot,
    Unknown,
    Unreachable,
    silent,
)
from muster.drivers.proxmox import connection
from muster.drivers.proxmox import tasks as task_room
from muster.model.planner import Change
from muster.model.vm import VM
from proxmox_site import ProxmoxWorld, on_proxmox

pytestmark = on_proxmox
SNAPSHOT = Snapshot("muster-op", 1, "op")
LOCKS = ("backup", "migrate", "clone", "rollback", "snapshot", "snapshot-delete", "suspending")


def patient(world: ProxmoxWorld, seconds: float) -> None:
    driver: Any = world.driver
    driver.tasks.lock_wait = seconds


def cpus(world: ProxmoxWorld, vm: VM, say: Progress = silent) -> VM:
    return world.driver.apply(world.wanted(cpus=2), vm, [Change(("cpus",), 1, 2, "live")], say)


def size(world: ProxmoxWorld, vm: VM, say: Progress = silent) -> VM:
    desired = world.wanted(disks=[{"size": "2 MiB"}])
    return world.driver.apply(desired, vm, world.changes(desired), say)


WRITES: dict[str, Callable[..., object]] = {
    "power on": lambda world, vm, say=silent: world.driver.power(vm, "on", say),
    "change": cpus,
    "snapshot": lambda world, vm, say=silent: world.driver.take_snapshot(vm, "other", progress=say),
    "revert": lambda world, vm, say=silent: world.driver.revert_snapshot(vm, SNAPSHOT, say),
    "delete snapshot": lambda world, vm, say=silent: world.driver.delete_snapshot(vm, SNAPSHOT, say),
    "archive": lambda world, vm, say=silent: world.driver.archive(vm, "point", say),
    "delete": lambda world, vm, say=silent: world.driver.delete(vm, say),
}
WAITING = {**WRITES, "grow": size}


def test_a_task_is_followed_through_a_silence(world: ProxmoxWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_AGAIN", 0.01)
    monkeypatch.setattr(connection, "_PAUSE", 0.0)
    world.fake.trouble.silences = ("/tasks/", 9)
    vm = world.made(ha_priority="medium")
    assert vm.state["built"]
    world.fake.time_scale = 0.01
    world.fake.trouble.before = {len(world.fake.trouble.calls) + 6: lambda: silent_for(world, 9)}
    assert world.driver.power(vm, "on").power == "on"
    assert world.fake.trouble.silences[1] == 0


def silent_for(world: ProxmoxWorld, requests: int) -> None:
    world.fake.trouble.silences = ("/status/current", requests)


@pytest.mark.parametrize("silent", ["/tasks/", "/qemu"], ids=["a task", "the request that begins it"])
def test_what_may_still_be_made_is_left_alone(
    world: ProxmoxWorld, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver: Any = world.driver
    driver.tasks.silence, trouble = 0.2, world.fake.trouble
    monkeypatch.setattr(waiting, "_AGAIN", 0.01)
    if silent == "/tasks/":
        trouble.silences = (silent, 1 << 30)
    else:
        world.made()
        world.driver.delete(world.driver.list()[0])
        trouble.arm()
        made = world.made()
        at = next(n for n, call in enumerate(trouble.calls, 1) if call.startswith("POST"))
        world.driver.delete(made)
        trouble.arm("answer dropped", at)
    with pytest.raises(Unknown, match=r"is not known.*[Rr]un again|run looks at what is there") as caught:
        world.made()
    assert "was followed, so its outcome is not known" in str(caught.value) or silent != "/tasks/"
    assert not [call for call in trouble.calls if call.startswith("DELETE")]
    trouble.arm()
    trouble.silences = ("", 0)
    assert len(world.fake.vms) == 1
    assert world.made().state["built"]
    assert len(world.fake.vms) == 1


@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_lock_is_waited_for_named_and_never_broken(world: ProxmoxWorld, write: Any, lock: str) -> None:
    vm = world.made()
    world.driver.take_snapshot(vm, "op")
    world.fake.snapshot_lock(vm.state["vmid"], lock)
    before = world.picture()
    patient(world, 0.2)
    with pytest.raises(Locked, match=rf"VM is locked \({lock}\).*it was waited for 0 s and left as it is") as caught:
        write(world, vm)
    assert "never unlocks" in caught.value.todo
    after = world.picture()
    if write is WRITES["delete"]:  # marked as not built any more: nobody starts it, and the next run deletes it
        after[str(vm.state["vmid"])] = before[str(vm.state["vmid"])]
    assert after == before
    world.fake.unlock(vm.state["vmid"])
    write(world, vm)


@pytest.mark.parametrize("write", WAITING.values(), ids=WAITING)
def test_who_waits_for_a_lock_says_so_and_can_be_interrupted(world: ProxmoxWorld, write: Any) -> None:
    vm = world.made()
    world.driver.take_snapshot(vm, "op")
    world.fake.snapshot_lock(vm.state["vmid"], "backup")

    def interrupted(text: str) -> None:
        if "waiting, unable to" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(world, vm, interrupted)


def test_a_lock_that_goes_in_time(world: ProxmoxWorld) -> None:
    vm = world.made()
    world.fake.snapshot_lock(vm.state["vmid"], "backup")
    said: list[str] = []

    def heard(text: str) -> None:
        said.append(text)
        world.fake.unlock(vm.state["vmid"])

    assert world.driver.power(vm, "on", heard).power == "on"
    assert said == [f"{vm.name}: waiting, unable to start the VM: VM is locked (backup)"]


@pytest.mark.parametrize("write", WAITING.values(), ids=WAITING)
def test_the_task_that_holds_a_vm_is_named(world: ProxmoxWorld, write: Any) -> None:
    vm = world.made()
    world.driver.take_snapshot(vm, "op")
    world.fake.time_scale = 0.01
    world.serving.call(world.fake.backup(vm.state["vmid"], secs=3000))
    patient(world, 0.2)
    with pytest.raises(Locked, match=r"VM is locked \(backup\), held by vzdump of root@pam \(UPID:pve1:"):
        write(world, vm)


def test_the_lock_of_the_configuration(world: ProxmoxWorld) -> None:
    vm = world.made()
    world.serving.call(world.fake.hold_config_lock(vm.state["vmid"], None))
    before = world.picture()
    patient(world, 0.1)
    with pytest.raises(Locked, match=r"can't lock file .*lock-100\.conf' - got timeout"):
        cpus(world, vm)
    assert world.picture() == before


def test_a_change_of_somebody_else_in_between(world: ProxmoxWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest of the configuration that a change was made from must still be its own."""
    vm = world.made()
    driver: Any = world.driver
    post = driver.api.post

    def raced(path: str, doing: str, *more: Any, **values: Any) -> Any:
        if "digest" in values:
            world.inside(vm).config["cores"] = 7
        return post(path, doing, *more, **values)

    monkeypatch.setattr(driver.api, "post", raced)
    with pytest.raises(Conflict, match="unable to change cpus: checksum mismatch"):
        cpus(world, vm)
    assert world.inside(vm).config["cores"] == 7


# Each request that changes the world, and an error of Proxmox for it.
FAULTS: dict[str, tuple[str, str, type[DriverError]]] = {
    "no quorum": ("cluster not ready - no quorum?", "no quorum", Conflict),
    "space": ("unable to write: No space left on device", "Free space on that storage", Failed),
    "right": ("Permission check failed (/vms/100, VM.Config.Disk)", "VM.Config.Disk", Denied),
    "other": ("got unexpected control message", "got unexpected control message", Failed),
}


def making(world: ProxmoxWorld, boots: Image) -> VM:
    spec: dict[str, Any] = {"disks": [{"size": "2 MiB"}, {"size": "1 MiB"}]}
    return world.made(image=boots, **spec)


REQUESTS = {
    "upload": ("POST", "/upload"),
    "create": ("POST", "/nodes/pve1/qemu"),
    "configure": ("POST", "/qemu/100/config"),
    "grow": ("PUT", "/qemu/100/resize"),
    "mark": ("PUT", "/qemu/100/config"),
}


@pytest.mark.parametrize(("message", "words", "kind"), FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_a_making_that_fails_leaves_nothing_and_the_next_one_succeeds(
    world: ProxmoxWorld, boots: Image, request_: Any, message: str, words: str, kind: Any
) -> None:
    world.fake.fail(*request_, 500, message)
    if request_ != REQUESTS["configure"]:  # of an image nothing has to be configured that was not said at once
        with pytest.raises(kind, match=words):
            making(world, boots)
        assert world.driver.list() == []
        assert world.volumes() == []
    world.fake.failures.clear()
    vm = making(world, boots)
    assert world.driver.list() == [vm]
    assert len(world.volumes()) == 3


def test_a_task_that_fails_is_an_error_with_its_words(world: ProxmoxWorld) -> None:
    vm = world.made()
    world.inside(vm).start_error = "start failed: QEMU exited with code 1"
    with pytest.raises(Failed, match="unable to start the VM: start failed: QEMU exited with code 1"):
        world.driver.power(vm, "on")
    assert world.driver.get(vm.name).power == "off"


def test_success_that_is_none(world: ProxmoxWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxmox says OK, and the snapshot is not there."""
    vm, driver = world.made(), world.driver
    finish = driver.tasks.finish  # type: ignore[attr-defined]

    def lying(*arguments: Any, **options: Any) -> None:
        finish(*arguments, **options)
        world.inside(vm).snapshots.clear()

    monkeypatch.setattr(driver.tasks, "finish", lying)  # type: ignore[attr-defined]
    with pytest.raises(Failed, match="reported the snapshot as taken, yet does not list it"):
        driver.take_snapshot(vm, "op")


def test_a_task_that_does_not_end_is_unknown(world: ProxmoxWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    vm = world.made()
    world.fake.time_scale = 1.0
    world.inside(vm).start_secs = 3000
    monkeypatch.setattr(task_room.Tasks.finish, "__defaults__", (*task_room.Tasks.finish.__defaults__[:1], 0.2))
    with pytest.raises(Unreachable, match="the task qmstart on node 'pve1' still runs after 0 s, so its outcome"):
        world.driver.power(vm, "on")


def test_a_guest_that_does_not_shut_down_is_left_running(world: ProxmoxWorld) -> None:
    vm = world.made(on=True)
    world.inside(vm).acpi = False
    with pytest.raises(Failed, match="the guest did not shut down within 1 s; it was left running"):
        world.driver.power(vm, "off", timeout=1)
    assert world.driver.get(vm.name).power == "on"
    assert world.driver.power(vm, "off", force=True).power == "off"


def test_a_paused_vm_goes_on(world: ProxmoxWorld) -> None:
    vm = world.made(on=True)
    world.inside(vm).qmpstatus = "paused"
    assert world.driver.power(vm, "on").power == "on"
    assert world.inside(vm).qmpstatus == "running"


def test_requests_that_are_dropped(world: ProxmoxWorld) -> None:
    """A third of all requests break: each call is done or an error that says so, and the VM is one."""
    world.fake.flaky_network(drop_rate=0.3)
    attempts = 0
    while attempts < 200:
        attempts += 1
        with contextlib.suppress(Unreachable):
            world.made()
            break
    world.fake.flaky_network()
    again = world.made()
    assert [vm.uuid for vm in world.driver.list()] == [again.uuid]
    assert len(world.volumes()) == 1


def test_a_vm_on_a_node_that_is_offline_is_not_absent(world: ProxmoxWorld) -> None:
    vm = world.made()
    world.fake.add_node("pve2")
    world.inside(vm).node = "pve2"
    world.fake.set_node_offline("pve2")
    with pytest.raises(Unreachable, match="it is on node 'pve2', which does not answer, so nothing is known of it"):
        world.driver.list()
    with pytest.raises(Unreachable):
        world.made()
    assert len(world.fake.vms) == 1
    with pytest.raises(Unreachable):
        world.driver.power(vm, "on")


def test_a_foreign_vm_on_a_node_that_is_offline_does_not_hide_the_site(world: ProxmoxWorld) -> None:
    vm, foreign = world.made(), world.foreign()
    world.fake.add_node("pve2")
    world.inside(foreign).node = "pve2"
    world.fake.set_node_offline("pve2")
    found = {one.name: one for one in world.driver.list()}
    assert found[vm.name] == vm
    assert found[foreign.name].power == "unknown"


def test_a_vm_that_goes_while_it_is_listed_is_left_out(world: ProxmoxWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, gone = world.made("a"), world.made("b")
    inside = world.inside(gone)
    get = world.driver.api.get  # type: ignore[attr-defined]

    def racing(path: str, *more: Any, **values: Any) -> Any:
        if path.endswith(f"/{inside.vmid}/config") and inside in world.fake.vms:
            world.fake.vms.remove(inside)
        return get(path, *more, **values)

    monkeypatch.setattr(world.driver.api, "get", racing)  # type: ignore[attr-defined]
    assert [vm.uuid for vm in world.driver.list()] == [kept.uuid]


def test_a_vm_that_moves_while_it_is_listed_is_found(world: ProxmoxWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    vm = world.made()
    world.fake.add_node("pve2")
    get = world.driver.api.get  # type: ignore[attr-defined]

    def racing(path: str, *more: Any, **values: Any) -> Any:
        if path.endswith("/config"):
            world.inside(vm).node = "pve2"
        return get(path, *more, **values)

    monkeypatch.setattr(world.driver.api, "get", racing)  # type: ignore[attr-defined]
    assert [(one.uuid, one["host"]) for one in world.driver.list()] == [(vm.uuid, "pve2")]


@pytest.mark.parametrize("config", [
    {"memory": "lots"}, {"cores": "x"}, {"balloon": [1]}, {"sockets": {}},
])
def test_what_cannot_be_read_is_an_error_and_never_one_vm_less(world: ProxmoxWorld, config: dict[str, Any]) -> None:
    vm = world.made()
    world.inside(vm).config.update(config)
    with pytest.raises((Failed, Unreachable), match=r"cannot be read|internal error"):  # of fakepve
        world.driver.list()


def test_a_listing_costs_one_request_and_one_for_each_vm(world: ProxmoxWorld) -> None:
    for name in "abc":
        world.made(name)
    world.fake.requests.clear()
    world.driver.list()
    paths = sorted(path.removeprefix("/api2/json/") for _method, path, _body in world.fake.requests)
    assert paths == ["cluster/resources", *(f"nodes/pve1/qemu/{vmid}/config" for vmid in (100, 101, 102))]


def test_reading_changes_nothing(world: ProxmoxWorld) -> None:
    vm = world.made(on=True)
    world.driver.take_snapshot(vm, "op")
    world.fake.requests.clear()
    world.driver.list()
    world.driver.get(vm.name)
    world.driver.snapshots(vm)
    world.driver.archives(vm)
    world.driver.survey(world.driver.list())
    world.driver.check(world.wanted(cpus=9, host="pve1"))
    assert {method for method, _path, _body in world.fake.requests} == {"GET"}


def test_gone_is_not_found(world: ProxmoxWorld) -> None:
    vm = world.made()
    world.remove(vm)
    with pytest.raises(NotFound, match=f"no VM of the cluster has the UUID {vm.uuid}"):
        world.driver.power(vm, "on")
