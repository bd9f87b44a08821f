"""Proxmox: a VM is itself wherever it is moved and however it is called; what others set is left alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from muster.drivers.driver import Ambiguous, Conflict, Driver, Failed, Template, Unreachable, Unsupported
from muster.drivers.ownership import Written
from muster.drivers.proxmox import guest, placement
from muster.drivers.proxmox import mark as marks
from muster.drivers.registry import open_site
from muster.model.planner import worst
from muster.model.vm import VM, Mark
from muster.operations import health
from proxmox_site import ProxmoxWorld, on_proxmox

pytestmark = on_proxmox


def applied(world: ProxmoxWorld, vm: VM, **spec: Any) -> VM:
    desired = world.wanted(**spec)
    now = world.driver.apply(desired, vm, world.changes(desired))
    assert world.changes(desired) == []
    return now


def test_a_vm_that_was_moved_is_found(world: ProxmoxWorld) -> None:
    vm = world.made()
    world.fake.add_node("pve2")
    world.inside(vm).node = "pve2"
    assert world.driver.get(str(vm.uuid))["host"] == "pve2"
    assert world.driver.power(vm, "on").power == "on"


def test_a_vm_that_was_renamed_is_found(world: ProxmoxWorld) -> None:
    vm = world.made()
    world.inside(vm).name = world.inside(vm).config["name"] = "renamed"
    now = world.driver.power(vm, "on")
    assert (now.name, now.uuid, now.mark) == ("renamed", vm.uuid, vm.mark)


def test_a_vm_that_came_back_under_another_number_is_found(world: ProxmoxWorld) -> None:
    vm = world.made()
    inside = world.inside(vm)
    world.foreign("other")
    inside.vmid = 777
    assert world.driver.power(vm, "on").state["vmid"] == 777


def test_a_vm_that_was_put_into_another_pool_is_found(world: ProxmoxWorld) -> None:
    vm = world.made()
    world.fake.pools["gold"] = {vm.state["vmid"]}
    world.inside(vm).pool = "gold"
    assert world.driver.get(str(vm.uuid)).mark == vm.mark
    assert (vm["resource_pool"], world.driver.again(vm)["resource_pool"]) == ("", "gold")
    assert world.driver.power(vm, "on").power == "on"
    assert world.changes(world.wanted()) == []


@pytest.mark.parametrize("made_of", ["nothing", "a template", "a copy"])
def test_it_is_made_in_the_pool_that_it_names_and_put_back_into_it(world: ProxmoxWorld, made_of: str) -> None:
    desired = world.wanted(resource_pool="gold")
    source = world.made("source", resource_pool="silver")
    if made_of == "a copy":
        vm = world.driver.clone(source, desired, world.mark(desired))
    else:
        world.inside(source).template = made_of == "a template"
        image = Template("debian", str(source.state["vmid"])) if made_of == "a template" else None
        vm = world.driver.create(desired, world.mark(desired), image)
    assert world.fake.pools["gold"] == {vm.state["vmid"]}
    assert vm["resource_pool"] == world.driver.again(vm)["resource_pool"] == "gold"
    for pool in ("silver", ""):  # somebody moves it, or takes it out
        world.fake._pool_leave(vm.state["vmid"])
        if pool:
            world.fake._pool_join(pool, vm.state["vmid"])
        now = world.driver.get(vm.name)
        (change,) = world.changes(desired)
        assert (change.field, change.before, change.how) == ("resource_pool", pool, "live")
        assert world.changes(world.wanted()) == []  # where nobody asks for one
        assert world.driver.apply(desired, now, [change])["resource_pool"] == "gold"
        assert world.fake.pools["gold"] == {vm.state["vmid"]}


def asked(world: ProxmoxWorld, act: Callable[[], object], before: dict[int, Callable[[], object]]) -> list[str]:
    """The requests of `act`; before those of these numbers somebody else does something."""
    trouble = world.fake.trouble
    trouble.arm()
    trouble.before = before
    try:
        act()
    finally:
        trouble.before = {}
    return list(trouble.calls)


@pytest.mark.parametrize("known", [True, False], ids=["known", "not listed before"])
def test_a_vm_that_migrates_while_it_is_looked_for(world: ProxmoxWorld, known: bool) -> None:
    """Between the list and its configuration."""
    world.fake.add_node("pve2")
    vm = world.made()
    world.foreign("other")
    inside = world.inside(vm)

    def moves() -> None:
        inside.node = "pve2"

    seen = vm if known else replace(vm, state={})
    calls = asked(world, lambda: world.driver.power(seen, "on"), {1 if known else 2: moves})
    assert (inside.node, inside.status) == ("pve2", "running")
    assert calls.count("GET /cluster/resources") == (2 if known else 3)


def test_a_change_does_not_ask_for_the_whole_cluster(world: ProxmoxWorld) -> None:
    vm = world.made()
    for name in "xyz":
        world.foreign(name)
    desired = world.wanted(cpus=2, tags={"a": "1"}, disks=[{"size": "2 MiB"}])
    changes = world.changes(desired)
    calls = asked(world, lambda: world.driver.apply(desired, vm, changes), {})
    assert "GET /cluster/resources" not in calls
    assert not [call for call in calls if "/qemu/" in call and f"/qemu/{vm.state['vmid']}/" not in call]
    assert world.changes(desired) == []


def test_snapshots_of_a_whole_site(world: ProxmoxWorld) -> None:
    vms = [world.made(name) for name in "abc"]
    world.fake.add_node("pve2")
    world.foreign_snapshot(vms[0], "before", "")
    world.driver.take_snapshot(vms[1], "op", hold=True)
    wanted = {str(vm.uuid): world.driver.snapshots(vm) for vm in vms}
    found: list[Any] = []
    calls = asked(world, lambda: found.append(world.driver.snapshots_of_all(vms)), {})
    assert found == [wanted]
    assert sorted(calls) == [f"GET /nodes/pve1/qemu/{vm.state['vmid']}/snapshot" for vm in vms]
    world.inside(vms[2]).node = "pve2"
    told = world.driver.snapshots_of_all(vms)
    assert told is not None
    assert told.keys() == {str(vm.uuid) for vm in vms[:2]}  # the third is asked for by itself


def test_twins_by_identity_are_both_named(world: ProxmoxWorld) -> None:
    """A backup was restored by hand beside the VM: UUID, mark and all."""
    vm = world.made()
    config = {**world.inside(vm).config}
    world.fake.add_vm(555, vm.name, config=config)
    with pytest.raises(Ambiguous):
        world.driver.get(vm.name)


@pytest.mark.parametrize("on", [True, False], ids=["running", "stopped"])
def test_another_host(world: ProxmoxWorld, on: bool) -> None:
    world.fake.add_node("pve2")
    vm = world.made(on=on, host="pve1")
    desired = world.wanted(host="pve2")
    world.driver.check(desired)
    assert worst(world.changes(desired)) == "live"
    now = applied(world, vm, host="pve2")
    assert (now["host"], now.power) == ("pve2", "on" if on else "off")
    world.fake.set_node_offline("pve1")
    with pytest.raises(Unsupported, match="'host' cannot be honoured: the node 'pve1' is offline"):
        fresh(world).check(world.wanted(host="pve1"))


def fresh(world: ProxmoxWorld) -> Driver:
    """Another session, which knows nothing yet."""
    return open_site(world.access)


def test_it_is_made_on_the_node_with_the_most_memory_left(
    world: ProxmoxWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.fake.add_node("pve2")
    stats = world.fake._node_stats
    seen: list[str] = []

    def fuller(online: bool) -> dict[str, Any]:
        seen.append("")
        return {**stats(online), "mem": (7 << 30) if len(seen) % 2 else 0}  # pve1 is full, pve2 is empty

    monkeypatch.setattr(world.fake, "_node_stats", fuller)
    assert world.made()["host"] == "pve2"


def test_high_availability_moves_a_vm_in_its_own_time(world: ProxmoxWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """The task that is followed has only queued it."""
    world.fake.add_node("pve2")
    vm = world.made(host="pve1", ha_priority="medium", on=True)
    world.fake.time_scale = 0.05
    now = applied(world, vm, host="pve2", ha_priority="medium")
    assert (now["host"], now.power) == ("pve2", "on")
    world.fake.ha_refuses = True
    monkeypatch.setattr(placement, "SETTLE", 0.5)
    with pytest.raises(Failed, match=r"unable to move the VM to the node 'pve1': Proxmox .* it is on 'pve2' after"):
        applied(world, now, host="pve1", ha_priority="medium")


def test_high_availability(world: ProxmoxWorld) -> None:
    vm = world.made(ha_priority="medium")
    assert world.inside(vm).ha_state == "stopped"
    assert world.changes(world.wanted(ha_priority="medium")) == []
    on = world.driver.power(vm, "on")
    assert (on.power, world.inside(vm).ha_state) == ("on", "started")
    now = applied(world, on, ha_priority="disabled")
    assert world.inside(vm).ha_state is None
    again = applied(world, now, ha_priority="medium")
    assert world.inside(vm).ha_state == "started"
    world.driver.delete(again)
    assert world.fake.vms == []


def test_high_availability_takes_its_time(world: ProxmoxWorld) -> None:
    vm = world.made(ha_priority="medium")
    world.fake.time_scale = 0.05
    assert world.driver.power(vm, "on").power == "on"
    assert world.driver.power(vm, "off").power == "off"


def test_what_hotplug_does_not_do_is_said(world: ProxmoxWorld) -> None:
    vm = world.made(on=True)
    world.fake.hotplugs = False
    desired = world.wanted(disks=[{"size": "1 MiB", "iops_limit": 7}])
    with pytest.raises(Failed, match=r"keeps the change of disks\.root\.iops_limit \(scsi0\) for the next start"):
        world.driver.apply(desired, vm, world.changes(desired))


def test_hotplug_that_is_turned_off_costs_a_power_cycle(world: ProxmoxWorld) -> None:
    vm = world.made(on=True, nics=[{"network": "vmbr0"}])
    world.inside(vm).config["hotplug"] = "0"
    down = {"network": "vmbr0", "connected": False}
    desired = world.wanted(disks=[{"size": "1 MiB"}, {"size": "1 MiB"}], nics=[down])
    assert {change.how for change in world.changes(desired)} == {"power_cycle"}


def rounded(size: int) -> int:
    return -(-size // (4 << 20)) * (4 << 20)


@pytest.mark.parametrize("size", [5 << 20, (10 << 30) + 1024, 1 << 20, 8 << 20])
def test_a_storage_that_rounds_up(world: ProxmoxWorld, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """LVM makes whole extents: what was asked for stays what is asked for."""
    alloc = world.fake._qm_alloc
    monkeypatch.setattr(
        world.fake, "_qm_alloc", lambda sid, vmid, kind, bytes_, *more: alloc(sid, vmid, kind, rounded(bytes_), *more)
    )
    new = world.fake._qm_new_drive

    def made(vmid: int, key: str, value: str, default: str | None) -> Any:
        text, volumes = new(vmid, key, value, default)
        there = world.fake._qm_volume(volumes[0])
        return re.sub(r"size=[^,]+", f"size={there['size'] >> 20}M", text), volumes

    monkeypatch.setattr(world.fake, "_qm_new_drive", made)
    vm = world.made(disks=[{"size": size}])
    assert world.inside(vm).config["scsi0"].endswith(f"size={rounded(size) >> 20}M")
    assert world.changes(world.wanted(disks=[{"size": size}])) == []
    now = applied(world, world.driver.get(vm.name), disks=[{"size": size + (16 << 20)}])
    assert now["disks"][0]["size"] == size + (16 << 20)


def test_options_of_others_stay(world: ProxmoxWorld) -> None:
    vm = world.made(nics=[{"network": "vmbr0"}])
    inside = world.inside(vm)
    inside.config["net0"] += ",firewall=1,mtu=1400"
    inside.config["scsi0"] += ",discard=on,ssd=1"
    inside.config["description"] = "ask Jane\n\n" + inside.config["description"]
    inside.config["tags"] += ";gold"
    applied(world, world.driver.get(vm.name), tags={"a": "1"}, disks=[{"size": "2 MiB", "iops_limit": 9}],
            nics=[{"network": "vmbr1", "vlan": 5, "bandwidth_limit": "3 MiB"}])
    assert {"firewall=1", "mtu=1400", "bridge=vmbr1", "tag=5", "rate=3.0"} <= set(inside.config["net0"].split(","))
    assert {"discard=on", "ssd=1", "iops=9"} <= set(inside.config["scsi0"].split(","))
    assert "ask Jane" in inside.config["description"]
    assert inside.config["tags"] == "gold;muster"


@pytest.mark.parametrize(("spec", "words"), [
    ({"disks": [{"size": "1 MiB", "pool": "local-lmv"}]}, "the site has no storage 'local-lmv' for disks .did you"),
    ({"disks": [{"size": "1 MiB", "pool": "local"}]}, "the site has no storage 'local' for disks"),
    ({"resource_pool": "glod"}, "its token is shown no pool 'glod' of the cluster .did you mean 'gold'.; nothing was"),
    ({"nics": [{"network": "vmbr7"}]}, "the site has no bridge 'vmbr7' on node 'pve1' .did you mean 'vmbr"),
])
def test_what_the_site_lacks_is_said_before(world: ProxmoxWorld, spec: dict[str, Any], words: str) -> None:
    before = world.picture()
    with pytest.raises(Conflict, match=words):
        world.driver.check(world.wanted(**spec))
    assert world.picture() == before


def edited_between(world: ProxmoxWorld, act: Callable[[int], object], edit: Callable[[], object]) -> None:
    """`act` twice; somebody else edits just before the second one writes the mark."""
    trouble = world.fake.trouble
    trouble.arm()
    act(1)
    at = next(n for n, call in enumerate(trouble.calls, 1) if call.startswith("PUT") and call.endswith("/config"))
    trouble.arm()
    trouble.before = {at: edit}
    try:
        act(2)
    finally:
        trouble.before = {}
    assert len(trouble.calls) >= at


def test_notes_that_somebody_writes_meanwhile_stay(world: ProxmoxWorld) -> None:
    vm = world.made()
    config = world.inside(vm).config

    def ask_jane() -> None:
        config["description"] = "ask Jane\n\n" + config["description"]

    edited_between(world, lambda n: applied(world, vm, tags={"a": str(n)}), ask_jane)
    assert "ask Jane" in config["description"]
    assert world.driver.get(vm.name)["tags"] == {"a": "2"}


def test_of_two_fleets_that_adopt_at_once_one_gets_the_vm(world: ProxmoxWorld) -> None:
    theirs = [world.foreign(f"x{number}") for number in (1, 2)]
    bank = Mark("bank", "vault", "op-9")

    def adopt(n: int) -> None:
        world.driver.adopt(theirs[n - 1], Mark(world.fleet, f"x{n}", "op-1"))

    with pytest.raises(Conflict, match="it bears the mark of fleet 'bank' since"):
        edited_between(world, adopt, lambda: as_bank(world, theirs[1], bank))
    assert world.driver.again(theirs[1]).mark == bank


def as_bank(world: ProxmoxWorld, vm: VM, mark: Mark) -> None:
    """Another fleet's run, in its own process: its mark is in the notes."""
    uuid = {"uuid": str(vm.uuid), "vmid": vm.state["vmid"], "devices": {}}
    world.inside(vm).config["description"] = marks.notes(Written(mark, {}, platform=uuid), "mine")


def test_a_mark_that_does_not_fit_is_refused_before(world: ProxmoxWorld) -> None:
    tags = {f"t{n}": "x" * 250 for n in range(40)}
    with pytest.raises(Unsupported, match=r"are too long by [0-9]+ characters for the notes of a VM in Proxmox"):
        world.driver.check(world.wanted(tags=tags))


def test_a_value_cannot_end_the_comment_of_the_mark(world: ProxmoxWorld) -> None:
    tags = {"a": "--> <!-- muster {} -->", "b": "ä\\\""}
    vm = world.made(tags=tags)
    assert world.driver.get(vm.name)["tags"] == tags


def test_snapshots_hold_the_memory_of_what_runs(world: ProxmoxWorld) -> None:
    vm = world.made(on=True)
    taken = world.driver.take_snapshot(vm, "op")
    assert world.inside(vm).snapshots[taken.id]["vmstate"]
    off = world.driver.power(vm, "off", force=True)
    cold = world.driver.take_snapshot(off, "op-2")
    assert not world.inside(vm).snapshots[cold.id].get("vmstate")
    assert world.driver.revert_snapshot(off, taken).power == "on"
    assert world.driver.revert_snapshot(off, cold).power == "off"


@pytest.mark.parametrize("operation", ["20261122-185730-recovery-drill-long-e755fd" * 2, "a.b", "x" * 33, "x" * 34])
def test_any_id_of_an_operation_names_a_snapshot(world: ProxmoxWorld, operation: str) -> None:
    vm = world.made()
    taken = world.driver.take_snapshot(vm, operation)
    assert taken.operation == operation
    assert world.driver.take_snapshot(vm, operation) == taken
    assert world.driver.take_snapshot(vm, operation + "y") != taken
    assert len(world.driver.snapshots(vm)) == 2


def test_the_way_back_keeps_the_mark(world: ProxmoxWorld) -> None:
    """What the mark says is of today: the notes are no part of a snapshot."""
    vm = world.made()
    taken = world.driver.take_snapshot(vm, "op")
    now = applied(world, vm, tags={"a": "1"})
    back = world.driver.revert_snapshot(now, taken)
    assert back.mark == vm.mark
    assert back["tags"] == {"a": "1"}


GUEST: dict[str, Any] = {
    "interfaces": [
        {"name": "lo", "ip-addresses": [{"ip-address": "127.0.0.1"}]},
        {"name": "eth0", "ip-addresses": [{"ip-address": "fe80::1"}, {"ip-address": "2001:db8::7"},
                                          {"ip-address": "192.0.2.7"}]},
    ],
    "exec": {"uname -r": {"exited": True, "exitcode": 3, "out-data": "6.1\n", "err-data": "oh"}},
}
HOSTILE: list[Any] = [
    None, [], "x", [None, 5, {"ip-addresses": "x"}, {"ip-addresses": [None, {}, {"ip-address": "$(reboot)"}]}],
]


def test_the_guest_is_reached(world: ProxmoxWorld) -> None:
    vm = world.made(on=True, nics=[{"network": "vmbr0"}])
    world.inside(vm).agent = GUEST
    assert world.driver.endpoint(vm, 80) == ("192.0.2.7", 80)
    assert world.driver.list()[0].state["addresses"] == ["192.0.2.7", "2001:db8::7"]
    assert world.driver.list()[0].state["address"] == "192.0.2.7"
    done = world.driver.execute(vm, ["uname", "-r"])
    assert (done.code, done.output) == (3, "6.1\noh")


def test_a_vm_without_a_nic_cannot_be_asked(world: ProxmoxWorld) -> None:
    vm = world.made(on=True)
    world.inside(vm).agent = GUEST
    with pytest.raises(Unsupported, match="it has no NIC, so nobody can ask its port 80"):
        world.driver.endpoint(vm, 80)
    (check,) = health.ask(world.driver, vm, [{"http": {"port": 80}}])
    assert check.outcome == "not_tested"


@pytest.mark.parametrize("said", HOSTILE, ids=str)
def test_a_guest_that_lies(world: ProxmoxWorld, said: Any) -> None:
    vm = world.made(on=True)
    world.inside(vm).agent = {"interfaces": said}
    assert "address" not in world.driver.list()[0].state


def test_a_guest_without_an_agent(world: ProxmoxWorld) -> None:
    vm = world.made(on=True)
    with pytest.raises(Unreachable, match=r"QEMU guest agent is not running.*qemu-guest-agent runs in the guest"):
        world.driver.execute(vm, ["true"])
    with pytest.raises(Failed, match="its guest agent did not answer, and it made no progress for 0 s"):
        world.driver.wait_ready(vm, stall=0.3)


def test_a_guest_that_is_ready(world: ProxmoxWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    vm = world.made(on=True)
    path = f"nodes/pve1/qemu/{vm.state['vmid']}"
    driver: Any = world.driver
    driver._mark(vm, ready=False)
    asked: list[str] = []
    answers = guest.answers

    def later(*arguments: Any) -> bool:
        asked.append(arguments[1])
        if len(asked) == 3:
            world.inside(vm).agent = GUEST
        return answers(*arguments)

    monkeypatch.setattr(guest, "answers", later)
    assert world.driver.wait_ready(vm).state["ready"] is True
    assert asked == [path] * 3
    off = world.driver.power(vm, "off", force=True)
    with pytest.raises(Failed, match="it went off while it was waited for"):
        world.driver.wait_ready(off)


def test_survey(world: ProxmoxWorld) -> None:
    world.made("a", disks=[{"size": "8 MiB"}])
    gone = world.made("b")
    world.remove(gone)
    found = world.driver.survey(world.driver.list())
    (host,) = found.hosts
    assert (host.name, host.cpus, host.memory) == ("pve1", 4, 8 << 30)
    (pool,) = found.pools
    assert (pool.name, pool.promised) == ("local-lvm on pve1", 8 << 20)
    assert found.loose is not None
    assert [(disk.name, disk.pool) for disk in found.loose] == [("vm-101-disk-0", "local-lvm")]
    world.fake.add_node("pve2", online=False)
    assert world.driver.survey(world.driver.list()).loose is None


def test_a_snapshot_that_is_not_whole_is_not_reverted_to(world: ProxmoxWorld) -> None:
    vm = world.made()
    taken = world.driver.take_snapshot(vm, "op")
    world.inside(vm).snapshots[taken.id]["snapstate"] = "delete"
    before = world.picture()
    with pytest.raises(Conflict, match=r"is not whole \(delete\), so nothing was changed"):
        world.driver.revert_snapshot(vm, taken)
    assert world.picture() == before
