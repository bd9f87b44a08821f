"""The main job over two real guests, from the fleet file to the report, and what an operator does after it.

The tests build on each other, in the order of the file: guests under emulation are too slow to be made for each.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from muster.operations import converge
from muster.operations.session import connected, read_fleet

TOP = Path(__file__).resolve().parents[2]
VMS = ("e2e-db", "e2e-web")


@pytest.fixture(scope="module")
def first(lab: Any) -> dict[str, Any]:
    """The report of the first run, which must succeed."""
    played = lab.play(
        "site", services_playbook=str(TOP / "examples/acme/services.yml"), report_dir=str(lab.folder / "report")
    )
    assert played.code == 0, played.output[-6000:]
    return dict(json.loads((lab.folder / "report/report.json").read_text(encoding="utf-8")))


def test_the_report_is_what_its_schema_says(first: dict[str, Any], lab: Any) -> None:
    schema = json.loads((TOP / "docs/report.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(first)
    page = (lab.folder / "report/report.html").read_text(encoding="utf-8")
    assert "e2e-web" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_every_vm_serves(first: dict[str, Any]) -> None:
    assert {(vm["name"], vm["power"], vm["health"]) for vm in first["vms"]} == {(vm, "on", "healthy") for vm in VMS}
    assert all("Debian" in vm["os"] for vm in first["vms"])


def test_hardening_made_every_guest_better(first: dict[str, Any]) -> None:
    assert sorted(row["vm"] for row in first["hardening"]) == list(VMS)
    for row in first["hardening"]:
        assert row["passed_before"] < row["passed_after"] <= row["total"]


def test_every_recovery_was_proved_from_the_backup(first: dict[str, Any]) -> None:
    backups = {row["vm"]: row["restore_point"] for row in first["backups"]}
    assert sorted(backups) == list(VMS)
    for drill in first["drills"]:
        assert drill["outcome"] == "passed", drill
        assert drill["restore_point"] == backups[drill["vm"]]
        assert 0 < drill["rto_seconds"] <= drill["rto_target"]
        assert 0 < drill["rpo_seconds"] <= drill["rpo_target"]
        asked = {check["name"] for check in drill["checks"]}
        assert {"restore point intact", "isolated", "boots", "is this restore point"} <= asked
        assert any(name.startswith(("http", "command")) for name in asked)


@pytest.mark.parametrize("job", ["provision", "harden"])
def test_a_second_run_changes_nothing(job: str, first: dict[str, Any], lab: Any) -> None:
    played = lab.play(job)
    assert played.code == 0, played.output[-4000:]
    assert set(played.changed.values()) == {0}, played.output[-4000:]


def test_a_flipped_byte_fails_the_drill_of_that_vm_and_no_other(first: dict[str, Any], lab: Any) -> None:
    disk = lab.points("e2e-db")[-1] / "root.qcow2"
    flip(disk, disk.stat().st_size // 2)
    try:
        played = lab.play("recovery_drill")
    finally:
        flip(disk, disk.stat().st_size // 2)
    assert played.code != 0
    assert "VM 'e2e-db' at site 'lab'" in played.text
    assert "root.qcow2" in played.text
    assert "e2e-web' at site 'lab': the recovery drill failed" not in played.text
    with connected(read_fleet(lab.fleet_file)) as drivers:
        assert sorted(vm.name for vm in drivers["lab"].list() if vm.name.startswith("e2e")) == list(VMS)


def flip(path: Path, offset: int) -> None:
    """Flip one bit of a file."""
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def test_a_lost_vm_comes_back_from_its_backup(first: dict[str, Any], lab: Any) -> None:
    fleet = read_fleet(lab.fleet_file)
    with connected(fleet) as drivers:
        (gone,) = converge.remove(fleet, drivers, ["e2e-db"])
        assert gone.changed
    played = lab.play("restore", fleet_vms=["e2e-db"])
    assert played.code == 0, played.output[-4000:]
    played = lab.play("health")
    assert played.code == 0, played.output[-4000:]
    assert set(lab.play("provision").changed.values()) == {0}
