"""Snapshots with retention; backups, restores and drills over the contract."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from fleets import Small
from libvirt_site import content, real, write
from muster.drivers.driver import Capability, Executed
from muster.model.errors import ModelError
from muster.model.vm import Mark
from muster.operations import backup, drill, health, snapshot
from muster.operations.drill import REALM
from sites import World


@pytest.fixture
def small(world: World, tmp_path: Path) -> Small:
    fleet = Small(world, tmp_path, a={})
    fleet.run()
    return fleet


@pytest.fixture
def patterned(small: Small) -> Small:
    """One stopped VM with a known content."""
    driver = small.world.driver
    vm = driver.power(driver.get(small.name("a")), "on")
    write(small.world, vm, "root", 0x5A, "0", "700k")
    driver.power(vm, "off", force=True)
    return small


def taken(small: Small, **more: Any) -> snapshot.Outcome:
    (outcome,) = snapshot.take(small.fleet, small.drivers, **more)
    assert outcome.error == ""
    return outcome


def ids(small: Small) -> list[str]:
    return [one.operation for one in snapshot.listing(small.fleet, small.drivers)[0].snapshots]


def test_snapshots_are_kept_by_count_and_hold(small: Small) -> None:
    for number in range(3):
        taken(small, operation=f"op-{number}", hold=number == 0)
    assert taken(small, operation="op-2").changed is False
    said = snapshot.retain(small.fleet, small.drivers, count=1, check=True)[0]
    assert ids(small) == ["op-0", "op-1", "op-2"]
    did = snapshot.retain(small.fleet, small.drivers, count=1)[0]
    assert did.removed == said.removed == ("muster-op-1",)
    assert ids(small) == ["op-0", "op-2"]
    assert not snapshot.retain(small.fleet, small.drivers, count=1)[0].changed
    assert not snapshot.retain(small.fleet, small.drivers)[0].changed  # no bound removes nothing
    last = taken(small, operation="op-3", count=1)
    assert last.removed == ("muster-op-2",)


def test_check_mode_of_snapshots(small: Small) -> None:
    (said,) = snapshot.take(small.fleet, small.drivers, check=True, count=1)
    assert said.changed
    assert ids(small) == []
    taken(small, operation="op")
    for call in (snapshot.remove, snapshot.revert):
        (said,) = call(small.fleet, small.drivers, [small.name("a")], "op", check=True)
        assert said.changed
    assert ids(small) == ["op"]
    (gone,) = snapshot.remove(small.fleet, small.drivers, [small.name("a")], "op")
    assert (gone.changed, gone.removed) == (True, ("muster-op",))
    (again,) = snapshot.remove(small.fleet, small.drivers, [small.name("a")], "op")
    assert (again.changed, again.error) == (False, "")
    (missing,) = snapshot.revert(small.fleet, small.drivers, [small.name("a")], "op")
    assert "it has no snapshot 'op'" in missing.error


def backed_up(small: Small, **more: Any) -> backup.Outcome:
    (outcome,) = backup.backup(small.fleet, small.drivers, **more)
    return outcome


def points(small: Small) -> list[str]:
    fleet = small.fleet
    found, damaged = backup.repository_of(fleet, fleet.vms[0]).points(fleet.vms[0])
    assert damaged == []
    return [point.id for point in found]


@real
def test_backup_prune_and_restore(patterned: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small, driver = patterned, patterned.world.driver
    before = content(small.world, driver.get(small.name("a")), "root", tmp_path)
    assert before == b"\x5a" * (700 << 10) + b"\0" * (324 << 10)
    small.edit(lambda vms: vms["a"].update(protection={"keep": {"last": 2}}))
    made = [backed_up(small) for _night in range(3)]
    assert [outcome.error for outcome in made] == [""] * 3
    assert made[2].pruned == (made[0].restore_point,)
    assert points(small) == [outcome.restore_point for outcome in made[1:]]

    (refused,) = backup.restore_all(small.fleet, small.drivers)
    assert "it still exists, so nothing was restored over it" in refused.error
    driver.delete(driver.get(small.name("a")))
    monkeypatch.setattr(driver, "wait_ready", lambda vm, *_: vm)  # the tiny guest has no agent
    (said,) = backup.restore_all(small.fleet, small.drivers, check=True)
    assert small.there() == set()
    (did,) = backup.restore_all(small.fleet, small.drivers)
    assert (did.error, did.restore_point) == ("", said.restore_point)
    off = driver.power(driver.get(small.name("a")), "off", force=True)
    assert hashlib.sha256(content(small.world, off, "root", tmp_path)).digest() == hashlib.sha256(before).digest()
    assert not any(outcome.changed for outcome in small.run())


@real
def test_a_chain_is_restored(patterned: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small, driver = patterned, patterned.world.driver
    vm = driver.power(driver.get(small.name("a")), "on")
    kinds = [backed_up(small).kind]
    for pattern in (1, 2):
        write(small.world, vm, "root", pattern, f"{pattern * 64}k", "64k")
        kinds.append(backed_up(small).kind)
    assert kinds == ["full", "incremental", "incremental"]
    driver.delete(driver.get(small.name("a")))
    monkeypatch.setattr(driver, "wait_ready", lambda vm, *_: vm)
    assert backup.restore_all(small.fleet, small.drivers)[0].error == ""
    off = driver.power(driver.get(small.name("a")), "off", force=True)
    found = content(small.world, off, "root", tmp_path)
    kib = 1 << 10
    assert found == (
        b"\x5a" * (64 * kib) + b"\1" * (64 * kib) + b"\2" * (64 * kib) + b"\x5a" * (508 * kib) + b"\0" * (324 * kib)
    )


@real
def test_check_mode_of_a_backup_writes_nothing(small: Small) -> None:
    assert backed_up(small, check=True).error == ""
    assert not (small.folder / "repository").exists()


@real
def test_a_repository_that_cannot_be_written(small: Small) -> None:
    (small.folder / "repository").write_text("a file in the way")
    assert "cannot be listed: Not a directory; nothing was changed" in backed_up(small).error


@real
def test_a_site_without_a_repository(small: Small) -> None:
    del small.document["sites"][small.world.access.name]["repository"]
    assert "its site names no repository" in backed_up(small).error
    (outcome,) = drill.drill(small.fleet, small.drivers)
    assert outcome.outcome == "failed"


def flip(small: Small, file: str) -> Path:
    (path,) = (small.folder / "repository").rglob(file)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    return path


@real
@pytest.mark.parametrize("file", ["root.qcow2", "manifest.json"])
def test_one_flipped_byte_fails_the_drill_and_the_restore(patterned: Small, file: str) -> None:
    small = patterned
    point = backed_up(small).restore_point
    flip(small, file)
    before = small.world.picture()
    (outcome,) = drill.drill(small.fleet, small.drivers)
    assert outcome.outcome == "failed"
    assert outcome.vm == small.name("a")
    assert point in outcome.error
    assert f"VM '{small.name('a')}'" in drill.sentence(outcome)
    assert ("root.qcow2" if file == "root.qcow2" else "manifest") in outcome.error
    assert small.world.picture() == before  # and no twin is left
    small.world.driver.delete(small.world.driver.get(small.name("a")))
    (refused,) = backup.restore_all(small.fleet, small.drivers)
    assert "Nothing was restored" in refused.error or "damaged" in refused.error
    assert small.there() == set()


def test_a_drill_without_a_restore_point_is_not_tested(small: Small) -> None:
    (outcome,) = drill.drill(small.fleet, small.drivers)
    able = Capability.RESTORE in small.world.driver.capabilities
    assert outcome.outcome == ("not_tested" if able else "failed")
    if not able:
        assert "cannot do" in outcome.error


@real
def test_a_drill_that_does_not_boot_never_passes(patterned: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    small, driver = patterned, patterned.world.driver
    backed_up(small)
    wait = driver.wait_ready
    monkeypatch.setattr(driver, "wait_ready", lambda vm, *more: wait(vm, *more, stall=1, timeout=3))
    before = small.world.picture()
    (outcome,) = drill.drill(small.fleet, small.drivers)
    assert outcome.outcome == "failed"
    assert outcome.rto_seconds is None
    assert "the guest" in outcome.error
    assert outcome.error.endswith("; the twin is taken down")
    assert small.world.picture() == before
    assert (next((small.folder / "repository").rglob("drills.jsonl"))).read_text().count("failed") == 1


@real
def test_a_drill_that_can_ask_nothing_is_not_tested(patterned: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    small, driver = patterned, patterned.world.driver
    backed_up(small)
    monkeypatch.setattr(driver, "wait_ready", lambda vm, *_: vm)
    (outcome,) = drill.drill(small.fleet, small.drivers)
    assert outcome.outcome == "not_tested"
    assert "could not be tested" in drill.sentence(outcome)


@real
@pytest.mark.parametrize(("rto", "outcome"), [("1h", "passed"), (None, "failed")])
def test_a_service_is_asked_until_its_rto_is_over(
    patterned: Small, monkeypatch: pytest.MonkeyPatch, rto: str | None, outcome: str
) -> None:
    small, driver = patterned, patterned.world.driver
    protection = {"rto": rto} if rto else {}
    small.edit(lambda vms: vms["a"].update(health=[{"command": {"run": ["true"]}}], protection=protection))
    backed_up(small)
    answers = iter([Executed(1, ""), Executed(0 if rto is None else 1, "failed units: x.service\n"), Executed(0, "")])
    monkeypatch.setattr(driver, "wait_ready", lambda vm, *_: vm)
    monkeypatch.setattr(driver, "execute", lambda *_, **__: next(answers))
    monkeypatch.setattr(drill, "PATIENCE", 0)
    monkeypatch.setattr(health, "_POLL", 0)
    (found,) = drill.drill(small.fleet, small.drivers)
    assert found.outcome == outcome, found.error
    assert ("failed units: x.service" in found.error) == (rto is None)


@real
def test_a_twin_that_a_killed_drill_left_is_taken_down(patterned: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    small, driver = patterned, patterned.world.driver
    backed_up(small)
    delete = driver.delete

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(driver, "delete", killed)
    monkeypatch.setattr(driver, "wait_ready", lambda vm, *_: vm)
    with pytest.raises(KeyboardInterrupt):
        drill.drill(small.fleet, small.drivers)
    twins = [vm for vm in driver.list() if vm.mark and vm.mark.fleet == small.world.fleet + REALM]
    assert len(twins) == 1
    assert not any(outcome.changed for outcome in small.run())  # no plan sees it
    monkeypatch.setattr(driver, "delete", delete)
    others = [vm for vm in driver.list() if vm.name.startswith(small.world.names) and vm.uuid != twins[0].uuid]
    assert drill.reap(small.fleet, driver) == [twins[0].name]
    assert [vm for vm in driver.list() if vm.name.startswith(small.world.names)] == others
    assert len(small.world.volumes()) == 1


@real
def test_a_restore_point_that_is_asked_for_and_not_there(small: Small) -> None:
    id_ = "20260101-000000-backup-abcdef"
    (outcome,) = drill.drill(small.fleet, small.drivers, restore_point=id_)
    assert outcome.outcome == "failed"
    assert id_ in outcome.error
    small.world.driver.delete(small.world.driver.get(small.name("a")))
    (missing,) = backup.restore_all(small.fleet, small.drivers, id_=id_)
    assert f"has no restore point {id_}" in missing.error


def test_only_vms_with_the_fleets_mark(small: Small) -> None:
    other = small.world.wanted("z")
    small.world.driver.create(other, Mark("other", other.name, "op"), None)
    with pytest.raises(ModelError, match="has no VM"):
        snapshot.take(small.fleet, small.drivers, [other.name])
    assert drill.reap(small.fleet, small.world.driver) == []
    small.world.driver.delete(small.world.driver.get(other.name))
