"""The jobs, as playbooks, over a site that has none of the fleet's VMs: none passes them over in silence."""

from __future__ import annotations

from pathlib import Path

import pytest
from fleets import Small
from plays import run
from sites import World

ABSENT = "and the site has no VM with its mark"
JOBS = {  # job → what it says
    "health": ABSENT,
    "harden": ABSENT,
    "backup": ABSENT,
    "report": ABSENT,
    "restore": "Name the VMs to restore, as in -e ",
}


@pytest.fixture
def fleet(world: World, tmp_path: Path) -> str:
    return Small(world, tmp_path).fleet.source


@pytest.mark.parametrize("world", ["test"], indirect=True)
@pytest.mark.parametrize(("job", "words"), JOBS.items(), ids=JOBS)
def test_without_vms(fleet: str, tmp_path: Path, job: str, words: str) -> None:
    ran = run("ansible-playbook", f"muster.fleet.{job}", "-e", f"fleet_file={fleet}", "-e", f"report_dir={tmp_path}")
    assert ran.code == 2, ran.output
    assert words in ran.output
    assert "Traceback" not in ran.output


@pytest.mark.parametrize("world", ["test"], indirect=True)
def test_the_whole_in_check_mode(fleet: str) -> None:
    ran = run("ansible-playbook", "muster.fleet.site", "-e", f"fleet_file={fleet}", "--check")
    assert ran.code == 0, ran.output


def test_without_a_fleet_file() -> None:
    ran = run("ansible-playbook", "muster.fleet.provision")
    assert ran.code == 2, ran.output
    assert "Name the fleet file, as in -e fleet_file=fleet.yml. Nothing was changed." in ran.output


@pytest.mark.parametrize("world", ["test"], indirect=True)
@pytest.mark.parametrize(
    ("job", "given", "written"),
    [
        ("inspect", (), "muster-report"),
        ("report", (), "muster-report"),  # it fails for the VMs that are missing, once it is written
        ("inspect", ("-e", "report_dir=out/../day-one"), "day-one"),
    ],
)
def test_the_report_is_where_the_job_was_called(
    fleet: str, tmp_path: Path, job: str, given: tuple[str, ...], written: str
) -> None:
    called = tmp_path / "called"
    called.mkdir()
    argv = (f"muster.fleet.{job}", "-i", "localhost,", "-e", f"fleet_file={fleet}", *given)
    ran = run("ansible-playbook", *argv, cwd=called, PWD=str(called))
    assert [path.name for path in called.iterdir()] == [written], ran.output
    assert (called / written / "report.html").is_file()
    assert ".." not in ran.output
