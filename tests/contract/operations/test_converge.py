"""Converge: what check mode says is what a run does; what a run may not do it does not begin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fleets import Small, shape
from libvirt_site import on_libvirt, real
from muster.drivers.driver import Failed, Unreachable
from muster.operations import converge
from muster.operations.converge import Outcome
from proxmox_site import on_proxmox
from sites import World

Edit = Callable[[dict[str, Any]], object]

EDITS: dict[str, Edit] = {
    "nothing": lambda vms: None,
    "a new VM": lambda vms: vms.update(c={"cpus": 2}),
    "cpus": lambda vms: vms["a"].update(cpus=2),
    "memory": lambda vms: vms["a"].update(memory="64 MiB"),
    "tags": lambda vms: vms["a"].update(tags={"owner": "shop"}),
    "two VMs": lambda vms: (vms["a"].update(cpus=2), vms["b"].update(tags={"a": "b"})),
    "a NIC": lambda vms: vms["b"].update(nics=[{"network": "user"}]),
    "a new disk": lambda vms: vms["b"].update(disks=[{"size": "1 MiB"}, {"size": "1 MiB"}]),
    "power on": lambda vms: vms["a"].update(power="on"),
    "a change and power on": lambda vms: vms["a"].update(power="on", cpus=2),
    "protection": lambda vms: vms["b"].update(protection={"deletion": True}),
    "a VM leaves": lambda vms: vms.pop("a"),
    "one leaves and one comes": lambda vms: (vms.pop("a"), vms.update(c={})),
    "smaller disk": lambda vms: vms["a"].update(disks=[{"size": "1 MiB", "name": "root"}]),
    "firmware": lambda vms: vms["a"].update(firmware="uefi"),
    "what the site cannot": lambda vms: vms["a"].update(zone="west"),
    "one bad, one good": lambda vms: (vms["a"].update(zone="west"), vms["b"].update(cpus=2)),
}


@pytest.fixture
def small(world: World, tmp_path: Path) -> Small:
    return Small(world, tmp_path)


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_check_mode_says_what_a_run_does(small: Small, edit: Edit) -> None:
    first = small.run(check=True)
    assert small.there() == set()
    assert shape(first) == shape(small.run())
    assert small.there() == {"a", "b"}
    assert [outcome.changed for outcome in small.run()] == [False, False]
    small.edit(edit)
    before = small.world.picture()
    said = small.run(check=True)
    assert small.world.picture() == before
    did = small.run()
    assert shape(did) == shape(said)
    if any(outcome.error for outcome in did):
        assert small.world.picture() == before
        assert all(str(outcome.error).endswith(".") for outcome in did if outcome.error)
        assert {outcome.vm for outcome in did} >= {vm.name for vm in small.fleet.vms}
    else:
        assert not any(outcome.changed for outcome in small.run())


DRIFTS: dict[str, tuple[str, ...]] = {
    "cpus": ("setvcpus", "{}", "2", "--config"),
    "power": ("start", "{}"),
}


@pytest.mark.parametrize("words", DRIFTS.values(), ids=DRIFTS)
@real
def test_drift_is_mended(small: Small, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    small.run()
    driver: Any = small.world.driver
    monkeypatch.setattr(driver, "_stop", lambda domain, *_: domain.destroy())  # the tiny guest hears no button
    small.world.virsh(*(word.format(small.name("a")) for word in words))
    said = small.run(check=True)
    assert [outcome.changed for outcome in said] == [True, False]
    assert shape(small.run()) == shape(said)
    assert not any(outcome.changed for outcome in small.run())


def test_a_power_cycle_needs_leave(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    small.edit(lambda vms: vms["a"].update(power="on", cpus=3))
    small.run()
    small.edit(lambda vms: vms["a"].update(cpus=1))
    before = small.world.picture()
    (refused,) = small.refused()
    assert f"VM '{small.name('a')}'" in refused.error
    assert "cpus: 3 → 1 (power cycle) needs a power cycle, which this run does not allow" in refused.error
    assert small.world.picture() == before
    small.world.obedient(monkeypatch)
    said = small.run(check=True, power_cycle=True)
    did = small.run(power_cycle=True)
    assert shape(did) == shape(said)
    assert did[0].how == "power_cycle"
    assert small.world.driver.get(small.name("a")).power == "on"


def test_a_replacement_needs_leave_and_never_a_protected_vm(small: Small) -> None:
    small.run()
    uuid = small.world.driver.get(small.name("a")).uuid
    small.edit(lambda vms: vms["a"].update(firmware="uefi"))
    before = small.world.picture()
    (refused,) = small.refused()
    assert "needs replacing it, which this run does not allow" in refused.error
    assert small.world.picture() == before
    small.edit(lambda vms: vms["a"].pop("firmware"))
    small.edit(lambda vms: vms["a"].update(protection={"deletion": True}))
    small.run()
    small.edit(lambda vms: vms["a"].update(firmware="uefi"))
    before = small.world.picture()
    (protected,) = small.refused(replace=True)
    assert "the VM is protected from deletion" in protected.error
    assert small.world.picture() == before
    assert small.world.driver.get(small.name("a")).uuid == uuid


def test_orphans_stay_unless_asked_and_protected_ones_always(small: Small) -> None:
    small.edit(lambda vms: vms["b"].update(protection={"deletion": True}))
    small.edit(lambda vms: vms.update(c={}))
    small.run()
    small.edit(lambda vms: vms.pop("a"))
    small.run()
    assert small.there() == {"a", "b", "c"}
    part = converge.converge(small.fleet, small.drivers, [small.name("b")], converge.Allowed(delete=True), wait=False)
    assert not any(outcome.changed for outcome in part)
    assert small.there() == {"a", "b", "c"}  # a run over a part of the fleet deletes nothing
    said = small.run(check=True, delete=True)
    assert shape(small.run(delete=True)) == shape(said)
    assert small.there() == {"b", "c"}
    small.edit(lambda vms: vms.pop("b"))
    (refused,) = small.refused(delete=True)
    assert "protected from deletion; it stays" in refused.error
    assert small.there() == {"b", "c"}


def test_remove(small: Small) -> None:
    small.edit(lambda vms: vms["b"].update(protection={"deletion": True}))
    small.run()
    said = converge.remove(small.fleet, small.drivers, check=True)
    assert small.there() == {"a", "b"}
    did = converge.remove(small.fleet, small.drivers)
    assert shape(did) == shape(said)
    assert "protected from deletion" in did[1].error
    assert small.there() == {"b"}
    assert not converge.remove(small.fleet, small.drivers, [small.name("a")])[0].changed


def test_one_that_fails_does_not_stop_the_others(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    create = small.world.driver.create

    def failing(desired: Any, *more: Any) -> Any:
        if desired.name == small.name("a"):
            raise Failed("the disk broke", site=desired.site, vm=desired.name)
        return create(desired, *more)

    monkeypatch.setattr(small.world.driver, "create", failing)
    done = small.run()
    assert [bool(outcome.error) for outcome in done] == [True, False]
    assert small.there() == {"b"}
    monkeypatch.undo()
    assert [outcome.changed for outcome in small.run()] == [True, False]


@on_libvirt
def test_a_half_made_vm_is_carried_on(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    driver: Any = small.world.driver
    from muster.drivers.libvirt import build

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "write_mark", killed)
    monkeypatch.setattr(driver.volumes, "delete", killed)  # as a kill would: nothing is cleaned up
    with pytest.raises(KeyboardInterrupt):
        small.run()
    monkeypatch.undo()
    assert any(outcome.changed for outcome in small.run(check=True))
    done: list[Outcome] = small.run()
    assert [outcome.error for outcome in done] == ["", ""]
    assert small.there() == {"a", "b"}
    assert not any(outcome.changed for outcome in small.run())


@on_proxmox
def test_what_was_done_before_it_failed_is_told(small: Small) -> None:
    """A VM that is made and does not start, and one of whose changes the second fails."""
    world: Any = small.world
    small.edit(lambda vms: vms["a"].update(power="on"))
    world.fake.fail("POST", "/qemu/100/status/start", 500, "no hugepages", times=1)
    made, other = converge.converge(small.fleet, small.drivers, wait=False, parallel=1)
    assert "unable to start the VM: no hugepages" in made.error
    assert (made.changed, made.how, made.power, len(made.changes)) == (True, "create", "off", 1)
    assert made.uuid == world.driver.get(made.vm).uuid
    assert not other.error
    small.run()
    small.edit(lambda vms: vms["b"].update(cpus=2, disks=[{"size": "2 MiB"}]))
    world.fake.fail("PUT", "/qemu/101/resize", 500, "no such extent", times=2)
    half = small.run()[1]
    assert "no such extent" in half.error
    assert (half.changed, half.uuid) == (True, other.uuid)
    again = small.run()[1]  # and one whose only change fails is as it was
    assert "no such extent" in again.error
    assert (again.changed, again.uuid) == (False, other.uuid)


def test_each_vm_of_a_refused_run_has_its_line(small: Small) -> None:
    small.edit(lambda vms: vms.update(c={}))
    small.run()
    small.edit(lambda vms: (vms["a"].update(zone="no-such"), vms["b"].update(tags={"owner": "shop"}), vms.update(d={})))
    small.edit(lambda vms: vms["a"].update(firmware="uefi"))
    outcomes = {one.vm.removeprefix(small.world.names + "-"): one for one in small.run()}
    assert outcomes.keys() == {"a", "b", "c", "d"}
    assert outcomes["a"].error
    assert (outcomes["c"].error, outcomes["c"].how) == ("", "none")
    for name in "bd":
        assert outcomes[name].how == converge.NOT_BEGUN
        assert f"because VM '{small.name('a')}' was refused" in outcomes[name].error


def test_more_may_fail_where_that_is_said(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    small.edit(lambda vms: vms.update({f"more-{number}": {} for number in range(4)}))
    driver, create = small.world.driver, small.world.driver.create

    def failing(desired: Any, *more: Any) -> Any:
        if desired.name in (small.name("a"), small.name("more-0")):
            raise Failed("it did not start", site=driver.site, vm=desired.name)
        return create(desired, *more)

    monkeypatch.setattr(driver, "create", failing)
    done = converge.converge(small.fleet, small.drivers, wait=False, waves=["1"], max_fail=1)
    assert [one.how for one in done] == ["none", "create", "none", *[converge.NOT_BEGUN] * 3]
    assert small.there() == {"b"}


def test_a_stranger_of_the_name(small: Small) -> None:
    small.world.foreign("a")
    before = small.world.picture()
    (refused,) = small.refused()
    assert "cannot be made: a VM of that name is there already" in refused.error
    assert small.world.picture() == before


@on_libvirt
def test_a_site_that_does_not_answer_makes_no_plan(small: Small) -> None:
    from muster.drivers.driver import Unreachable
    from muster.operations.session import connected

    small.document["sites"][small.world.access.name]["uri"] = "qemu+unix:///system?socket=/nonexistent"
    with pytest.raises(Unreachable, match="unable to connect"), connected(small.fleet):
        pass


def test_a_site_is_listed_twice_however_many_vms_it_gets(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for the plan, once to read back what was done."""
    small.run()
    small.edit(lambda vms: vms.update({f"more-{number}": {} for number in range(6)}))
    listed, driver = [], small.world.driver
    every = driver.list
    monkeypatch.setattr(driver, "list", lambda: listed.append(1) or every())
    assert sum(outcome.changed for outcome in small.run()) == 6
    assert len(listed) == 2
    assert not any(outcome.changed for outcome in small.run())
    assert len(listed) == 3


def test_what_reads_back_otherwise_is_an_error(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = small.world.driver
    small.run()
    small.edit(lambda vms: (vms["a"].update(tags={"owner": "shop"}), vms["b"].update(tags={"owner": "shop"})))
    apply = driver.apply

    def lying(desired: Any, actual: Any, *more: Any) -> Any:
        return actual if desired.name == small.name("a") else apply(desired, actual, *more)

    monkeypatch.setattr(driver, "apply", lying)
    lied, done = small.run()
    assert lied.error.startswith(f"VM '{small.name('a')}' at site '{small.world.access.name}': it was changed, and ")
    assert "still not as asked: tags" in lied.error
    assert (done.error, done.changed) == ("", True)


def test_what_could_not_be_read_back_is_an_error(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = small.world.driver
    small.run()
    small.edit(lambda vms: vms["a"].update(tags={"owner": "shop"}))
    apply = driver.apply

    def cut_off(*arguments: Any) -> Any:
        def silent() -> Any:
            raise Unreachable("it does not answer", site=driver.site)

        now = apply(*arguments)
        monkeypatch.setattr(driver, "list", silent)
        return now

    monkeypatch.setattr(driver, "apply", cut_off)
    (outcome,) = [one for one in small.run() if one.changed]
    assert "it was changed, and could not be read back: Site" in outcome.error
    assert "it does not answer" in outcome.error


def test_nothing_is_begun_after_a_wave_in_which_a_vm_failed(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    small.run()
    small.edit(lambda vms: vms.update({f"more-{number}": {} for number in range(6)}))
    driver, create = small.world.driver, small.world.driver.create

    def failing(desired: Any, *more: Any) -> Any:
        if desired.name == small.name("more-1"):
            raise Failed("it did not start", site=driver.site, vm=desired.name)
        return create(desired, *more)

    monkeypatch.setattr(driver, "create", failing)
    predicted = converge.converge(small.fleet, small.drivers, check=True, waves=["1", "2"])
    assert all(one.changed and not one.error for one in predicted if "more" in one.vm)
    outcomes = {one.vm.removeprefix(f"{small.world.names}-"): one for one in
                converge.converge(small.fleet, small.drivers, wait=False, waves=["1", "2"])}
    assert small.there() == {"a", "b", "more-0", "more-2"}  # the wave of the one that failed went on
    assert "it did not start" in outcomes["more-1"].error
    for name in ("more-3", "more-4", "more-5"):
        assert outcomes[name].how == converge.NOT_BEGUN
        assert f"because VM '{small.name('more-1')}' failed in an earlier wave" in outcomes[name].error
        assert not outcomes[name].changed
    monkeypatch.undo()
    assert sum(one.changed for one in small.run()) == 4
