"""Restore points whose disks the platform keeps: backed up, drilled, restored and pruned like all others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fleets import Small
from muster.drivers.driver import Conflict
from muster.model.errors import ModelError
from muster.operations import backup, drill
from muster.operations.backup import Outcome
from proxmox_site import ProxmoxWorld, on_proxmox
from test_proxmox_making import template

pytestmark = on_proxmox
SPEC: dict[str, Any] = {
    "image": "debian",
    "power": "on",
    "nics": [{"network": "vmbr0"}],
    "health": [{"command": {"run": ["true"]}}],
    "protection": {"rpo": "1h", "rto": "15m", "keep": {"last": 2}},
}


STAMP = "cat /var/lib/muster/stamp"


class Guests(list[Any]):
    """fakepve runs nothing: each guest that is made has an agent, and all of them answer alike."""

    def __init__(self, vms: list[Any]) -> None:
        super().__init__(vms)
        self.agent: dict[str, Any] = {"exec": {}}

    def append(self, vm: Any) -> None:
        vm.agent = self.agent
        super().append(vm)


@pytest.fixture
def small(world: ProxmoxWorld, tmp_path: Path) -> Small:
    """A fleet of one VM that runs, made of a template."""
    template(world)
    world.fake.vms = Guests(world.fake.vms)
    fleet = Small(world, tmp_path, a=SPEC)
    fleet.document["sites"]["pve"]["images"] = {"debian": {"template": "debian-12"}}
    (outcome,) = fleet.run()
    assert outcome.error == ""
    return fleet


def taken(small: Small) -> Outcome:
    (outcome,) = backup.backup(small.fleet, small.drivers)
    assert outcome.error == ""
    return outcome


def test_the_manifest_is_ours_and_the_disks_are_the_sites(small: Small) -> None:
    first, second = taken(small), taken(small)
    assert (first.kind, first.consistency, first.bytes) == ("full", "filesystem", 1234)
    assert second.why == "the platform keeps its backups whole"
    driver = small.world.driver
    kept = driver.archives(driver.get(small.name("a")))
    assert [archive.restore_point for archive in kept] == [first.restore_point, second.restore_point]


def test_retention_deletes_both(small: Small) -> None:
    first = taken(small)
    taken(small)
    third = taken(small)
    assert third.pruned == (first.restore_point,)
    driver = small.world.driver
    assert len(driver.archives(driver.get(small.name("a")))) == 2


def test_a_lost_vm_is_restored(small: Small) -> None:
    point = taken(small).restore_point
    driver = small.world.driver
    vm = driver.get(small.name("a"))
    with pytest.raises(Conflict, match="it still exists, so nothing was restored over it"):
        backup.restore(small.fleet, driver, small.fleet.vms[0])
    driver.delete(vm)
    now = backup.restore(small.fleet, driver, small.fleet.vms[0], point)
    assert (now.uuid, now.power) == (vm.uuid, "on")
    assert [outcome.changed for outcome in small.run()] == [False]


def test_a_backup_that_is_gone_is_said_before_anything_is_made(small: Small) -> None:
    taken(small)
    driver = small.world.driver
    vm = driver.get(small.name("a"))
    driver.delete_archive(vm, driver.archives(vm)[0])
    driver.delete(vm)
    before = small.world.picture()
    with pytest.raises(ModelError, match=r"is gone: the site has no backup local:backup/vzdump.*Nothing was restored"):
        backup.restore(small.fleet, driver, small.fleet.vms[0])
    assert small.world.picture() == before


def test_a_backup_that_was_replaced_is_no_restore_point(small: Small) -> None:
    taken(small)
    (volume,) = [one for one in small.world.fake.storages["local"]["volumes"].values()  # type: ignore[attr-defined]
                 if one["content"] == "backup"]
    volume["size"] += 1
    (outcome,) = drill.drill(small.fleet, small.drivers)
    assert outcome.outcome == "failed"
    assert "is not the backup that was taken for it" in outcome.error


@pytest.mark.parametrize(("stamp", "outcome"), [("", "passed"), ("another", "failed")])
def test_a_drill(small: Small, stamp: str, outcome: str) -> None:
    point = taken(small).restore_point
    fake: Any = small.world.fake  # type: ignore[attr-defined]
    before = small.world.picture()
    fake.vms.agent["exec"][STAMP] = {"out-data": stamp or point}
    (found,) = drill.drill(small.fleet, small.drivers)
    assert found.outcome == outcome, found.error
    assert [check.name for check in found.checks][:4] == [
        "restore point kept", "isolated", "boots", "is this restore point",
    ]
    assert found.rto_seconds is not None or stamp
    assert small.world.picture() == before
