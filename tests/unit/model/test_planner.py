"""The planner: every change named, with how it is done; nothing planned twice."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from muster.model.errors import Impossible
from muster.model.fields import VM_FIELDS
from muster.model.normal import normalise
from muster.model.planner import SEVERITY, Change, applied, compare, describe, entry_of, plan, render, worst
from muster.model.vm import VM
from vm_strategies import specs

RUNNING = {
    "cpus": 2, "memory": "2 GiB", "firmware": "bios", "image": "debian-12", "power": "on",
    "disks": [{"size": "10 GiB"}, {"name": "data", "size": "1 GiB", "iops_limit": 100}],
    "nics": [{"network": "user", "forwards": [{"guest": 22, "host": 2222}]}, {"network": "blue"}],
    "tags": {"owner": "shop", "stage": "test"},
    "health": [{"http": {"port": 80, "path": "/", "status": 200}}],
    "protection": {"rpo": "24h"},
}

# desired fields, changes as people read them, how hard it is
CASES: list[tuple[str, dict[str, Any], list[str], str]] = [
    ("nothing asked", {}, [], "none"),
    ("the same", RUNNING, [], "none"),
    ("more CPUs", {"cpus": 4}, ["cpus: 2 → 4 (live)"], "live"),
    ("more memory", {"memory": "4 GiB"}, ["memory: 2 GiB → 4 GiB (live)"], "live"),
    ("a field that was not set", {"cpu_pinning": "0-3"}, ["cpu_pinning: set to 0-3 (live)"], "live"),
    ("a default is what absent means",
     {"memory_reservation": 0, "disks": [{"size": "10 GiB", "encrypted": False}, {"name": "data", "size": "1 GiB"}]},
     [], "none"),
    ("a disk grows", {"disks": [{"size": "20 GiB"}]}, ["disks.root.size: 10 GiB → 20 GiB (live)"], "live"),
    ("a disk is added", {"disks": [{"size": "10 GiB"}, {"name": "log", "size": "5 GiB"}]},
     ["disks.log: add name log, size 5 GiB (live)"], "live"),
    ("a limit goes", {"disks": [{"name": "data", "size": "1 GiB", "iops_limit": 0}]},
     ["disks.data.iops_limit: 100 → 0 (live)"], "live"),
    ("a NIC moves", {"nics": [{"network": "user"}, {"network": "green"}]},
     ["nics.nic1.network: blue → green (live)"], "live"),
    ("a NIC goes", {"nics": [{"network": "user"}]}, ["nics.nic1: remove name nic1, network blue (live)"],
     "live"),
    ("a link goes down", {"nics": [{"network": "user"}, {"network": "blue", "connected": False}]},
     ["nics.nic1.connected: yes → no (live)"], "live"),
    ("a forward comes and one goes", {"nics": [{"network": "user", "forwards": [{"guest": 80}]}, {"network": "blue"}]},
     ["nics.nic0.forwards.80: add guest 80 (live)", "nics.nic0.forwards.22: remove guest 22, host 2222 (live)"],
     "live"),
    ("a forward to any port", {"nics": [{"network": "user", "forwards": [{"guest": 22}]}, {"network": "blue"}]},
     [], "none"),
    ("tags are one whole", {"tags": {"owner": "bank", "new": "x"}},
     ["tags.new: set to x (mark)", "tags.owner: shop → bank (mark)", "tags.stage: remove test (mark)"], "mark"),
    ("another image", {"image": "debian-13"}, ["image: debian-12 → debian-13 (replace)"], "replace"),
    ("another firmware", {"firmware": "uefi"}, ["firmware: bios → uefi (replace)"], "replace"),
    ("a health check by its defaults", {"health": [{"http": {}}]}, [], "none"),
    ("another health check", {"health": [{"tcp": {"port": 22}}]},
     ["health: [http port 80, path /, status 200] → [tcp port 22] (mark)"], "mark"),
    ("protection in part", {"protection": {"rto": "15m"}}, ["protection.rto: set to 15m (mark)"], "mark"),
    ("power", {"power": "off"}, ["power: on → off (live)"], "live"),
]


def vm(spec: dict[str, Any], **keys: Any) -> VM:
    return VM("web", "lab", normalise(spec), **keys)


@pytest.mark.parametrize(("desired", "changes", "how"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_plan(desired: dict[str, Any], changes: list[str], how: str) -> None:
    found = plan(vm(desired), vm(RUNNING))
    assert [describe(change) for change in found] == changes
    assert worst(found) == how


def test_a_new_vm() -> None:
    desired = vm({"cpus": 2, "memory": "2 GiB"})
    [change] = plan(desired, None)
    assert change == Change((), None, dict(desired.spec), "create", "it does not exist yet")
    assert describe(change) == "vm: create (cpus 2, memory 2 GiB)"
    assert render([change]) == {"before": {}, "after": {"cpus": 2, "memory": "2 GiB"}}


def test_a_disk_of_somebody_else_is_a_note() -> None:
    changes, notes = compare(vm({"disks": [{"size": "10 GiB"}]}), vm(RUNNING))
    assert changes == []
    assert notes == ["VM 'web' at site 'lab' has disks.data, which is not in the fleet file; it is left as it is"]


def test_what_is_not_reported_replaces_nothing() -> None:
    changes, notes = compare(vm({"zone": "a"}), vm(RUNNING))
    assert changes == []
    assert notes == ["VM 'web' at site 'lab' does not report zone; it is not compared"]


def test_a_disk_never_shrinks() -> None:
    with pytest.raises(Impossible) as caught:
        plan(vm({"cpus": 4, "disks": [{"size": "1 GiB"}]}), vm(RUNNING))
    assert str(caught.value) == (
        "VM 'web' at site 'lab' stays as it is: disks.root.size cannot shrink from 10 GiB to 1 GiB, that would cut off "
        "data; write 10 GiB, or move the data to a new disk")


def test_a_protected_vm_is_not_replaced() -> None:
    with pytest.raises(Impossible, match="image can be changed by replacing the VM only, and the VM is protected"):
        plan(vm({"image": "debian-13"}), vm({**RUNNING, "protection": {"deletion": True}}))
    with pytest.raises(Impossible, match="protected"):  # the flag on the VM counts, the one in the file does not
        plan(vm({"image": "debian-13", "protection": {"deletion": False}}),
             vm({**RUNNING, "protection": {"deletion": True}}))


def test_no_vm_moves_between_sites() -> None:
    with pytest.raises(Impossible, match="belongs to site 'lab' and is at site 'attic'"):
        plan(vm({}), VM("web", "attic"))


def test_the_power_that_the_platform_tells_counts() -> None:
    actual = vm({"power": "on"}, state={"power": "crashed"})
    assert [describe(change) for change in plan(vm({"power": "on"}), actual)] == ["power: crashed → on (live)"]


def test_a_driver_raises_the_severity_and_gives_the_reason() -> None:
    [change] = plan(vm({"cpus": 1}), vm(RUNNING), lambda change, actual: "power_cycle")
    assert (change.how, change.reason) == ("power_cycle", "it takes effect while the VM is off")


def test_a_driver_can_refuse() -> None:
    def refine(change: Change, actual: VM) -> str:
        raise Impossible(f"{change.field} cannot be changed here")

    with pytest.raises(Impossible, match="stays as it is: cpus cannot be changed here; memory cannot be changed here"):
        plan(vm({"cpus": 1, "memory": "1 GiB"}), vm(RUNNING), refine)


def test_a_driver_that_says_nonsense_is_a_bug() -> None:
    with pytest.raises(ValueError, match="a driver says 'magic' for cpus"):
        plan(vm({"cpus": 1}), vm(RUNNING), lambda change, actual: "magic")


def test_the_diff_holds_what_changes_and_nothing_else() -> None:
    desired = vm({"cpus": 4, "memory": "2 GiB", "disks": [{"size": "20 GiB"}], "nics": [{"network": "user"}]})
    assert render(plan(desired, vm(RUNNING))) == {
        "before": {"cpus": 2, "disks": {"root": {"size": "10 GiB"}},
                   "nics": {"nic1": {"name": "nic1", "network": "blue"}}},
        "after": {"cpus": 4, "disks": {"root": {"size": "20 GiB"}}},
    }


@given(specs)
def test_a_vm_that_is_as_asked_needs_nothing(spec: dict[str, Any]) -> None:
    assert plan(VM("web", "lab", spec), VM("web", "lab", spec)) == []


@given(specs, specs)
def test_a_plan_that_was_applied_is_empty(want: dict[str, Any], have: dict[str, Any]) -> None:
    desired, actual = VM("web", "lab", want), VM("web", "lab", have)
    try:
        changes = plan(desired, actual)
    except Impossible:
        assume(False)
    before = copy.deepcopy(have)
    after = applied(actual, changes)
    assert plan(desired, after) == []
    assert have == before  # applied() makes a copy
    for change in changes:
        assert entry_of(change.keys)
        assert describe(change).startswith(change.field)


@given(specs, specs, st.sampled_from(SEVERITY[1:5]))
def test_a_driver_never_lowers_the_severity(want: dict[str, Any], have: dict[str, Any], says: str) -> None:
    have.pop("protection", None)
    desired, actual = VM("web", "lab", want), VM("web", "lab", have)
    try:
        before = plan(desired, actual)
    except Impossible:
        assume(False)
    after = plan(desired, actual, lambda change, vm: says)
    assert [change.keys for change in after] == [change.keys for change in before]
    for old, new in zip(before, after, strict=True):
        assert SEVERITY.index(new.how) == max(SEVERITY.index(old.how), SEVERITY.index(says))


def test_every_field_has_a_way_to_be_changed() -> None:
    def walk(fields: dict[str, Any]) -> None:
        for entry in fields.values():
            assert entry["muster"]["change"] in SEVERITY[1:5]
            walk(entry.get("options", {}))

    walk(VM_FIELDS)
