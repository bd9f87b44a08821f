"""The provider as a process of its own, on real QEMU: installed, killed at any moment, and what a running VM allows."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from libvirt_site import real
from muster.operations.repository import Repository
from muster_provider.install import install
from sites import World
from tf_runs import OFF, Terraform, flat, starting

pytestmark = real
VMS, KILLS = (20, 30) if os.environ.get("MUSTER_LONG") else (4, 4)


@pytest.fixture
def started(world: World, tmp_path: Path) -> Terraform:
    """Terraform that starts the provider itself."""
    planted = f"sys.path.insert(0, {str(Path(__file__).parent)!r})\nimport killed\nkilled.plant()\n"
    return starting(world, tmp_path, planted, MUSTER_TEST_CHANGES=str(tmp_path / "changes"))


def test_installed_and_found_by_init(world: World, tmp_path: Path) -> None:
    """`make install-provider`, `terraform init`, and what a first plan says."""
    install(tmp_path / "mirror")
    settings = tmp_path / "settings.tfrc"
    settings.write_text(f'provider_installation {{\n  filesystem_mirror {{ path = "{tmp_path / "mirror"}" }}\n}}\n')
    (tmp_path / "run").mkdir()
    terraform = Terraform(world, tmp_path / "run", {"TF_CLI_CONFIG_FILE": str(settings)})
    terraform.vms = {"a": OFF}
    assert "successfully initialized" in terraform.run("init")
    assert terraform.plan() == {"a": ["create"]}
    alone = subprocess.run([sys.executable, "-m", "muster_provider.main"], capture_output=True, text=True, check=False)
    assert (alone.returncode, alone.stdout) == (1, "")
    assert "Terraform and OpenTofu start it by themselves" in alone.stderr


def test_killed_at_any_moment_of_an_apply(started: Terraform, tmp_path: Path) -> None:
    """Whatever was half made: the next apply ends with exactly the VMs of the configuration, and an empty plan."""
    vms = {f"v{number}": {**OFF, "nics": [{"network": "user"}]} for number in range(VMS)}
    started.vms = vms
    started.apply()
    assert started.there().keys() == vms.keys()
    changes = len((tmp_path / "changes").read_text().splitlines())
    assert changes >= 3 * VMS
    seed = int(os.environ.get("MUSTER_SEED", random.randrange(1 << 30)))
    print(f"seed {seed}, {changes} changes of the world in one apply")
    for moment in random.Random(seed).sample(range(2 * changes), KILLS):
        started.run("destroy", "-auto-approve")
        started.apply(code=1, MUSTER_TEST_KILL=str(moment))
        started.apply()
        there = started.there()
        assert there.keys() == vms.keys(), f"moment {moment}"
        assert {state["uuid"] for state in started.state().values()} == {vm.uuid for vm in there.values()}
        assert started.plan() == {}, f"moment {moment}"
    started.run("destroy", "-auto-approve")
    assert started.there() == {}
    assert [name for name in started.world.volumes() if name.startswith(started.world.names)] == []


def test_killed_while_it_deletes(started: Terraform) -> None:
    started.vms = {"a": OFF, "b": OFF}
    started.apply()
    started.run("destroy", "-auto-approve", code=1, MUSTER_TEST_KILL="1")
    started.run("destroy", "-auto-approve")
    assert started.there() == {}
    assert started.state() == {}


def test_killed_while_it_keeps(started: Terraform, tmp_path: Path) -> None:
    """One snapshot and one restore point, whenever it is killed; and one snapshot less."""
    world = started.world
    started.provider["sites"][world.access.name]["repository"] = str(tmp_path / "repository")
    vm = {"a": {"name": started.name("a"), **OFF}}
    repository, wanted = Repository(tmp_path / "repository"), world.wanted("a", **OFF)

    def ask(name: str | None) -> None:
        kept = {name: {"vm": "${muster_vm.a.name}", "name": name}}
        started.more = {"resource": {"muster_vm": vm, **(
            {"muster_vm_snapshot": kept, "muster_restore_point": kept} if name else {})}}

    ask(None)
    started.apply()
    for moment in range(2 * 4):  # a snapshot; the folder, the name and the manifest of a restore point
        ask(f"n{moment}")
        started.apply(code=1, MUSTER_TEST_KILL=str(moment))
        started.apply()
        assert started.plan() == {}, f"moment {moment}"
        assert [one.operation for one in world.driver.snapshots(started.there()["a"])] == [f"n{moment}"]
        assert len(repository.points(wanted)[0]) == moment + 1
        assert not list((tmp_path / "repository").rglob(".part-*"))
        ask(None)
        started.apply(code=1, MUSTER_TEST_KILL=str(moment % 2))
        started.apply()
        assert world.driver.snapshots(started.there()["a"]) == []
        assert started.plan() == {}


def test_a_power_cycle_needs_leave(started: Terraform) -> None:
    started.vms = {"a": {**OFF, "power": "on", "nics": [{"network": "user"}]}}
    started.apply()
    assert started.there()["a"].power == "on"
    started.vms["a"]["nics"] = [{"network": "user", "mac": "52:54:00:12:34:56"}]
    assert "needs a power cycle, which this run does not allow" in started.refused()
    started.provider["allow_power_cycle"] = True
    assert "will be restarted" in flat(started.run("plan"))
