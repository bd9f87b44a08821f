"""The formats of a check: each is valid by its own schema, says the same, and holds nothing that acts."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import xmlschema
from hypothesis import given, settings
from hypothesis import strategies as st
from junitparser import JUnitXml
from muster.policy import check, load_rules
from muster.policy.formats import FORMATS, Checked, FormatError, Part, inspected, pieces
from muster.policy.formats.text import Style, sum_line, write
from muster.policy.framework import load_framework
from muster.policy.waivers import Waiver
from trestle.oscal.assessment_results import Model

HERE = Path(__file__).parent
REPORT = json.loads((HERE.parents[2] / "docs" / "report.schema.json").read_text(encoding="utf-8"))
NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
PACK = """\
pack: ours
version: 1.0.0
title: Ours
rules:
  - id: memory-enough
    title: Memory is enough
    severity: high
    stages: [spec, plan, guest]
    when: default(profile, '') != 'tiny'
    expect: memory >= `2`
    why: "=SUM(A1) is what somebody wrote here."
    fix: {vm: {memory: 4 GiB}}
    controls: {nist_800_53: ["AC-6(2)", "CM-8"], gdpr: ["32(1)(b)"]}
    tests: {pass: [{memory: 2}], fail: [{memory: 1}]}
  - id: named-well
    title: The name is short
    severity: low
    stages: [spec, plan, guest]
    expect: length(name) < `40`
    why: People read it.
    fix: {advice: "=Rename it | now."}
    controls: {nist_800_53: ["CM-8"]}
    tests: {pass: [{name: a}], fail: [{name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}]}
"""
HOSTILE = "=cmd|'/c calc'!A1\x1b[2J\u202eevil\ud800<script>]]>&\ufffe\n" + "x" * 40
DOCUMENTS = [
    {"name": "web-1", "site": "lab", "memory": 1},
    {"name": "web-2", "site": "lab", "memory": 4},
    {"name": "web-3", "site": "b"},
    {"name": "web-4", "site": "b", "memory": "much"},
    {"name": "web-5", "site": "b", "memory": 1},
    {"name": "web-6", "site": "b", "memory": 1, "profile": "tiny"},
    {"name": HOSTILE, "site": "b", "memory": 1, "terraform_address": HOSTILE},
    {"memory": 1},
]
WAIVERS = [Waiver("memory-enough", ("web-5",), "Soon.", "E. Roth", date(2026, 12, 31)),
           Waiver("named-well", ("*",), "Was.", "E. Roth", date(2025, 12, 31))]


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("packs") / "ours.yml"
    path.write_text(PACK, encoding="utf-8")
    return load_rules([str(path)])


def part_of(rules: Any, documents: Any, stage: str, source: str, lines: dict[str, int] | None = None) -> Part:
    report = check(documents, rules, stage, WAIVERS, now=NOW)
    return Part(report, source, lines or {}, [inspected(document) for document in documents])


@pytest.fixture(scope="module")
def checked(rules: Any) -> Checked:
    parts = (part_of(rules, DOCUMENTS[:6], "spec", "fleet.yml", {"web-1": 9, "web-5": 12}),
             part_of(rules, DOCUMENTS[6:], "plan", "a plan#1.json"))
    return Checked("acme", parts, rules, NOW, 0.25)


def test_the_example_has_every_outcome(checked: Checked) -> None:
    assert checked.report.totals == {
        "passed": 7, "failed": 4, "unknown": 2, "waived": 1, "not_applicable": 1, "errors": 1}


def text_of(name: str, checked: Checked) -> str:
    return "".join(pieces(name, checked))


def acts(text: str) -> list[str]:
    """What must be in no format: escape codes, direction marks, NUL."""
    return re.findall("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


@pytest.mark.parametrize("name", FORMATS)
def test_no_format_holds_what_acts_on_a_terminal(name: str, checked: Checked) -> None:
    assert acts(text_of(name, checked)) == []


def test_a_format_that_is_none_is_named(checked: Checked) -> None:
    with pytest.raises(FormatError, match="'pdf' is not a format; there are text, json"):
        pieces("pdf", checked)


def test_sarif_is_valid_and_complete(checked: Checked) -> None:
    log = json.loads(text_of("sarif", checked))
    schema = json.loads((HERE / "schemas" / "sarif-2.1.0-rtm.5.json").read_text(encoding="utf-8"))
    jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker()).validate(log)
    assert [run["properties"]["stage"] for run in log["runs"]] == ["spec", "plan"]
    results = [result for run in log["runs"] for result in run["results"]]
    assert Counter((one["properties"]["outcome"], one["kind"], one["level"]) for one in results) == {
        ("fail", "fail", "error"): 3, ("fail", "fail", "note"): 1, ("waived", "fail", "error"): 1,
        ("unknown", "open", "none"): 2, ("error", "fail", "error"): 1}
    assert [one["suppressions"][0]["justification"] for one in results if "suppressions" in one] == [
        "E. Roth allowed it until 2026-12-31, because: Soon."]
    first = next(one for one in results if one["message"]["text"].startswith("web-1 "))
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "fleet.yml"}, "region": {"startLine": 9}}
    assert {one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in log["runs"][1]["results"]} \
        == {"a%20plan%231.json"}
    for run in log["runs"]:
        ids = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
        assert all(ids[one["ruleIndex"]] == one["ruleId"] for one in run["results"])
    prints = [one["partialFingerprints"]["muster/v1"] for one in results]
    assert len(set(prints)) == len(prints)


def test_junit_is_valid_and_counts_as_the_report(checked: Checked) -> None:
    text = text_of("junit", checked)
    xmlschema.XMLSchema(str(HERE / "schemas" / "junit-10.xsd")).validate(text)
    read = JUnitXml.fromstring(text.encode())
    found = Counter()
    for suite in read:
        for case in suite:
            found[type(case.result[0]).__name__ if case.result else "passed"] += 1
    assert found == {"passed": 7, "Failure": 4, "Error": 1, "Skipped": 3}
    assert ElementTree.fromstring(text).attrib["tests"] == "15"
    assert "fleet.yml:9" in text


def test_oscal_is_valid_and_its_references_lead_somewhere(checked: Checked) -> None:
    text = text_of("oscal", checked)
    document = json.loads(text)
    jsonschema.Draft202012Validator(Model.model_json_schema(by_alias=True)).validate(document)
    Model.model_validate_json(text)
    assert len(document["assessment-results"]["results"]) == 2
    for result in document["assessment-results"]["results"]:
        items = {one["uuid"] for one in result["local-definitions"]["inventory-items"]}
        observations = {one["uuid"] for one in result["observations"]}
        assert {ref["subject-uuid"] for one in result["observations"] for ref in one["subjects"]} <= items
        related = {ref["observation-uuid"] for one in result["findings"] for ref in one["related-observations"]}
        assert related
        assert related <= observations
        selection = result["reviewed-controls"]["control-selections"][0]
        controls = {one["control-id"] for one in selection["include-controls"]}
        assert controls == {one["target"]["target-id"] for one in result["findings"]} == {"ac-6.2", "cm-8"}
        assert {one["target"]["status"]["state"] for one in result["findings"]} == {"not-satisfied"}
    assert text_of("oscal", checked) == text


def test_oscal_of_what_is_met(rules: Any) -> None:
    part = part_of(rules, [DOCUMENTS[1]], "spec", "fleet.yml")
    one = Checked("acme", (part,), rules, NOW, frameworks=(load_framework("gdpr"),))
    result = json.loads(text_of("oscal", one))["assessment-results"]["results"][0]
    assert [(found["target"]["target-id"], found["target"]["status"]["state"]) for found in result["findings"]] == [
        ("gdpr-32.1.b", "satisfied")]


def test_csv_has_each_finding_and_no_formula(checked: Checked) -> None:
    rows = list(csv.DictReader(io.StringIO(text_of("csv", checked), newline="")))
    assert [row["outcome"] for row in rows] == ["fail"] * 4 + ["error", "unknown", "unknown", "waived"]
    assert all(cell[:1] not in ("=", "+", "-", "@", "\t") for row in rows for cell in row.values())
    assert rows[0]["controls"] == "nist_800_53 AC-6(2), CM-8; gdpr 32(1)(b)"
    assert "'=Rename it | now." in {row["fix"] for row in rows}


def test_json_is_the_run_report_that_the_schema_says(checked: Checked) -> None:
    framed = Checked(checked.name, checked.parts, checked.rules, NOW, 0.25, (load_framework("nist_800_53"),))
    for one in (checked, framed):
        document = json.loads(text_of("json", one))
        jsonschema.Draft202012Validator(REPORT).validate(document)
        sources = [finding.pop("source") for finding in document["compliance"]["findings"]]
        expected = json.loads(json.dumps(one.data()))
        assert document == expected
        assert {"fleet.yml:9", "fleet.yml:12", "fleet.yml", "a plan#1.json"} == set(sources)


def test_text_says_all_of_it_once(checked: Checked) -> None:
    text = text_of("text", checked)
    assert "HIGH      memory-enough  Memory is enough" in text
    assert "  3 VMs: memory is 1\n" in text
    assert "Why  =SUM(A1) is what somebody wrote here." in text
    assert "Fix  Set memory: 4 GiB" in text
    assert "memory-enough on web-5: E. Roth allowed it until 2026-12-31" in text
    assert "The waiver of named-well for * ended on 2025-12-31" in text
    assert text.endswith(f"\n\n{sum_line(checked)}\n")
    assert sum_line(checked) == ("8 VMs, 2 rules, stages spec and plan: 4 failed (3 high, 1 low), 1 could not be "
                                 "judged, 2 unknown, 1 waived, 7 passed, 1 do not apply.")


def test_text_names_the_line_of_a_vm_and_its_site_where_there_are_several(rules: Any) -> None:
    part = part_of(rules, DOCUMENTS[:3], "spec", "fleet.yml", {"web-1": 9})
    assert "  web-1 at lab (fleet.yml:9): memory is 1\n" in text_of("text", Checked("acme", (part,), rules, NOW))
    part = part_of(rules, DOCUMENTS[:2], "spec", "fleet.yml", {"web-1": 9})
    assert "  web-1 (fleet.yml:9): memory is 1\n" in text_of("text", Checked("acme", (part,), rules, NOW))


def test_a_thousand_vms_take_no_more_lines_than_ten(rules: Any) -> None:
    def lines(count: int) -> int:
        documents = [{"name": f"vm-{number}", "site": "lab", "memory": 1} for number in range(count)]
        return text_of("text", Checked("acme", (part_of(rules, documents, "spec", "f"),), rules, NOW)).count("\n")

    assert lines(1000) == lines(10)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [(12, "  all 12 VMs: memory is 1\n  Why"),
     (11, "  11 VMs: memory is 1\n      vm-0, vm-1,"),
     (2, "  vm-0 and vm-1: memory is 1\n")],
)
def test_what_all_vms_have_names_none(rules: Any, wrong: int, said: str) -> None:
    documents = [{"name": f"vm-{number}", "site": "lab", "memory": 1 if number < wrong else 1 << 33}
                 for number in range(12)]
    assert said in text_of("text", Checked("acme", (part_of(rules, documents, "spec", "f"),), rules, NOW))


def test_what_nobody_tells_of_all_vms_names_none(rules: Any) -> None:
    documents = [{"name": f"vm-{number}", "site": "lab"} for number in range(12)]
    text = text_of("text", Checked("acme", (part_of(rules, documents, "spec", "f"),), rules, NOW))
    assert "  memory is not set: memory-enough, on all 12 VMs\n" in text


def test_colour_is_there_where_it_is_wanted_and_changes_no_word(checked: Checked) -> None:
    coloured = "".join(write(checked, Style(colour=True)))
    assert "\x1b[31m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == text_of("text", checked)


def test_lines_are_broken_at_the_width_of_the_terminal(checked: Checked) -> None:
    lines = "".join(write(checked, Style(width=60))).splitlines()
    # A name that is too long for the terminal stays whole, and so do the head of a block and the sum.
    broken = [line for line in lines if line.startswith("  ") and max(map(len, line.split())) < 40]
    assert 50 < max(map(len, broken)) <= 60


NAMES = st.text(st.characters(codec=None, exclude_categories=()), min_size=1, max_size=80)


@given(st.lists(st.fixed_dictionaries({"name": NAMES, "memory": st.integers(0, 4)},
                                      optional={"site": NAMES, "terraform_address": NAMES}), max_size=4))
@settings(max_examples=25, deadline=None)
def test_whatever_vms_are_called_every_format_can_be_read(rules: Any, documents: list[dict[str, Any]]) -> None:
    one = Checked("acme", (part_of(rules, documents, "plan", "p.json"),), rules, NOW)
    assert acts(text_of("text", one)) == []
    failed = one.report.totals["failed"]
    assert len(json.loads(text_of("sarif", one))["runs"][0]["results"]) == len(list(one.attention()))
    document = ElementTree.fromstring(text_of("junit", one))
    assert len(document.findall(".//failure")) == failed
    rows = list(csv.DictReader(io.StringIO(text_of("csv", one), newline="")))
    assert sum(row["outcome"] == "fail" for row in rows) == failed
    assert json.loads(text_of("json", one))["compliance"]["failed"] == failed
