"""Snapshots, restore points and drills under Terraform: taken once, found again, counted by the same retention."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from libvirt_site import boot_image
from muster.drivers.driver import Capability, Denied, Unreachable
from muster.model.vm import VM
from muster.operations import backup, named, snapshot
from muster.operations.repository import Repository
from tf_runs import OFF, Terraform, flat

pytestmark = pytest.mark.parametrize("world", ["test", "qemu", "pve"], indirect=True)


@pytest.fixture
def kept(terraform: Terraform) -> Terraform:
    """One VM, and a repository at its site. A fast site: libvirt's test driver takes snapshots, and no backups."""
    site = terraform.provider["sites"][terraform.world.access.name]
    site["repository"] = str(terraform.folder / "repository")
    terraform.vms = {"a": {**OFF, "protection": {"keep": {"last": 2}}}}
    return terraform


@pytest.fixture
def backed(kept: Terraform) -> Terraform:
    if not {Capability.BACKUP, Capability.ARCHIVE} & kept.world.driver.capabilities:
        pytest.skip("the site takes no backups")
    return kept


def resources(terraform: Terraform, kind: str, **things: dict[str, Any]) -> None:
    """The configuration: the VM, and `things` of it by their names."""
    vms = {key: {"name": terraform.name(key), **vm} for key, vm in terraform.vms.items()}
    more = {name: {"vm": "${muster_vm.a.name}", "name": name, **thing} for name, thing in things.items()}
    terraform.more = {"resource": {"muster_vm": vms, **({kind: more} if more else {})}}


def snapshots(terraform: Terraform) -> list[str]:
    return [one.operation for one in terraform.world.driver.snapshots(terraform.there()["a"])]


def vm_of(terraform: Terraform) -> VM:
    return terraform.world.wanted("a", **OFF)


def repository(terraform: Terraform) -> Repository:
    return Repository(terraform.folder / "repository")


def points(terraform: Terraform) -> list[str]:
    return [point.id for point in repository(terraform).points(vm_of(terraform))[0]]


def fleet_of(terraform: Terraform, **spec: Any) -> Any:
    from muster.model.fleet import Fleet, Site

    world = terraform.world
    access = Site(world.access.name, world.access.platform,
                  {**world.access.options, "repository": str(terraform.folder / "repository")})
    return Fleet(world.fleet, {access.name: access}, (world.wanted("a", **{**OFF, **spec}),))


# Snapshots


def test_a_snapshot(kept: Terraform) -> None:
    resources(kept, "muster_vm_snapshot", before={"description": "before the upgrade"}, free={"hold": False})
    kept.apply()
    assert set(snapshots(kept)) == {"before", "free"}
    state = kept.state()["before"]
    assert (state["description"], state["hold"], state["created"][-1]) == ("before the upgrade", True, "Z")
    assert kept.plan() == {}
    [done] = snapshot.retain(fleet_of(kept), {kept.world.access.name: kept.world.driver}, count=0)
    assert done.removed == (kept.state()["free"]["id"],)  # the one that is not on hold
    assert kept.plan() == {"free": ["create"]}
    resources(kept, "muster_vm_snapshot", before={"description": "something else"})
    assert kept.plan() == {"before": ["delete", "create"], "free": ["delete"]} or \
        kept.plan() == {"before": ["delete", "create"]}
    kept.apply()
    assert snapshots(kept) == ["before"]
    resources(kept, "muster_vm_snapshot")
    kept.apply()
    assert snapshots(kept) == []
    assert kept.there().keys() == {"a"}


def test_a_snapshot_whose_answer_was_lost(kept: Terraform) -> None:
    """It is adopted; one of its name that was taken for something else is not."""
    resources(kept, "muster_vm_snapshot")
    kept.apply()
    driver = kept.world.driver
    driver.take_snapshot(kept.there()["a"], "before", "mine", True)
    resources(kept, "muster_vm_snapshot", before={"description": "other"})
    assert "with the description 'mine' and hold True, and was left as it is" in flat(kept.apply(code=1))
    assert kept.state().keys() == {"a"}
    resources(kept, "muster_vm_snapshot", before={"description": "mine"})
    kept.apply()
    assert snapshots(kept) == ["before"]
    assert kept.plan() == {}


def test_import_of_a_snapshot(kept: Terraform) -> None:
    resources(kept, "muster_vm_snapshot")
    kept.apply()
    [done] = snapshot.take(fleet_of(kept), {kept.world.access.name: kept.world.driver}, description="nightly")
    name = snapshots(kept)[0]
    resources(kept, "muster_vm_snapshot", one={"name": name, "description": "nightly", "hold": False})
    for wrong in ("x", f"{kept.name('a')}/nothing", f"moon/{kept.name('a')}/{name}", "a/b/c/d", f"../{name}"):
        assert "Unable to import" in flat(kept.run("import", "muster_vm_snapshot.one", wrong, code=1))
    kept.run("import", "muster_vm_snapshot.one", f"{kept.world.access.name}/{kept.name('a')}/{name}")
    assert kept.state()["one"]["id"] == done.id
    assert kept.plan() == {}


def test_create_before_destroy_of_a_snapshot_deletes_nothing(kept: Terraform) -> None:
    one = {"description": "x", "lifecycle": {"create_before_destroy": True}}
    resources(kept, "muster_vm_snapshot", before=one)
    kept.apply()
    assert "remove create_before_destroy" in flat(kept.apply("-replace=muster_vm_snapshot.before", code=1))
    assert snapshots(kept) == ["before"]


@pytest.mark.parametrize("error", [Unreachable, Denied, None])
def test_what_is_not_a_proof_keeps_the_snapshot_in_the_state(
    kept: Terraform, monkeypatch: pytest.MonkeyPatch, error: Any
) -> None:
    resources(kept, "muster_vm_snapshot", before={})
    kept.apply()
    state = kept.state()

    def failing(self: Any, *_: Any) -> list[Any]:
        if error is None:
            return []
        raise error("it does not answer", site=self.site)

    with monkeypatch.context() as planted:
        for question in ("list",) if error is None else ("snapshots", "snapshots_of_all"):
            planted.setattr(type(kept.world.driver), question, failing)
        assert "Unable to read" in kept.refused()
        kept.run("apply", "-auto-approve", "-refresh-only", code=1)
        kept.run("destroy", "-auto-approve", code=1)
    assert kept.state() == state
    assert kept.plan() == {}


def test_a_snapshot_of_a_vm_that_is_not_there(kept: Terraform) -> None:
    kept.vms["b"] = OFF
    resources(kept, "muster_vm_snapshot", before={"vm": kept.name("c")})
    assert "no VM that bears the mark of the fleet" in flat(kept.apply(code=1))
    assert kept.there().keys() == {"a", "b"}


def test_destroy_takes_the_snapshot_and_the_vm(kept: Terraform) -> None:
    resources(kept, "muster_vm_snapshot", before={})
    kept.apply()
    kept.run("destroy", "-auto-approve")
    assert kept.there() == {}
    assert kept.state() == {}


# Restore points


def test_a_restore_point(backed: Terraform) -> None:
    """Taken once; retention is the VM's own and counts it like those of Ansible."""
    resources(backed, "muster_restore_point", release={})
    backed.apply()
    [taken] = points(backed)
    state = backed.state()["release"]
    assert (state["id"], state["taken"], state["consistency"]) == (taken, "full", "offline")
    assert state["bytes"] > 0
    assert backed.plan() == {}
    drivers = {backed.world.access.name: backed.world.driver}
    keep = {"protection": {"keep": {"last": 2}}}
    for _number in range(2):
        [done] = backup.backup(fleet_of(backed, **keep), drivers, kind="full")
        assert done.error == ""
    assert done.pruned == (taken,)
    assert backed.plan() == {"release": ["create"]}
    backed.apply()
    assert len(points(backed)) == 2  # as the VM's own keep says, which nobody told the resource
    assert backed.plan() == {}


def test_a_restore_point_that_is_let_go(backed: Terraform) -> None:
    resources(backed, "muster_restore_point", release={})
    backed.apply()
    before = points(backed)
    resources(backed, "muster_restore_point")
    assert "deletes no backup" in flat(backed.run("plan"))
    backed.apply()
    assert points(backed) == before
    resources(backed, "muster_restore_point", release={"kind": "full"})
    backed.apply()
    assert len(points(backed)) == 2  # a new one, not the old one adopted
    assert backed.state()["release"]["id"] not in before


def test_a_restore_point_whose_answer_was_lost(backed: Terraform) -> None:
    """The name is known before the backup begins: whatever was left is carried on with under its id."""
    resources(backed, "muster_restore_point")
    backed.apply()
    drivers = {backed.world.access.name: backed.world.driver}
    [done] = backup.backup(fleet_of(backed), drivers, name="release")
    resources(backed, "muster_restore_point", release={})
    backed.apply()
    assert points(backed) == [done.restore_point] == [backed.state()["release"]["id"]]
    begun = "20260101-000000-backup-abcdef"  # an archive may bear that id already
    named.give(repository(backed), vm_of(backed), "second", begun)
    resources(backed, "muster_restore_point", release={}, second={"kind": "full"})
    backed.apply()
    assert backed.state()["second"]["id"] == begun
    assert sorted(points(backed)) == sorted([begun, done.restore_point])


@pytest.mark.parametrize("asked", [{}, {"kind": "full"}, {"kind": "auto"}])
def test_import_of_a_restore_point(backed: Terraform, asked: dict[str, Any]) -> None:
    resources(backed, "muster_restore_point", release=asked)
    backed.apply()
    state = backed.state()["release"]
    site, vm = backed.world.access.name, backed.name("a")
    for id_ in (state["id"], "release"):
        backed.run("state", "rm", "muster_restore_point.release")
        backed.run("import", "muster_restore_point.release", f"{site}/{vm}/{id_}")
        assert backed.state()["release"] == {**state, "kind": "full"}  # how it was taken: how it was asked for is lost
        assert backed.plan() == {}
    assert "no restore point of that name or id" in flat(
        backed.run("import", "muster_restore_point.release", f"{site}/{vm}/nothing", code=1))


def test_import_of_a_restore_point_without_a_name(backed: Terraform) -> None:
    """Ansible's: it is given the name of the configuration, and no second one is taken."""
    resources(backed, "muster_restore_point", other={})
    backed.apply()
    drivers = {backed.world.access.name: backed.world.driver}
    [done] = backup.backup(fleet_of(backed), drivers, kind="full")
    resources(backed, "muster_restore_point", other={}, release={"kind": "full"})
    backed.run("import", "muster_restore_point.release", f"{backed.name('a')}/{done.restore_point}")
    assert backed.plan() == {"release": ["update"]}
    backed.apply()
    assert backed.plan() == {}
    assert named.of(repository(backed), vm_of(backed), "release") == done.restore_point
    assert backed.state()["release"]["id"] == done.restore_point
    assert len(points(backed)) == 2
    backed.run("state", "rm", "muster_restore_point.release")
    backed.run("import", "muster_restore_point.release", f"{backed.name('a')}/release")
    assert backed.plan() == {}
    named.release(repository(backed), vm_of(backed), [done.restore_point])
    backed.run("state", "rm", "muster_restore_point.release")
    backed.run("import", "muster_restore_point.release", f"{backed.name('a')}/{done.restore_point}")
    resources(backed, "muster_restore_point", other={}, release={"name": "other"})
    assert "'other' is the name of another restore point" in backed.refused()
    resources(backed, "muster_restore_point", other={}, release={"name": "release", "vm": "another"})
    assert backed.plan() == {"release": ["delete", "create"]}


def test_a_repository_that_is_not_there_keeps_the_state(backed: Terraform) -> None:
    resources(backed, "muster_restore_point", release={})
    backed.apply()
    state, root = backed.state(), backed.folder / "repository"
    root.rename(backed.folder / "elsewhere")
    assert "has no restore point of VM" in backed.refused()
    root.mkdir()
    assert "is the repository there and mounted?" in backed.refused()
    root.rmdir()
    (backed.folder / "elsewhere").rename(root)
    manifest = next(root.rglob("manifest.json"))
    text = manifest.read_bytes()
    manifest.write_bytes(text.replace(b'"', b"'", 1))
    assert "is damaged" in backed.refused()
    manifest.write_bytes(text)
    assert backed.state() == state
    assert backed.plan() == {}


def test_a_repository_that_cannot_be_written(backed: Terraform) -> None:
    resources(backed, "muster_restore_point")
    backed.apply()
    (backed.folder / "repository").write_text("a file")
    resources(backed, "muster_restore_point", release={})
    said = flat(backed.apply(code=1))
    assert "Unable to take the restore point 'release'" in said
    assert "cannot be" in said
    assert backed.state().keys() == {"a"}


def test_a_site_without_a_repository(backed: Terraform) -> None:
    backed.provider["sites"][backed.world.access.name].pop("repository")
    resources(backed, "muster_restore_point")
    backed.apply()
    resources(backed, "muster_restore_point", release={"kind": "weekly"})
    assert "'weekly' is no kind of a backup" in backed.refused()
    resources(backed, "muster_restore_point", release={})
    assert "its site names no repository" in backed.refused()


# Drills


def test_what_a_plan_can_know_of_drills(kept: Terraform) -> None:
    resources(kept, "muster_vm_snapshot")
    kept.more["data"] = {"muster_drill": {"a": {"vm": "${muster_vm.a.name}"}}}
    kept.more["output"] = {"drill": {"value": "${data.muster_drill.a}"}, "gate": {
        "value": "ok", "precondition": {"condition": '${data.muster_drill.a.outcome == "passed"}',
                                        "error_message": "The recovery of this VM is not drilled."}}}
    root = Path(kept.folder / "repository")
    assert "nobody knows how a drill ended" in flat(kept.apply(code=1))
    root.mkdir()
    assert "is not drilled" in flat(kept.apply(code=1))
    record = {"restore_point": "20260101-000000-backup-abcdef", "time": 1767225600, "rto_seconds": 61.5,
              "rpo_seconds": 12.0}
    repository(kept).record_drill(vm_of(kept), {**record, "outcome": "passed"})
    kept.apply()
    shown = json.loads(kept.run("output", "-json"))["drill"]["value"]
    assert shown["outcome"] == "passed"
    assert (shown["time"], shown["last_passed"]) == ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z")
    assert (shown["rto_seconds"], shown["restore_point"]) == (61.5, record["restore_point"])
    repository(kept).record_drill(vm_of(kept), {**record, "outcome": "failed", "time": int(time.time())})
    assert "is not drilled" in kept.refused()
    repository(kept).record_drill(vm_of(kept), {"outcome": ["x"], "time": 1767225600, "rto_seconds": "fast"})
    assert "is not drilled" in kept.refused()
    shutil.rmtree(root)


def test_backups_of_a_guest_that_runs(backed: Terraform, tmp_path: Path) -> None:
    """A full, then what changed since: both of a running VM."""
    if not backed.world.real:
        pytest.skip("no guest runs there")
    assert boot_image(tmp_path).path.exists()
    backed.vms["a"]["power"] = "on"
    resources(backed, "muster_restore_point", one={}, two={"depends_on": ["muster_restore_point.one"]})
    backed.apply()
    state = backed.state()
    assert [state[name]["taken"] for name in ("one", "two")] == ["full", "incremental"]
    assert backed.plan() == {}
