"""The modules, through the real ansible-playbook and against real QEMU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from fleets import Small
from libvirt_site import real
from plays import fleet_task, play
from sites import World


@pytest.fixture
def small(world: World, tmp_path: Path) -> Small:
    return Small(world, tmp_path)


@real
def test_fleet(small: Small, tmp_path: Path) -> None:
    task = fleet_task(small, wait=False)
    ran = play(tmp_path, {
        "predicted": {**task, "check_mode": True, "diff": True},
        "still nothing": fleet_task(small, "vm_info"),
        "made": {**task, "diff": True},
        "again": task,
        "known": fleet_task(small, "vm_info", gather=["health", "snapshots", "restore_points"]),
    })  # fmt: skip
    assert ran.code == 0, ran.output
    found = ran.results
    assert found["predicted"]["changed"]
    assert found["still nothing"]["vms"] == []
    assert [[vm[key] for key in ("vm", "how", "changes")] for vm in found["made"]["vms"]] == [
        [vm[key] for key in ("vm", "how", "changes")] for vm in found["predicted"]["vms"]
    ]
    assert found["made"]["diff"] == found["predicted"]["diff"]
    assert set(found["made"]["diff"]["after"]) == {small.name("a"), small.name("b")}
    assert found["made"]["changed"]
    assert not found["again"]["changed"]
    assert {vm["name"] for vm in found["known"]["vms"]} == {small.name("a"), small.name("b")}
    assert all(vm["memory"] == 32 << 20 and vm["power"] == "off" for vm in found["known"]["vms"])
    assert found["known"]["fleet"]["name"] == small.world.fleet


@real
def test_fleet_that_may_not(small: Small, tmp_path: Path) -> None:
    small.edit(lambda vms: vms.pop("b"))
    small.edit(lambda vms: vms["a"].update(power="on", cpus=3))
    small.run()
    small.edit(lambda vms: vms["a"].update(cpus=1))
    before = small.world.picture()
    found = play(tmp_path, {"refused": fleet_task(small, wait=False)}).results["refused"]
    assert found["failed"]
    assert "allow_power_cycle" in found["msg"]
    assert small.world.picture() == before


@real
def test_a_canary_that_fails_stops_the_fleet(small: Small, tmp_path: Path) -> None:
    """The disk of a VM that somebody undefined is in the way, so the first VM cannot be made."""
    small.edit(lambda vms: [vms.pop(name) for name in list(vms) if name != "a"])
    small.run()
    small.world.remove(small.world.driver.get(small.name("a")))
    small.edit(lambda vms: vms.update(b={}, c={}))
    found = play(tmp_path, {
        "stopped": fleet_task(small, wait=False),
        "no size": fleet_task(small, wait=False, waves=["1", "half"]),
        "all": fleet_task(small, wait=False, waves=["100%"]),
    }).results  # fmt: skip
    left = f"2 VMs were not begun and are as they were: {small.name('b')}, {small.name('c')}."
    first, second = found["stopped"]["msg"].splitlines()
    assert first.startswith(f"VM '{small.name('a')}' at site")
    assert "exists already" in first
    assert second == left
    assert {vm["vm"]: vm["how"] for vm in found["stopped"]["vms"]}[small.name("c")] == "not_begun"
    assert not found["stopped"]["changed"]
    assert "'half' is no size of a wave" in found["no size"]["msg"]
    assert "exists already" in found["all"]["msg"]
    assert left not in found["all"]["msg"]
    assert small.there() == {"b", "c"}


@real
def test_vm(world: World, tmp_path: Path) -> None:
    name = f"{world.names}-probe"
    common = {
        "name": name,
        "fleet": world.fleet,
        "site": {"name": "lab", "platform": "libvirt", **world.access.options},
    }

    def vm(**options: Any) -> dict[str, Any]:
        return {"muster.fleet.vm": {**common, **options}}

    tiny = {"cpus": 1, "memory": "32 MiB", "disks": [{"size": "1 MiB"}], "power": "off"}
    ran = play(tmp_path, {
        "predicted": {**vm(**tiny), "check_mode": True},
        "made": vm(**tiny),
        "again": vm(**tiny),
        "one field": vm(cpus=2),
        "absent predicted": {**vm(state="absent"), "check_mode": True},
        "bad": vm(cpus=0, memory="a lot"),
        "shrink": vm(disks=[{"size": "1 MiB", "name": "root"}], memory="16 MiB", firmware="uefi"),
        "gone": vm(state="absent"),
        "gone again": vm(state="absent"),
    })  # fmt: skip
    found = ran.results
    assert {key: found[key]["changed"] for key in found} == {
        "predicted": True, "made": True, "again": False, "one field": True, "absent predicted": True, "bad": False,
        "shrink": False, "gone": True, "gone again": False,
    }  # fmt: skip
    assert found["predicted"]["vm"] == {}
    assert found["predicted"]["changes"] == found["made"]["changes"]
    assert found["made"]["vm"]["owned"] is True
    assert found["one field"]["changes"] == ["cpus: 1 → 2 (live)"]
    assert found["one field"]["vm"]["memory"] == 32 << 20
    assert found["bad"]["failed"]
    assert "cpus" in found["bad"]["msg"]
    assert "memory" in found["bad"]["msg"]
    assert "Traceback" not in ran.output
    assert "allow_replace" in found["shrink"]["msg"]
    assert world.volumes() == []


@real
def test_vm_snapshot(small: Small, tmp_path: Path) -> None:
    small.edit(lambda vms: vms.pop("b"))
    small.run()

    def task(**options: Any) -> dict[str, Any]:
        return fleet_task(small, "vm_snapshot", **options)

    ran = play(tmp_path, {
        "predicted": {**task(id="one"), "check_mode": True},
        "taken": task(id="one", description="before"),
        "adopted": task(id="one"),
        "second": task(id="two", count=1, age="72h"),
        "listed": task(state="listed"),
        "back": task(state="reverted", id="two"),
        "missing": task(state="reverted", id="one"),
        "removed": task(state="absent", id="two"),
        "removed again": task(state="absent", id="two"),
        "no id": task(state="absent"),
        "bad age": task(age="soon"),
    })  # fmt: skip
    found = ran.results
    assert {key: found[key]["changed"] for key in found} == {
        "predicted": True, "taken": True, "adopted": False, "second": True, "listed": False, "back": True,
        "missing": False, "removed": True, "removed again": False, "no id": False, "bad age": False,
    }  # fmt: skip
    assert found["second"]["vms"][0]["removed"] == ["muster-one"]
    assert [one["operation"] for one in found["listed"]["vms"][0]["snapshots"]] == ["two"]
    assert "it has no snapshot 'one'" in found["missing"]["msg"]
    assert found["no id"]["failed"]
    assert found["bad age"]["msg"].startswith("age: 'soon' is not a duration")


@real
def test_backup_and_drill(small: Small, tmp_path: Path) -> None:
    small.edit(lambda vms: vms.pop("b"))
    small.run()
    ran = play(tmp_path, {
        "none yet": fleet_task(small, "recovery_drill"),
        "predicted": {**fleet_task(small, "vm_backup"), "check_mode": True},
        "taken": fleet_task(small, "vm_backup"),
        "in the way": fleet_task(small, "vm_backup", state="restored"),
        "known": fleet_task(small, "vm_info", gather=["restore_points"]),
        "drill in check mode": {**fleet_task(small, "recovery_drill"), "check_mode": True},
    })  # fmt: skip
    found = ran.results
    assert found["none yet"]["failed"]
    assert found["none yet"]["vms"][0]["outcome"] == "not_tested"
    assert "could not be tested" in found["none yet"]["msg"]
    assert found["predicted"]["changed"]
    assert found["taken"]["changed"]
    point = found["taken"]["vms"][0]["restore_point"]
    assert [one["id"] for one in found["known"]["vms"][0]["restore_points"]] == [point]
    assert "it still exists" in found["in the way"]["msg"]
    assert found["drill in check mode"]["vms"] == []


BAD = yaml.safe_load((Path(__file__).parent / "bad_fleets.yml").read_text(encoding="utf-8"))


@real
def test_broken_fleet_files_get_one_sentence(world: World, tmp_path: Path) -> None:
    """All in one run; each fails with its sentence, and none with a traceback."""
    tasks = {}
    for index, case in enumerate(BAD):
        path = tmp_path / f"{index}.yml"
        path.write_text(case["fleet"].replace("URI", world.uri).replace("POOL", world.pool), encoding="utf-8")
        tasks[case["name"]] = {"muster.fleet.fleet": {"fleet_file": str(path), "wait": False}}
    tasks["missing"] = {"muster.fleet.fleet": {"fleet_file": str(tmp_path / "none.yml")}}
    before = world.picture()
    ran = play(tmp_path, tasks)
    assert "Traceback" not in ran.output
    for case in [*BAD, {"name": "missing", "says": "the fleet file cannot be read: No such file or directory"}]:
        result = ran.results[case["name"]]
        assert result["failed"], case["name"]
        assert case["says"] in result["msg"], case["name"]
        assert len(result["msg"].splitlines()) == 1, case["name"]
    assert world.picture() == before


def test_the_exit_code_of_a_refusal(tmp_path: Path) -> None:
    from plays import run

    book = tmp_path / "play.yml"
    task = {"name": "Fail", "muster.fleet.fleet": {"fleet_file": str(tmp_path / "none.yml")}}
    python = {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    play = {"name": "A test", "hosts": "localhost", "gather_facts": False, "vars": python, "tasks": [task]}
    book.write_text(yaml.safe_dump([play]))
    ran = run("ansible-playbook", "-i", "localhost,", "-c", "local", str(book))
    assert ran.code == 2
    assert "cannot be read: No such file" in ran.output
