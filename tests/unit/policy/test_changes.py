"""What changed since the last report: any two reports, and a last report that anybody may have written."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from muster.policy.changes import ENDS, IncomparableError, begin, compare
from muster.policy.html import render
from muster.policy.summary import since_last, write_report

VALIDATOR = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parents[3] / "docs" / "report.schema.json").read_text(encoding="utf-8")))

DAY = "2026-01-{:02}T12:00:00Z".format
OPEN = ("fail", "error", "unknown")


def finding(vm: str = "web", outcome: str = "fail", rule: str = "tag-owner", **more: Any) -> dict[str, Any]:
    return {"rule": rule, "title": "The VM names its owner", "severity": "high", "vm": vm, "site": "lab",
            "stage": "live", "outcome": outcome, "sentence": f"{vm} at lab: tags.owner is not set. Nobody owns it.",
            "fix": {}, "controls": {}, **more}


def compliance(*findings: dict[str, Any], vms: str = "web db", rules: str = "tag-owner") -> dict[str, Any]:
    counts = dict.fromkeys(("passed", "failed", "unknown", "waived", "not_applicable", "errors"), 0)
    return {
        **counts, "stage": "live", "findings": list(findings),
        "vms": [{"vm": vm, "site": "lab", **counts, "total": 0} for vm in vms.split()],
        "rules": [{"rule": rule, "title": "", "severity": "high", "controls": {}, **counts} for rule in rules.split()],
    }


def report(day: int, *findings: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"fleet": "acme", "generated": DAY(day), "seconds": 1, "vms": [],
            "compliance": compliance(*findings, **more)}


# Last report, this one, and what changed: new, remaining, resolved, waived, not_checked.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[int, ...]]] = {
    "the same": (report(1, finding()), compliance(finding()), (0, 1, 0, 0, 0)),
    "new": (report(1), compliance(finding()), (1, 0, 0, 0, 0)),
    "resolved": (report(1, finding()), compliance(), (0, 0, 1, 0, 0)),
    "now waived": (report(1, finding()), compliance(finding(outcome="waived")), (0, 0, 0, 1, 0)),
    "a waiver ended": (report(1, finding(outcome="waived")), compliance(finding()), (1, 0, 0, 0, 0)),
    "still waived": (report(1, finding(outcome="waived")), compliance(finding(outcome="waived")), (0, 0, 0, 0, 0)),
    "unknown, now failed": (report(1, finding(outcome="unknown")), compliance(finding()), (0, 1, 0, 0, 0)),
    "the VM is gone": (report(1, finding()), compliance(vms="db"), (0, 0, 0, 0, 1)),
    "the rule is gone": (report(1, finding()), compliance(rules="other"), (0, 0, 0, 0, 1)),
    "the stage is gone": (report(1, finding()), {**compliance(), "stage": "guest+spec"}, (0, 0, 0, 0, 1)),
    "another VM": (report(1, finding()), compliance(finding("db")), (1, 0, 1, 0, 0)),
    "another address": (report(1, finding(address="a.b")), compliance(finding(address="a.c")), (1, 0, 1, 0, 0)),
    "twice in one report": (report(1, finding(), finding()), compliance(finding(), finding()), (0, 2, 0, 0, 0)),
}


@pytest.mark.parametrize(("last", "now", "counts"), CASES.values(), ids=CASES.keys())
def test_what_changed(last: dict[str, Any], now: dict[str, Any], counts: tuple[int, ...]) -> None:
    changes = compare(now, DAY(2), last)["changes"]
    assert tuple(changes[name] for name in ("new", "remaining", *ENDS)) == counts
    assert len(changes["ended"]) == sum(counts[2:])
    assert changes["last"] == DAY(1)


def test_a_finding_keeps_the_day_on_which_it_was_first_there() -> None:
    first = report(1, finding())
    second = {**report(2), "compliance": compare(compliance(finding(), finding("db")), DAY(2),
                                                 {**first, "compliance": begin(first["compliance"], DAY(1))})}
    third = compare(compliance(finding(), finding("db")), DAY(3), second)
    assert [row["since"] for row in third["findings"]] == [DAY(1), DAY(2)]
    assert [row.get("new") for row in second["compliance"]["findings"]] == [None, True]
    assert [row.get("new") for row in third["findings"]] == [None, None]


@pytest.mark.parametrize("since", [DAY(9), "yesterday", 4, None, "2026-01-01T00:00:00", "9" * 5000])
def test_a_day_that_cannot_be_is_that_of_the_last_report(since: Any) -> None:
    found = compare(compliance(finding()), DAY(5), report(3, finding(since=since)))
    assert found["findings"][0]["since"] == DAY(3)


def test_of_many_that_are_resolved_a_thousand_are_named() -> None:
    last = report(1, *(finding(rule=f"r{number}") for number in range(1200)))
    changes = compare(compliance(rules=" ".join(f"r{number}" for number in range(1200))), DAY(2), last)["changes"]
    assert changes["resolved"] == 1200
    assert len(changes["ended"]) == 1000


NOT_REPORTS = {
    "null": None, "list": [], "text": "x", "empty": {}, "no compliance": {"generated": DAY(1)},
    "compliance": {"generated": DAY(1), "compliance": []}, "no time": {"compliance": compliance()},
    "no zone": {**report(1), "generated": "2026-01-01T00:00:00"},
    "findings": {**report(1), "compliance": {"findings": 4}},
    "finding": report(1, {"rule": "x"}), "rule": report(1, {**finding(), "rule": [1]}),
    "address": report(1, finding(address={})), "tomorrow": report(3),
}


@pytest.mark.parametrize("last", NOT_REPORTS.values(), ids=NOT_REPORTS.keys())
def test_what_is_no_report_cannot_be_compared(last: Any) -> None:
    with pytest.raises(IncomparableError):
        compare(compliance(finding()), DAY(2), last)


ROWS = st.builds(finding, vm=st.sampled_from(["web", "db", "gone"]),
                 outcome=st.sampled_from(["fail", "error", "unknown", "waived"]),
                 rule=st.sampled_from(["a", "b", "gone"]))


@settings(deadline=None)
@given(st.lists(ROWS, max_size=8), st.lists(ROWS, max_size=8))
def test_every_finding_is_counted_once(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
    found = compare(compliance(*after, rules="a b"), DAY(2), report(1, *before))
    changes = found["changes"]
    assert changes["new"] + changes["remaining"] == sum(row["outcome"] in OPEN for row in after)
    assert len(found["findings"]) == len(after)
    assert changes["ended"] == [row for row in changes["ended"] if row["became"] in ENDS]


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                        st.sampled_from(["compliance", "findings", "generated", "rule", "fleet"]), inner, max_size=3))


@settings(deadline=None)
@given(JSON)
def test_any_last_report_is_compared_or_refused(last: Any) -> None:
    with contextlib.suppress(IncomparableError):
        compare(compliance(finding()), DAY(2), last)


FILES = {
    "not JSON": b"{", "deep": b"[" * 100_000, "a number": b"9" * 10_000, "not UTF-8": b'{"fleet": "\xff"}',
    "nothing": b"", "another fleet": json.dumps({**report(1), "fleet": "other"}).encode(), "null": b"null",
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES.keys())
def test_a_last_report_that_cannot_be_used_is_said_and_replaced(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_bytes(content)
    page, document = write_report(report(2, finding()), tmp_path)
    written = json.loads(document.read_bytes())
    assert "could not be compared" in written["compliance"]["changes"]["problem"]
    assert "could not be compared" in page.read_text()
    VALIDATOR.validate(written)


def test_a_pipe_in_the_place_of_the_last_report_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "report.json")
    _page, document = write_report(report(2, finding()), tmp_path)
    assert document.is_file()


def test_a_folder_in_its_place_is_an_error_that_leaves_no_json(tmp_path: Path) -> None:
    (tmp_path / "report.json").mkdir()
    with pytest.raises(OSError):
        write_report(report(2, finding()), tmp_path)


def test_two_reports_one_after_another(tmp_path: Path) -> None:
    first = write_report(report(1, finding(), finding("gone"), vms="web gone"), tmp_path)
    assert "There was none here" in first[0].read_text()
    page, document = write_report(report(2, finding(), finding("db")), tmp_path)
    written = json.loads(document.read_bytes())
    VALIDATOR.validate(written)
    changes = written["compliance"]["changes"]
    assert (changes["new"], changes["remaining"], changes["resolved"], changes["not_checked"]) == (1, 1, 0, 1)
    assert "the oldest since <i>2026-01-01</i>" in page.read_text()


def test_a_report_without_findings_of_a_check_is_not_compared(tmp_path: Path) -> None:
    data: dict[str, Any] = {"fleet": "acme", "vms": []}
    assert since_last(data, tmp_path / "report.json") is data


@pytest.mark.parametrize("changes", [None, [], {}, {"new": "x"}, {"ended": [4, {"became": "resolved"}]},
                                     {"problem": 4}])
def test_changes_of_any_form_are_shown(changes: Any) -> None:
    render({**report(1), "compliance": {**compliance(finding()), "passed": 1, "changes": changes}})


def test_the_schema_wants_changes_whole() -> None:
    data = report(2)
    data["compliance"] = compare(compliance(finding()), DAY(2), report(1))
    VALIDATOR.validate(data)
    del data["compliance"]["changes"]["ended"]
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(data)
