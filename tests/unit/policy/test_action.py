"""The action ``check`` as a playbook calls it: real Ansible, the collection as it is, no connection."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
WAIVERS = """\
waivers:
  - {rule: rpo-set, vms: [web], reason: Rebuilt from its image., approver: E. Roth, until: 2999-12-31}
"""
DOCUMENT = {"name": "web", "site": "lab", "tags": {"owner": "{{ 7 * 7 }}"}, "guest": {"x": 1}}
PACK = """\
pack: ours
version: 0.1.0
title: Ours
rules:
  - id: guest-x
    title: X is 2
    severity: critical
    stages: [guest]
    expect: guest.x == `2`
    why: Because.
    fix: {sshd: {X: "2"}}
    tests: {pass: [{guest: {x: 2}}], fail: [{guest: {x: 1}}]}
"""
TASKS: dict[str, dict[str, Any]] = {
    "spec": {"stage": "spec", "packs": ["muster/baseline"], "waivers": "waivers.yml"},
    "gate": {"stage": "spec", "packs": ["muster/baseline"], "waivers": "waivers.yml", "fail_on": "high"},
    "gate_of_one": {"stage": "guest", "packs": ["ours.yml"], "guests": {"web": {"x": 1}}, "fail_on": "low"},
    "gate_not_hit": {"stage": "spec", "packs": ["muster/baseline"], "fail_on": "critical"},
    "guest": {"stage": ["live", "guest"], "packs": ["ours.yml"], "report": "build/report", "run": {"fleet": "acme"}},
    "one_strange": {"stage": "guest", "packs": ["ours.yml"], "documents": [DOCUMENT, {"name": "db"}],
                    "guests": {"db": {"x": 1 << 70}}},
    "all_strange": {"stage": "guest", "packs": ["ours.yml"], "guests": {"web": {"x": 1 << 70}}},
    "no_mapping": {"stage": "guest", "packs": ["ours.yml"], "guests": {"web": "gotcha"}},
    "plan": {"documents": None, "plan": "plan.json", "packs": ["muster/baseline"], "report": "build/planned",
             "frameworks": ["hipaa"], "formats": ["sarif", "junit", "csv", "oscal"]},
    "bad_plan": {"documents": None, "plan": "ours.yml", "packs": ["muster/baseline"]},
    "no_framework": {"stage": "spec", "packs": ["muster/baseline"], "frameworks": ["hippa"]},
    "nothing": {"documents": None, "packs": ["muster/baseline"]},
    "no_pack": {"stage": "spec", "packs": ["muster/nothing"]},
    "no_stage": {"stage": "speck", "packs": ["muster/baseline"]},
}


def play(folder: Path, *options: str) -> dict[str, Any]:
    """The result of each task, by its name, of one run of ansible-playbook."""
    collections = folder / "collections" / "ansible_collections" / "muster"
    collections.mkdir(parents=True, exist_ok=True)
    if not (collections / "fleet").exists():
        (collections / "fleet").symlink_to(ROOT)
    (folder / "waivers.yml").write_text(WAIVERS, encoding="utf-8")
    (folder / "ours.yml").write_text(PACK, encoding="utf-8")
    (folder / "plan.json").write_text((ROOT / "examples" / "plan" / "ten-faults.json").read_text(encoding="utf-8"),
                                      encoding="utf-8")
    tasks = []
    for name, arguments in TASKS.items():
        given = {key: value for key, value in {"documents": [DOCUMENT], **arguments}.items() if value is not None}
        tasks.append({"name": name, "muster.fleet.check": given, "ignore_errors": True})
    # The host cannot be reached: the action must not try.
    plays = [{"hosts": "all", "gather_facts": False, "tasks": tasks}]
    (folder / "play.json").write_text(json.dumps(plays), encoding="utf-8")
    environment = {
        **os.environ, "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"), "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_STDOUT_CALLBACK": "default", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_NOCOLOR": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", "nowhere.invalid,", "-vv", *options, "play.json"],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return _results(done.stdout)


def _results(output: str) -> dict[str, Any]:
    """The JSON that follows ``=>`` in each task's part of the output."""
    results = {}
    for part in output.split("\nTASK [")[1:]:
        start = part.index("=> {") + 3
        result = json.JSONDecoder().raw_decode(part[start:])[0]
        results[part[: part.index("]")]] = {**result, "failed": "FAILED! => {" in part[: start + 1]}
    return results


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return play(tmp_path_factory.mktemp("play"))


def test_it_returns_compliance_and_changes_nothing(results: dict[str, Any]) -> None:
    compliance = results["spec"]["compliance"]
    assert results["spec"]["changed"] is False
    assert compliance["passed"] >= 1
    assert compliance["waived"] == 1
    assert {"rpo-set": "waived", "rto-set": "fail"}.items() <= {
        finding["rule"]: finding["outcome"] for finding in compliance["findings"]}.items()


def test_the_gate_names_what_hit_it(results: dict[str, Any]) -> None:
    assert results["gate"]["failed"] is True
    assert "[rto-set] web at lab: protection.rto is not set." in results["gate"]["msg"]
    assert results["gate_of_one"]["msg"].startswith("1 finding of severity low or worse. ")
    assert results["gate"]["compliance"]["failed"] > 0
    assert not results["gate_not_hit"]["failed"]


def test_guests_get_their_settings_and_the_report_is_written(results: dict[str, Any]) -> None:
    result = results["guest"]
    assert result["settings"] == {"web": {"sshd": {"X": "2"}}}
    assert "web" in result["table"]
    report = json.loads(Path(result["json"]).read_text(encoding="utf-8"))
    assert report["fleet"] == "acme"
    assert report["compliance"]["failed"] == 1
    assert "<h1>acme</h1>" in Path(result["html"]).read_text(encoding="utf-8")


def test_a_guest_with_strange_facts_does_not_stop_the_others(results: dict[str, Any]) -> None:
    result = results["one_strange"]
    assert not result["failed"]
    assert result["settings"] == {"web": {"sshd": {"X": "2"}}}
    outcomes = {finding["vm"]: finding["outcome"] for finding in result["compliance"]["findings"]}
    assert outcomes == {"web": "fail", "db": "error"}
    assert results["no_mapping"]["compliance"]["passed"] == 0


def test_a_plan_is_judged_and_written_in_every_form(results: dict[str, Any]) -> None:
    result = results["plan"]
    compliance = result["compliance"]
    assert (compliance["stage"], compliance["failed"], compliance["unmapped"]) == ("plan", 10, {"aws_s3_bucket": 1})
    assert [framework["name"] for framework in compliance["frameworks"]] == ["hipaa"]
    assert sorted(result["files"]) == ["csv", "junit", "oscal", "sarif"]
    report = json.loads(Path(result["json"]).read_text(encoding="utf-8"))
    assert [vm["name"] for vm in report["vms"]] == ["web-1", "web-2", "db-1", "cache-1"]
    log = json.loads(Path(result["files"]["sarif"]).read_text(encoding="utf-8"))
    assert len(log["runs"][0]["results"]) == 11
    assert Path(result["files"]["csv"]).read_text(encoding="utf-8").count("\n") == 12


@pytest.mark.parametrize(("task", "words"), [("all_strange", "The document of VM 'web' holds a number of more than 63"),
                                             ("no_pack", "muster/nothing: there is no such pack"),
                                             ("bad_plan", "ours.yml: is not JSON"),
                                             ("no_framework", "hippa: there is no framework of this name"),
                                             ("nothing", "one of the following is required: documents, plan"),
                                             ("no_stage", "speck")])
def test_what_cannot_be_done_is_one_sentence(results: dict[str, Any], task: str, words: str) -> None:
    assert results[task]["failed"] is True
    assert words in results[task]["msg"]


def test_check_mode_says_the_same_and_writes_nothing(results: dict[str, Any], tmp_path: Path) -> None:
    predicted = play(tmp_path, "--check")
    assert predicted["guest"]["compliance"] == results["guest"]["compliance"]
    assert "html" not in predicted["guest"]
    assert not (tmp_path / "build").exists()
