"""vSphere: VMs in their life: snapshots, hot add, hosts, other tasks, readiness; and how a site is listed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from muster.drivers.driver import DriverError, Failed, Locked, NotFound, Snapshot
from muster.drivers.vsphere import reading, tasks
from muster.model.fleet import Fleet, Site
from muster.model.fleet_planner import plan_fleet
from pyVmomi import vim
from test_vsphere_making import SPEC, copied, extra
from vsphere_site import VsphereWorld, done, on_vsphere


@on_vsphere
@pytest.mark.parametrize("on", [False, True])
def test_the_way_back(world: VsphereWorld, on: bool) -> None:
    """Hardware goes back; what the fleet says of its VM does not."""
    world.template()
    vm = copied(world, tags={"owner": "then"})
    if on:
        vm = world.driver.power(vm, "on")
    taken = world.driver.take_snapshot(vm, "op", hold=True)
    if on:
        vm = world.driver.power(vm, "off")
    desired = world.wanted(**{**SPEC, "cpus": 4}, tags={"owner": "now"})
    vm = world.driver.apply(desired, vm, world.changes(desired))
    assert (vm["cpus"], vm["tags"]) == (4, {"owner": "now"})
    now = world.driver.revert_snapshot(vm, taken)
    assert (now["cpus"], now["tags"], now.power) == (2, {"owner": "now"}, "on" if on else "off")
    assert now.mark == vm.mark


@on_vsphere
def test_snapshots_of_one_name_are_told_apart(world: VsphereWorld) -> None:
    vm = world.made(**SPEC)
    for _number in range(2):
        world.foreign_snapshot(vm, "before", "")
    first, second = world.driver.snapshots(vm)
    assert first.id != second.id
    assert second.parent == first.id
    with pytest.raises(NotFound, match="find the snapshot 'before'"):
        world.driver.revert_snapshot(vm, Snapshot("before", 1, ""))
    world.driver.delete_snapshot(vm, second)
    (left,) = world.driver.snapshots(vm)
    assert left.id == "before"
    world.driver.delete_snapshot(vm, first)  # by the id of when there were two
    assert world.driver.snapshots(vm) == []


@on_vsphere
def test_who_waits_for_another_task_to_take_a_snapshot_can_be_interrupted(
    world: VsphereWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    vm = world.made()
    taken = world.driver.take_snapshot(vm, "op")
    driver: Any = world.driver

    def held(doing: str, start: Any, vm: str, progress: Any = None) -> Any:
        progress(f"{vm}: {doing}")

    def interrupted(text: str) -> None:
        raise KeyboardInterrupt(text)

    monkeypatch.setattr(driver.tasks, "run", held)
    for act in (lambda: driver.take_snapshot(vm, "other", progress=interrupted),
                lambda: driver.delete_snapshot(vm, taken, interrupted)):  # fmt: skip
        with pytest.raises(KeyboardInterrupt, match="snapshot"):
            act()


@on_vsphere
def test_snapshots_of_a_whole_site_come_in_one_conversation(
    world: VsphereWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    vms = [world.made(name) for name in "abc"]
    for name in ("first", "second", "first"):
        world.foreign_snapshot(vms[0], name, "")
    world.driver.take_snapshot(vms[1], "op", hold=True)
    wanted = {str(vm.uuid): world.driver.snapshots(vm) for vm in vms}
    driver: Any = world.driver
    asked: list[str] = []
    invoke = driver.session._stub.InvokeMethod

    def counted(obj: Any, info: Any, *arguments: Any) -> Any:
        asked.append(info.wsdlName)
        return invoke(obj, info, *arguments)

    monkeypatch.setattr(driver.session._stub, "InvokeMethod", counted)
    assert driver.snapshots_of_all(vms) == wanted
    sizes = [[snapshot.size for snapshot in found] for found in wanted.values()]
    assert sizes == [[1 << 20, 2 << 20, 3 << 20], [1 << 20], []]
    # The files are asked for once, and of those alone that have a snapshot.
    assert asked == ["CreateContainerView", "RetrievePropertiesEx", "DestroyView", "RetrievePropertiesEx"]
    assert driver.snapshots_of_all(vms[:1]).keys() == {str(vms[0].uuid)}


@on_vsphere
def test_hot_add_where_the_vm_allows_it(world: VsphereWorld) -> None:
    vm = world.made(**SPEC)
    world.reconfigure(world.inside(vm), cpuHotAddEnabled=True, memoryHotAddEnabled=True)
    vm = world.driver.power(world.driver.get(vm.name), "on")
    more = world.wanted(**{**SPEC, "cpus": 4, "memory": "128 MiB"})
    assert [change.how for change in world.changes(more)] == ["live", "live"]
    assert world.driver.apply(more, vm, world.changes(more)).power == "on"
    less = world.wanted(**SPEC)
    assert [change.how for change in world.changes(less)] == ["power_cycle", "power_cycle"]


@on_vsphere
def test_another_host(world: VsphereWorld) -> None:
    vm = world.made(**SPEC, on=True)
    other = next(name for name in ("DC0_C0_H0", "DC0_C0_H1") if name != vm["host"])
    desired = world.wanted(**SPEC, host=other, zone="DC0_C0")
    world.driver.check(desired)
    assert [change.how for change in world.changes(desired)] == ["live"]
    now = world.driver.apply(desired, vm, world.changes(desired))
    assert (now["host"], now.power) == (other, "on")


@on_vsphere
def test_a_host_to_begin_with_and_a_tier(world: VsphereWorld) -> None:
    world.template()
    world.driver.access = Site("vc", "vsphere", {**world.access.options, "tiers": {"fast": "LocalDS_1"}})
    spec = {"host": "DC0_C0_H2", "disks": [{"size": "2 MiB", "tier": "fast"}]}
    for vm, its in ((copied(world, name="a", **spec), {**SPEC, **spec}), (world.made("b", **spec), spec)):
        assert (vm["host"], vm["disks"][0]["tier"], vm["disks"][0]["pool"]) == ("DC0_C0_H2", "fast", "LocalDS_1")
        assert world.changes(world.wanted(vm.name.rpartition("-")[2], **its)) == []


@on_vsphere
def test_what_somebody_else_wrote_meanwhile_is_not_overwritten(world: VsphereWorld) -> None:
    vm = world.made(**SPEC, tags={"a": "1"})
    desired = world.wanted(**SPEC, tags={"a": "2"})
    world.reconfigure(world.inside(vm), numCPUs=3, annotation="theirs",
                      extraConfig=[vim.option.OptionValue(key="their.key", value="1")])  # fmt: skip
    world.driver.apply(desired, vm, [change for change in world.changes(desired) if change.keys[0] == "tags"])
    assert world.inside(vm).config.annotation == "theirs"
    assert world.inside(vm).config.hardware.numCPU == 3
    assert extra(world, vm)["their.key"] == "1"


@on_vsphere
def test_a_vm_that_another_task_holds_is_waited_for_then_named(
    world: VsphereWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver: Any = world.driver
    vm = world.made(**SPEC)
    obj = world.inside(vm)
    tries: list[int] = []

    def busy(_state: Any = None) -> Any:
        tries.append(1)
        raise vim.fault.TaskInProgress(task=vim.Task("task-of-others"))

    monkeypatch.setattr(type(obj), "PowerOnVM_Task", busy)
    driver.tasks.lock_wait = 0.2
    with pytest.raises(Locked, match=r"TaskInProgress.*it was waited for 0 s and left as it is.*cancels no task"):
        driver.power(vm, "on")
    assert len(tries) > 1


@on_vsphere
def test_a_vm_that_waits_for_an_answer_is_told_at_once(world: VsphereWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """vCenter holds its task until somebody answers."""
    monkeypatch.setattr(tasks, "LOOK", 0.0)
    vm = world.made(**SPEC)
    obj = world.inside(vm)
    world.reconfigure(obj, extraConfig=[vim.option.OptionValue(key="vcsim.ask", value="Moved\nor copied?")])
    words = (r"unable to start the VM: it waits for an answer: 'Moved or copied\?' \(Cancel, I Moved It\); it was "
             r"left waiting\. Answer it in vCenter")  # fmt: skip
    for _try in range(2):  # while the task waits, and by the run after it, which begins no other
        with pytest.raises(Failed, match=words):
            world.driver.power(vm, "on")
        assert obj.runtime.question is not None
    obj.AnswerVM("1", "1")
    assert world.driver.power(vm, "on").power == "on"


@on_vsphere
def test_readiness_and_the_way_to_a_guest(world: VsphereWorld) -> None:
    world.template()
    vm = world.driver.power(copied(world), "on")
    with pytest.raises(NotFound, match="its VMware Tools tell no address"):
        world.driver.endpoint(vm, 22)
    with pytest.raises(Failed, match="its VMware Tools told no address, and it made no progress for 0 s"):
        world.driver.wait_ready(vm, stall=0.1)
    told = {"SET.guest.ipAddress": "10.0.0.7", "SET.guest.toolsRunningStatus": "guestToolsRunning"}
    world.reconfigure(
        world.inside(vm), extraConfig=[vim.option.OptionValue(key=key, value=value) for key, value in told.items()]
    )
    ready = world.driver.wait_ready(vm)
    assert (ready.state["ready"], ready.state["address"]) == (True, "10.0.0.7")
    assert world.driver.endpoint(ready, 22) == ("10.0.0.7", 22)


@on_vsphere
@pytest.mark.parametrize("told", ["127.0.0.1", "169.254.1.1", "$(reboot)", "-oProxyCommand=x", "fe80::1"])
def test_an_address_that_leads_nowhere_is_none(world: VsphereWorld, told: str) -> None:
    vm = world.driver.power(world.made(**SPEC), "on")
    world.reconfigure(world.inside(vm), extraConfig=[vim.option.OptionValue(key="SET.guest.ipAddress", value=told)])
    assert "address" not in world.driver.get(vm.name).state


@on_vsphere
@pytest.mark.parametrize(("net", "known"), [
    ("4000=10.0.0.7,fd00::7,fe80::1,10.0.0.8 4001=192.168.9.9,10.0.0.7", ["10.0.0.7", "fd00::7", "10.0.0.8",
                                                                          "192.168.9.9"]),
    ("4000=10.0.0.9,$(reboot),-oProxyCommand=x,127.0.0.1,10.0.0.7", ["10.0.0.7", "10.0.0.9"]),
    ("-1=172.17.0.1 4000=10.0.0.7", ["10.0.0.7"]),  # a bridge within the guest
    ("4000=" + ",".join(f"10.1.{n >> 8}.{n & 255}" for n in range(1, 2000)), ["10.0.0.7"] + [
        f"10.1.0.{n}" for n in range(1, 32)]),
])  # fmt: skip
def test_all_addresses_of_a_guest(world: VsphereWorld, net: str, known: list[str]) -> None:
    vm = world.driver.power(world.made(**SPEC), "on")
    for key, value in (("SET.guest.ipAddress", "10.0.0.7"), ("vcsim.net", net)):
        world.reconfigure(world.inside(vm), extraConfig=[vim.option.OptionValue(key=key, value=value)])
    for now in (world.driver.get(vm.name), *world.driver.list()):
        assert (now.state["address"], now.state["addresses"]) == ("10.0.0.7", known)


@on_vsphere
def test_the_list_comes_in_pages_and_in_one_conversation(world: VsphereWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        world.foreign(f"f{number}")
    whole = world.driver.list()
    driver: Any = world.driver
    asked: list[str] = []
    serialize = driver.session._stub.SerializeRequest

    def counted(obj: Any, info: Any, *arguments: Any) -> Any:
        asked.append(info.wsdlName)
        return serialize(obj, info, *arguments)

    monkeypatch.setattr(driver.session._stub, "SerializeRequest", counted)
    monkeypatch.setattr(reading, "_PAGE", 4)
    assert driver.list() == whole
    assert len(whole) == 7
    assert asked[:2] == ["CreateContainerView", "RetrievePropertiesEx"]
    assert asked[-1] == "DestroyView"
    assert asked.count("RetrievePropertiesEx") == 2  # what is around the VMs, and they
    assert asked.count("ContinueRetrievePropertiesEx") == len(asked) - 4 > 1
    asked.clear()
    monkeypatch.setattr(reading, "_PAGE", 500)
    driver.list()
    assert len(asked) == 4


@on_vsphere
@pytest.mark.parametrize(("title", "known", "words"), [
    ("", True, "a VM of its name is there, and vCenter cannot read its configuration now, so nobody can tell whether "
     "it is this one; nothing was changed. Look at its host and its datastore"),
    ("renamed", True, "a VM called 'renamed' bears its identity, and vCenter cannot read its configuration now; noth"),
    ("renamed", False, "another one bears it, which may be one of those whose configuration vCenter cannot read now: "
     "'renamed'; it was not started"),
])  # fmt: skip
def test_a_vm_without_a_configuration_is_told_and_not_taken_for_absent(
    world: VsphereWorld, monkeypatch: pytest.MonkeyPatch, title: str, known: bool, words: str
) -> None:
    """As vCenter tells of one whose host or datastore it cannot reach, or that a task is just making. Whether it still
    finds one by its UUID (`known`) depends on what it keeps of it."""
    vm = world.made(**SPEC)
    driver: Any = world.driver
    title = title or vm.name
    if title != vm.name:
        done(world.inside(vm).Rename_Task(title))
    walk = driver.session.walk

    def blind(kinds: Any, many: Any, doing: str, beside: Any, reader: Any) -> Any:
        def read(found: Any) -> Any:
            make = reader(found)
            return lambda obj, its: make(obj, {key: its[key] for key in its if not key.startswith("config.")})

        return walk(kinds, many, doing, beside, read)

    driver.session.walk = blind
    properties, obj = driver.session.properties, world.inside(vm)

    def unread(objects: Any, paths: Any, *more: Any) -> Any:
        blank = {"name": title, "runtime.connectionState": "inaccessible"}
        return [blank for _one in objects] if list(objects) == [obj] else properties(objects, paths, *more)

    driver.session.properties = unread
    (seen,) = driver.list()
    assert (seen.name, seen.mark, seen["cpus"], seen.state["unreadable"]) == (title, None, None, True)
    desired = world.wanted(**SPEC)
    if title == vm.name:
        fleet = Fleet(world.fleet, {"vc": world.access}, (desired,))
        (refused,) = plan_fleet(fleet, [seen]).refused
        assert "its configuration cannot be read now, so nobody can tell whose it is" in str(refused)
    if not known:
        ask, create = driver.session.ask, vim.Folder.CreateVM_Task
        driver.session.ask = lambda doing, act, vm=None: None if doing == "find the VM" else ask(doing, act, vm)

        def otherwise(folder: Any, spec: Any, *more: Any) -> Any:
            spec.instanceUuid = None  # vCenter chooses another one where one of its VMs bears it
            return create(folder, spec, *more)

        monkeypatch.setattr(vim.Folder, "CreateVM_Task", otherwise)
    with pytest.raises(DriverError, match=re.escape(words)):
        driver.create(desired, world.mark(desired), None)
    assert [one.name for one in world.inventory] == [title]


@on_vsphere
def test_survey(world: VsphereWorld) -> None:
    vm = world.made(**SPEC)
    found = world.driver.survey(world.driver.list())
    assert [host.name for host in found.hosts] == ["DC0_C0_H0", "DC0_C0_H1", "DC0_C0_H2"]
    assert all(host.cpus > 0 and host.memory > 1 << 30 for host in found.hosts)
    (pool,) = found.pools
    assert (pool.name, pool.promised) == (world.pool, 3 << 20)
    assert pool.size >= pool.free > 0
    assert found.placed == {vm.uuid: vm["host"]}
    assert found.loose is None
