"""``muster check --site``: what runs is asked for, judged, and left as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fleets import Small
from muster.command.main import main
from sites import World


@pytest.fixture
def small(world: World, tmp_path: Path) -> Small:
    return Small(world, tmp_path)


def check(small: Small, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, dict[str, Any]]:
    code = main(["check", "--site", small.world.access.name, "--fleet", str(small.path), "--format", "json", *more])
    out, err = capsys.readouterr()
    assert err == ""
    return code, json.loads(out)


def test_what_runs_is_judged_and_left_as_it_is(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    small.run()
    before = {vm.name: vm for vm in small.world.driver.list()}
    code, document = check(small, capsys, "--pack", "muster/baseline", "--pack", "muster/resilience")
    assert code == 1
    assert "notes" not in document, "what is not seen of others is the business of an inspection"
    assert document["compliance"]["stage"] == "live"
    assert {vm["name"] for vm in document["vms"]} == {small.name("a"), small.name("b")}
    assert {vm["power"] for vm in document["vms"]} == {"off"}
    found = {(finding["rule"], finding["vm"]) for finding in document["compliance"]["findings"]}
    assert ("tag-owner", small.name("a")) in found
    owned = next(row for row in document["compliance"]["rules"] if row["rule"] == "owned")
    assert (owned["passed"], owned["failed"]) == (2, 0)
    assert {vm.name: vm for vm in small.world.driver.list()} == before


def test_a_vm_that_is_not_there_is_no_pass(small: Small, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever severity is asked for: of a VM that is lost no rule can say anything."""
    small.run()
    small.edit(lambda vms: vms.update(c={}))
    assert small.fleet
    argv = ["check", "--site", small.world.access.name, "--fleet", str(small.path), "--fail-on", "critical"]
    says = f"Not judged, for they are in the fleet file and not at the site: {small.name('c')}."
    assert main(argv) == 1
    assert capsys.readouterr().out.startswith(f"{says}\n")
    assert main([*argv, "--format", "csv", "--output", str(tmp_path / "r.csv")]) == 1
    assert says in capsys.readouterr().out
    code, document = check(small, capsys, "--fail-on", "critical")
    assert (code, document["notes"]) == (1, [says])


def test_a_fleet_that_is_lost_ends_with_2(small: Small, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert small.fleet
    report = tmp_path / "r.txt"
    code = main(["check", "--site", small.world.access.name, "--fleet", str(small.path), "--output", str(report)])
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.startswith(f"Site '{small.world.access.name}': it has none of the fleet's VMs, {small.name('a')} and ")
    assert not report.exists()


def test_a_site_that_does_not_answer_ends_with_2(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    site = small.document["sites"][small.world.access.name]
    site["uri"] = "qemu+unix:///system?socket=/nowhere"
    assert small.fleet
    code = main(["check", "--site", small.world.access.name, "--fleet", str(small.path), "--output", "r.txt"])
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.startswith(f"Site '{small.world.access.name}': ")
    assert err.count("\n") == 1
    assert not Path("r.txt").exists()
