"""The catalogues of frameworks, and what a report says of each of their controls."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.policy import check, load_rules
from muster.policy.framework import (
    SCOPES,
    VERDICTS,
    Control,
    Framework,
    FrameworkError,
    by_control,
    frameworks,
    load_framework,
    totals,
)
from muster.policy.packfile import shipped
from muster.policy.report import COUNTS
from muster.policy.rule import Rule
from muster.policy.selftest import NOW

# Cited by number only: their text is not ours to list.
BENCHMARKS = re.compile(r"cis_(debian|ubuntu)_[0-9_]+")
NONE = dict.fromkeys(COUNTS.values(), 0)

# Controls, technical controls, what an id looks like, the levels.
CATALOGUES = {
    "cis_controls_8": (153, 69, r"([1-9]|1[0-8])\.[1-9][0-9]?", {"IG1": 56, "IG2": 74, "IG3": 23}),
    "nist_800_53": (528, 203, r"[A-Z]{2}-[1-9][0-9]?(\([1-9][0-9]?\))?",
                    {"low": 149, "moderate": 138, "high": 83, "no baseline": 158}),
    "pci_dss_4": (250, 79, r"([1-9]|1[0-2])(\.[1-9][0-9]?){2,4}", {"": 234, "service providers": 16}),
    "hipaa": (69, 20, r"164\.3(08|1[0246])(\([a-e]\))(\([1-8]\))?(\([iv]+\))?(\([A-E]\))?",
              {"standard": 23, "required": 24, "addressable": 22}),
    "gdpr": (6, 5, r"32\([1-4]\)(\([a-d]\))?", {"": 6}),
}


def test_every_catalogue_is_listed_here() -> None:
    assert set(frameworks()) == set(CATALOGUES)


@pytest.mark.parametrize("name", CATALOGUES)
def test_a_catalogue_is_whole(name: str) -> None:
    framework = load_framework(name)
    number, technical, pattern, levels = CATALOGUES[name]
    assert framework.name == name
    assert framework.title
    assert framework.version
    assert len(framework.controls) == number == len({control.id for control in framework.controls})
    assert sum(control.scope == "technical" for control in framework.controls) == technical
    found = [control.level for control in framework.controls]
    assert {level: found.count(level) for level in found} == levels
    for control in framework.controls:
        assert re.fullmatch(pattern, control.id), control.id
        assert control.scope in SCOPES, control.id
        assert 3 < len(control.title) < 100, control.id


@pytest.mark.parametrize(("name", "groups"), [
    ("cis_controls_8", [5, 7, 14, 12, 6, 8, 7, 12, 7, 7, 5, 8, 11, 9, 7, 14, 9, 5]),
    ("pci_dss_4", [19, 11, 29, 6, 13, 19, 12, 29, 27, 27, 21, 37]),
])
def test_no_number_is_left_out(name: str, groups: list[int]) -> None:
    """As many as the publisher has under each heading, and the last parts of the numbers count up from one."""
    ids = [tuple(map(int, control.id.split("."))) for control in load_framework(name).controls]
    assert [sum(one[0] == number for one in ids) for number in range(1, len(groups) + 1)] == groups
    assert ids == sorted(ids)
    for one in ids:
        assert one[-1] == 1 or (*one[:-1], one[-1] - 1) in ids, one


@pytest.mark.parametrize("pack", shipped())
def test_every_control_that_a_shipped_pack_cites_is_in_a_catalogue_and_technical(pack: str) -> None:
    rules = load_rules([pack])
    cited = set(chain.from_iterable(rule.controls for rule in rules))
    strange = {name for name in cited if name not in frameworks() and not BENCHMARKS.fullmatch(name)}
    assert strange == set()
    for name in cited.intersection(frameworks()):
        framework = load_framework(name)
        assert framework.missing(rules) == {}, name
        processes = {control.id for control in framework.controls if control.scope == "process"}
        wrong = {rule.id: sorted(processes.intersection(rule.controls.get(name, ()))) for rule in rules}
        assert {rule: ids for rule, ids in wrong.items() if ids} == {}, name


@pytest.mark.parametrize(("wrong", "first"), [
    ("pci", "pci_dss_4"), ("PCI-DSS-4", "pci_dss_4"), ("nist-800-53", "nist_800_53"), ("cis_v8", "cis_controls_8"),
    ("HIPPA", "hipaa"), ("gdpr32", "gdpr"), ("../packs/baseline", None), ("", None), ("x" * 10_000, None),
])
def test_an_unknown_name_is_one_sentence_with_the_nearest_first(wrong: str, first: str | None) -> None:
    with pytest.raises(FrameworkError) as caught:
        load_framework(wrong)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 300
    named = message.removesuffix(".").rpartition("There are: ")[2].split(", ")
    assert sorted(named) == list(frameworks())
    assert first in (None, named[0])


def test_no_catalogue_is_read_before_it_is_asked_for() -> None:
    """Who checks without a framework pays nothing for the catalogues, neither their YAML nor difflib."""
    code = ("import sys; from muster.policy.framework import frameworks; frameworks(); "
            "sys.exit(any(name in sys.modules for name in ('yaml', 'difflib', 'muster.policy.strict_yaml')))")
    # The package's own __init__ imports the rest of the library today, so only what this module itself adds counts.
    spec = ("import importlib.util, sys, types; import muster; parent = types.ModuleType('muster.policy'); "
            "parent.__path__ = [sys.argv[1]]; sys.modules['muster.policy'] = parent; ")
    folder = str(sys.modules["muster.policy"].__path__[0])
    assert subprocess.run([sys.executable, "-c", spec + code, folder], check=False).returncode == 0


def a_rule(one: str, *controls: str) -> Rule:
    return Rule(one, one.title(), "low", ("live",), None, "Because.", controls={"ours": controls})  # type: ignore[arg-type]


def a_row(one: str, *controls: str, **counts: int) -> dict[str, Any]:
    return {"rule": one, "title": one.title(), "severity": "low", "controls": {"ours": list(controls)},
            **NONE, **counts}


OURS = Framework("ours", "Ours", "1", (Control("1", "First", "technical"), Control("2", "Talk", "process")))

VERDICT_OF = {
    "all passed": ([a_row("a", passed=2), a_row("b", passed=1)], "met"),
    "passed and not applicable": ([a_row("a", passed=1, not_applicable=3), a_row("b", not_applicable=4)], "met"),
    "applies to nothing": ([a_row("a", not_applicable=3), a_row("b", not_applicable=4)], "not_applicable"),
    "no VM at all": ([a_row("a"), a_row("b")], "not_applicable"),
    "one failed": ([a_row("a", passed=9, failed=1), a_row("b", unknown=1)], "failed"),
    "one unknown": ([a_row("a", passed=9, unknown=1), a_row("b", waived=1)], "unknown"),
    "one error": ([a_row("a", passed=9, errors=1), a_row("b", passed=1)], "unknown"),
    "one waived": ([a_row("a", passed=9, waived=1), a_row("b", passed=1)], "waived"),
    "one did not run": ([a_row("a", passed=9)], "unknown"),
    "none ran": ([], "unknown"),
    "one did not run, one failed": ([a_row("a", failed=1)], "failed"),
}


@pytest.mark.parametrize(("rows", "verdict"), VERDICT_OF.values(), ids=VERDICT_OF.keys())
def test_the_verdict_of_a_control(rows: list[dict[str, Any]], verdict: str) -> None:
    first, talk = by_control(rows, [a_rule("a", "1"), a_rule("b", "1", "1")], OURS)
    assert first["verdict"] == verdict
    assert first["rules"] == ["a", "b"]
    assert first["not_run"] == [one for one in ("a", "b") if one not in [row["rule"] for row in rows]]
    for key in NONE:
        assert first[key] == sum(row[key] for row in rows)
    assert (talk["verdict"], talk["rules"]) == ("out_of_reach", [])


def test_a_technical_control_without_a_rule_is_a_gap_and_a_process_is_not() -> None:
    rows = by_control([], [], OURS)
    assert [row["verdict"] for row in rows] == ["gap", "out_of_reach"]
    assert totals(rows) == {"controls": 2, **dict.fromkeys(VERDICTS, 0), "gap": 1, "out_of_reach": 1}


def test_a_process_that_somebody_evidences_all_the_same_is_judged() -> None:
    assert by_control([a_row("a", passed=1)], [a_rule("a", "2")], OURS)[1]["verdict"] == "met"


def test_an_id_that_the_catalogue_lacks_is_shown_and_not_dropped() -> None:
    rules = [a_rule("a", "9")]
    assert OURS.missing(rules) == {"9": ["a"]}
    last = by_control([a_row("a", "9", failed=1)], rules, OURS)[-1]
    assert (last["control"], last["title"], last["verdict"]) == ("9", "Not in the catalogue", "failed")


def test_the_controls_of_the_report_count_where_its_rules_are_not_at_hand() -> None:
    assert by_control([a_row("a", "1", passed=1)], [], OURS)[0] == {
        "control": "1", "title": "First", "level": "", "scope": "technical", "verdict": "met", "rules": ["a"],
        "not_run": [], **NONE, "passed": 1}


outcomes = st.fixed_dictionaries({key: st.integers(0, 3) for key in NONE})


@given(st.lists(st.tuples(st.sampled_from(["1", "2", "9"]), outcomes, st.booleans()), max_size=6))
def test_met_is_never_said_of_what_was_not_seen_to_pass(cases: list[tuple[str, dict[str, int], bool]]) -> None:
    rules = [a_rule(f"r{number}", control) for number, (control, _counts, _ran) in enumerate(cases)]
    report = [a_row(f"r{number}", control, **counts) for number, (control, counts, ran) in enumerate(cases) if ran]
    rows = by_control(report, rules, OURS)
    assert sum(totals(rows)[verdict] for verdict in VERDICTS) == totals(rows)["controls"] == len(rows)
    for row in rows:
        mine = [(counts, ran) for control, counts, ran in cases if control == row["control"]]
        clean = all(ran and not any(counts[key] for key in ("failed", "unknown", "waived", "errors"))
                    for counts, ran in mine)
        assert (row["verdict"] == "met") == (clean and any(counts["passed"] for counts, _ran in mine))
        assert (row["verdict"] in ("gap", "out_of_reach")) == (not mine)


def test_a_real_report_by_control() -> None:
    rules = load_rules(["muster/baseline"])
    vm = {"name": "db", "site": "lab", "owned": True, "tags": {"data": "confidential"}, "snapshots": [],
          "disks": [{"name": "root", "size": 10 << 30, "encrypted": False}],
          "protection": {"rpo": 86400, "keep": {"daily": 7}}, "restore_points": [], "drills": []}
    report = check([vm], rules, "live", now=NOW)
    rows = {row["control"]: row for row in by_control(report.by_rule(), rules, load_framework("nist_800_53"))}
    assert rows["SC-28(1)"]["verdict"] == "failed"
    assert rows["SC-28(1)"]["rules"] == ["confidential-disks-encrypted"]
    assert rows["CP-9"]["verdict"] == "failed"
    assert rows["CM-8(3)"]["verdict"] == "met"
    assert rows["AU-8"]["verdict"] == "gap"
    assert rows["PS-3"]["verdict"] == "out_of_reach"


def test_the_page_counts_as_the_catalogues_do() -> None:
    page = (Path(__file__).parents[3] / "docs" / "frameworks.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| .* \| (\d+) \| (\d+) \| (\d+) \|$", page, re.MULTILINE)
    counts = {name: (len(controls), sum(one.scope == "technical" for one in controls))
              for name, controls in ((name, load_framework(name).controls) for name in frameworks())}
    assert {name: (int(a), int(b)) for name, a, b, _c in rows} == counts
    assert all(int(a) == int(b) + int(c) for _name, a, b, c in rows)
    assert set(VERDICTS) == set(re.findall(r"^\| `([a-z_]+)` \| [^|]+ \|$", page, re.MULTILINE))
