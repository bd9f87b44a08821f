"""What was found by reading and by fuzzing: bounds that could be dodged, and answers that came too early."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from muster.model.units import parse_duration, parse_size
from muster.policy.context import enrich
from muster.policy.documents import Absent, normal
from muster.policy.evaluate import check
from muster.policy.expressions import EvaluationError, compile_expression
from muster.policy.packfile import load_rules
from muster.policy.patterns import Pattern
from muster.policy.rulefile import PackError
from muster.policy.runtime import MAX_WORK
from muster.policy.selftest import NOW

CASES = yaml.safe_load((Path(__file__).parent / "bounds.yml").read_text(encoding="utf-8"))
BIG = {str(number): 0 for number in range(20_000)}
DOCUMENTS: dict[str, dict[str, Any]] = {
    "objects": {"a": {**BIG, "x": 1}, "b": {**BIG, "y": 1}},
    "numbers": {"t": [*range(1, 50_000), "x"]},
    "holes": {"t": [*range(50_000), None]},
    "text": {"t": "x" * 65_000},
    "short": {"t": "x" * 60},
}


@pytest.mark.parametrize("case", CASES, ids=[case["what"] for case in CASES])
def test_every_work_is_counted(case: dict[str, str]) -> None:
    text = case["text"].format(many="[@, @]" + " | [@, @][]" * 12, join14=" | join('', [@, @])" * 14,
                               twice18=" | [@, @]" * 18)
    with pytest.raises(EvaluationError, match="takes more than"):
        compile_expression(text).evaluate(normal(DOCUMENTS[case["document"]]), NOW)


LATER = [
    # Of two values that are not known the one that comes with the apply can still decide: nothing settles it before.
    ("default(a && b, `true`)", {"unknown": ["b"]}),
    ("default(a || b, `false`)", {"unknown": ["b"]}),
    ("default(all(d, &e), `true`)", {"d": [{}, {}], "unknown": ["d[1].e"]}),
    ("default(any(d, &e), `false`)", {"d": [{}, {}], "unknown": ["d[1].e"]}),
    ("present(contains(d, 'x'))", {"d": [None, "a"], "unknown": ["d[1]"]}),
    ("default(d == `[1, 2]`, `true`)", {"d": [None, 2], "unknown": ["d[1]"]}),
    # The value that `||` gives is the one that comes, though its truth is known.
    ("(a || 'x') == 'x'", {"unknown": ["a"]}),
    ("to_string(d)", {"d": [{"e": 1}], "unknown": ["d[0].e"]}),
]


@pytest.mark.parametrize(("text", "document"), LATER, ids=[text for text, _document in LATER])
def test_what_comes_later_is_not_settled(text: str, document: dict[str, Any]) -> None:
    found = compile_expression(text).evaluate(normal(document), NOW)
    assert isinstance(found, Absent)
    assert not found.settled


def test_an_item_that_was_chosen_is_not_taken_for_a_whole_list() -> None:
    """It passed: `@` of the item that is null was taken for a value that differs from 'x'."""
    found = compile_expression("all(max_by(p, &[0]), &@ != 'x')").evaluate(normal({"p": [[1, None]]}), NOW)
    assert isinstance(found, Absent)


@pytest.mark.parametrize("text", ["sum(a) > `1`", "!(sum([sum(a), sum(b)]) > `1`)", "avg(a) > `1`"])
def test_a_sum_beyond_all_numbers_is_an_error(text: str) -> None:
    with pytest.raises(EvaluationError, match="out of range"):
        compile_expression(text).evaluate(normal({"a": [1e308, 1e308], "b": [-1e308, -1e308]}), NOW)


def test_a_pattern_of_nothing_is_read_at_once() -> None:
    """Each level once took 256 times as long as the one before."""
    assert Pattern("(" * 20 + "){256}" * 20).search("") is True


def test_blanks_in_a_size_are_read_in_linear_time() -> None:
    """Once quadratic: 60,000 blanks took minutes."""
    text = "1" + " " * 60_000 + "x"
    for read in (parse_size, parse_duration):
        with pytest.raises(ValueError, match="write a number"):
            read(text)
    assert (parse_size(" 2 GiB\n"), parse_duration(" 1d 12h ")) == (2 << 30, 129_600)


def test_cpus_that_are_named_again_and_again_are_no_work() -> None:
    assert "pinned_cpus" not in enrich([{"cpu_pinning": ",".join(["0-4095"] * 3000)}])[0]
    assert enrich([{"cpu_pinning": "0-3,8"}])[0]["pinned_cpus"] == 5


def test_a_long_name_says_nothing_of_the_others() -> None:
    """It once made the documents of its peers too long, and their findings errors."""
    shared = {"site": "lab", "anti_affinity": "g", "cpus": 2}
    report = check([{"name": "quiet", **shared}, {"name": "x" * 70_000, **shared}],
                   load_rules(["muster/baseline"]), "spec", now=NOW)
    assert not [finding for finding in report.findings if finding.vm == "quiet" and finding.outcome == "error"]


def test_links_that_lead_in_a_circle_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.yml").symlink_to("b.yml")
    (tmp_path / "b.yml").symlink_to("a.yml")
    (tmp_path / "pack.yml").write_text('pack: p\nversion: "1.0"\ntitle: t\ninclude: [a.yml]\n', encoding="utf-8")
    for name in ("a.yml", "pack.yml", "a\0"):
        with pytest.raises(PackError, match=r"in a circle|is not followed"):
            load_rules([str(tmp_path / name)])


OBSERVED = [
    # A key that begins with a bracket was taken for an index: a ValueError ended the whole check.
    ("default(name.\"[x\", 'b') == 'a'", {"name": "web"}, "is not set"),
    # What stands in a list of secrets was shown.
    ("all(guest.tokens, &@ == 'x')", {"guest": {"tokens": ["x", "hunter2"]}}, "guest.tokens has another value"),
]


@pytest.mark.parametrize(("expect", "document", "part"), OBSERVED, ids=[case[0] for case in OBSERVED])
def test_what_a_finding_tells(expect: str, document: dict[str, Any], part: str, tmp_path: Path) -> None:
    pack = {"pack": "p", "version": "1.0", "title": "t", "rules": [
        {"id": "r", "title": "t", "severity": "low", "stages": ["spec", "guest"], "why": "w", "expect": expect,
         "tests": {"pass": [document], "fail": [document]}}]}
    (tmp_path / "p.yml").write_text(json.dumps(pack), encoding="utf-8")
    rules = load_rules([str(tmp_path / "p.yml")])
    (finding,) = check([document], rules, "guest" if "guest" in document else "spec", now=NOW).findings
    assert finding.outcome == "fail"
    assert part in finding.sentence
    assert "hunter2" not in finding.sentence


def test_an_explanation_has_one_budget_for_all_items(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first item decided, and the others were then looked at with a budget for each."""
    pack = {"pack": "p", "version": "1.0", "title": "t", "rules": [
        {"id": "r", "title": "t", "severity": "low", "stages": ["guest"], "why": "w",
         "expect": "all(guest.x, &matches('^(a|b)?[^x]+[^y]+$', @))",
         "tests": {"pass": [{"a": 1}], "fail": [{"a": 1}]}}]}
    (tmp_path / "p.yml").write_text(json.dumps(pack), encoding="utf-8")
    done, search = [], Pattern.search
    monkeypatch.setattr(Pattern, "search", lambda one, text: done.append(one.work(text)) or search(one, text))
    document = {"name": "web", "guest": {"x": ["x", *("y" * 800 for _number in range(3000))]}}
    (finding,) = check([document], load_rules([str(tmp_path / "p.yml")]), "guest", now=NOW).findings
    assert finding.clause.startswith('guest.x has "x"')
    assert sum(done) < 8 * MAX_WORK
