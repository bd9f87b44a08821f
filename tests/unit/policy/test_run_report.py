"""The run report: its schema, its page and its table, with text from hostile guests."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from muster.policy.cards import objective
from muster.policy.html import render
from muster.policy.run import run_report
from muster.policy.summary import table, write_report
from muster.policy.view import view
from muster.policy.wording import human_duration, human_size, human_time, printable

Make = Callable[[], dict[str, Any]]
SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "report.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_a_report_that_is_written_fits_the_schema(make_report: Make, tmp_path: Path) -> None:
    page, document = write_report(make_report(), tmp_path / "build" / "demo")
    VALIDATOR.validate(json.loads(document.read_text(encoding="utf-8")))
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert sorted(path.name for path in page.parent.iterdir()) == ["report.html", "report.json"]


def _set(path: str, value: Any) -> Any:
    def change(data: dict[str, Any]) -> None:
        *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        place: Any = data
        for step in way:
            place = place[step]
        place[last] = value
    return change


BROKEN = {
    "health": _set("vms.0.health", "fine"), "uuid": _set("vms.0.uuid", 4), "upgraded": _set("patching.0.upgraded", "3"),
    "kind": _set("backups.0.kind", "weekly"), "bytes": _set("backups.0.bytes", -1),
    "created": _set("backups.0.created", "yesterday"), "zone": _set("generated", "2026-01-15T12:00:00"),
    "drill": _set("drills.0.outcome", "skipped"), "seconds": _set("drills.0.rto_seconds", "94"),
    "check": _set("drills.0.checks.0.outcome", "ok"), "passed": _set("compliance.passed", 1.5),
    "outcome": _set("compliance.findings.0.outcome", "pass"), "fleet": lambda data: data.pop("fleet"),
    "vms": lambda data: data.pop("vms"), "more": _set("colour", "red"),
    "finding": lambda data: data["compliance"]["findings"][0].pop("sentence"),
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_report_does_not_fit_the_schema(make_report: Make, change: Any) -> None:
    data = make_report()
    change(data)
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(data)


class Page(HTMLParser):
    """The elements and the text of a page, as a browser would find them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.attributes.update(name for name, _value in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


EVIL = ["</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\" onmouseover=\"alert(1)", "{{ 7*7 }}",
        "{% for x in y %}", "javascript:alert(1)", "<!--", "]]>", "</style><style>*{}", "'; alert(1)//", "&lt;b&gt;",
        "\u202egnp.exe", "\x1b[2J\x07", "\ud800"]


def _texts(value: Any, text: str, key: str = "") -> Any:
    """`value` with every text in it replaced, but for those that choose what the page is made of."""
    if isinstance(value, dict):
        return {name: _texts(item, text, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_texts(item, text, key) for item in value]
    return text if isinstance(value, str) and key not in ("vm", "name") else value


@pytest.mark.parametrize("evil", EVIL)
def test_text_from_outside_stays_text(make_report: Make, evil: str) -> None:
    calm, attacked = Page(render(_texts(make_report(), "calm"))), render(_texts(make_report(), evil))
    page = Page(attacked)
    assert page.tags == calm.tags
    assert page.attributes == calm.attributes
    assert not set("\u202e\x1b\x07\ud800") & set(attacked)
    if evil.isprintable():
        assert evil in page.text


def test_the_page_loads_nothing_and_allows_its_own_script_alone(make_report: Make) -> None:
    page = render(make_report())
    assert page.count("<script>") == page.count("<style>") == 1
    assert page.count("<script") == 2  # the other holds data, which no browser runs
    assert not re.search(r"\b(?:src|action|on[a-z]+|style)=\"|href=\"[^#]", page)
    for word in ("url(", "@import", "unsafe-"):
        assert word not in page
    assert len(re.findall(r"(?:script|style)-src 'sha256-[A-Za-z0-9+/]{43}='", page)) == 2


@pytest.mark.parametrize("part", ["vms", "drills", "backups", "patching", "snapshots", "compliance", "hardening"])
def test_sections_without_data_are_left_out(make_report: Make, part: str) -> None:
    data = make_report()
    del data[part]
    heading = {"vms": ">VMs</h2>", "drills": ">Recovery drills</h2>", "backups": ">Backups <",
               "patching": ">Patching <", "snapshots": ">Snapshots <", "compliance": ">Findings <",
               "hardening": "24 → 61"}[part]
    assert heading in render(make_report())
    assert heading not in render(data)
    Page(table(data))


def _tables(page: str) -> Any:
    """What the page's script reads."""
    found = re.search(r'<script type="application/json" id="tables">([^<>]*)</script>', page)
    assert found
    return json.loads(found[1])


@pytest.mark.parametrize("evil", EVIL)
def test_the_tables_of_the_script_hold_no_markup(make_report: Make, evil: str) -> None:
    data = make_report()
    for finding in data["compliance"]["findings"]:
        finding.update(vm=evil, site=evil, title=evil, sentence=f"{evil}: {evil}. {evil}", address=evil,
                       fix={"advice": evil}, controls={evil: [evil]})
    page = render(data)
    tables = _tables(page)
    shown = printable(evil)
    assert tables["subjects"] == [[shown, shown, shown]]
    assert tables["rules"][0][1] == shown
    assert not set("\u202e\x1b\x07\ud800") & set(page)


def test_the_page_of_nothing_does_not_claim_success() -> None:
    assert "Nothing was inspected" in render({"fleet": "acme"})


@pytest.mark.parametrize(("change", "words"), [
    (_set("drills.1.outcome", "not_tested"), "Working, with things to look at"),
    (_set("vms.0.health", "unknown"), "Something needs you now"),
    (_set("drills.0.outcome", "failed"), "Something needs you now"),
])
def test_the_headline_is_honest(make_report: Make, change: Any, words: str) -> None:
    data = make_report()
    change(data)
    assert words in render(data)


def _checked(failed: int = 0, unknown: int = 0, severity: str = "low") -> dict[str, Any]:
    """The report of a check that ran nothing, as `muster check` makes it."""
    finding = {"rule": "r", "title": "R", "severity": severity, "vm": "web", "site": "lab", "stage": "plan",
               "outcome": "fail" if failed else "unknown", "sentence": "web at lab: no. Because.", "fix": {},
               "controls": {}}
    return {"fleet": "acme", "vms": [{"name": "web", "site": "lab", "health": "unknown"}], "compliance": {
        "passed": 3, "failed": failed, "unknown": unknown, "findings": [finding] if failed + unknown else []}}


@pytest.mark.parametrize(("data", "words"), [
    (_checked(), "Every rule that applies is satisfied"),
    (_checked(unknown=1), "Nothing failed, and some rules could not be judged"),
    (_checked(failed=1), "There are findings to look at"),
    (_checked(failed=1, severity="critical"), "Critical findings need you now"),
])
def test_a_check_says_nothing_of_what_no_run_looked_at(data: dict[str, Any], words: str) -> None:
    page = render(data)
    assert words in page
    assert "VMs healthy" not in page


def test_a_hundred_percent_is_never_rounded_up(make_report: Make) -> None:
    data = make_report()
    data["compliance"].update(passed=9999, failed=1, unknown=0, waived=0, errors=0)
    assert ">99%<" in render(data)


ANY = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
                   lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
                   max_leaves=8)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_report_with_any_one_value_wrong_still_shows(make_report: Make, data: st.DataObject) -> None:
    report = make_report()
    place: Any = report
    while True:
        key = data.draw(st.sampled_from(sorted(place))) if isinstance(place, dict) else \
            data.draw(st.integers(0, len(place) - 1))
        if not place[key] or not isinstance(place[key], (dict, list)) or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(ANY)
    render(report)
    table(report)


def test_the_table(make_report: Make) -> None:
    assert table(make_report()).splitlines() == [
        "VM   Address          Health   Compliance     RPO               RTO                          Drill   Seconds",
        "───  ───────────────  ───────  ─────────────  ────────────────  ───────────────────────────  ──────  ───────",
        "web  127.0.0.1:22022  healthy  24 → 61 of 63  1 min 1 s / 24 h  1 min 34 s / 15 min          passed  183",
        "db   127.0.0.1:22023  healthy  23 → 60 of 63  – / 24 h          20 min 10 s / 15 min MISSED  failed  1222",
    ]


def test_the_table_is_safe_for_a_terminal(make_report: Make) -> None:
    data = make_report()
    data["vms"][0]["address"] = "\x1b[2J\r\nfake  healthy\u202e" + "x" * 200
    lines = table(data).splitlines()
    assert len(lines) == 4
    assert not set("\x1b\r\u202e") & set("".join(lines))
    assert max(map(len, lines)) < 160


def test_a_report_that_cannot_be_written_leaves_the_last_one(make_report: Make, tmp_path: Path) -> None:
    page, document = write_report(make_report(), tmp_path)
    before = page.read_bytes(), document.read_bytes()
    broken = copy.deepcopy(make_report())
    broken["seconds"] = object()
    with pytest.raises(TypeError):
        write_report(broken, tmp_path)
    assert (page.read_bytes(), document.read_bytes()) == before
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(("actual", "target", "state"), [
    (10, 20, "met"), (20, 20, "met"), (21, 20, "missed"), (None, 20, "unmeasured"), (5, None, "measured"),
    (0, 0, "met"), (True, 20, "unmeasured"), ("9", 20, "unmeasured"),
])
def test_objective(actual: Any, target: Any, state: str) -> None:
    goal = objective(actual, target)
    assert goal is not None
    assert goal["state"] == state
    assert 0 <= goal["fill"] <= 100


@pytest.mark.parametrize(("seconds", "words"), [
    (0, "0 s"), (0.04, "0.0 s"), (4.2, "4.2 s"), (9.96, "10 s"), (59.6, "1 min"), (61, "1 min 1 s"), (900, "15 min"),
    (3600, "1 h"), (5400, "1 h 30 min"), (86400, "24 h"), (604800, "7 d"),
])
def test_human_duration(seconds: float, words: str) -> None:
    assert human_duration(seconds) == words


@pytest.mark.parametrize(("size", "words"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (545259520, "520 MiB"),
                                             (1 << 62, "4194304 TiB")])
def test_human_size(size: int, words: str) -> None:
    assert human_size(size) == words


def test_human_time() -> None:
    assert human_time("2026-01-15T12:00:00+02:00") == "2026-01-15 10:00 UTC"
    assert human_time("0001-01-01T00:00:00+14:00") == "0001-01-01T00:00:00+14:00"
    assert human_time("soon\x1b") == "soon\ufffd"


@settings(deadline=None)
@given(st.text())
def test_printable_keeps_length_and_hides_what_acts(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    shown.encode("utf-8")
    assert not set(map(chr, range(32))) - {"\n", "\t"} & set(shown)


@pytest.mark.parametrize("guest", [None, "x", [1], 5, {"os": "x"}, {"os": [1]}, {"os": {"name": {}}}, {}], ids=str)
def test_what_a_guest_says_of_itself_is_no_reason_to_have_no_report(guest: Any) -> None:
    seen = {"fleet": {"name": "acme"}, "vms": [{"name": "web", "site": "lab"}]}
    report = run_report(seen, [{"inventory_hostname": "web", "muster_guest": guest}], {}, 0.0)
    assert report["vms"][0]["name"] == "web"
    assert report["vms"][0]["os"] is None


def test_a_site_that_rules_are_about_is_no_vm() -> None:
    shown = view({
        "vms": [{"name": "web", "site": "lab"}],
        "compliance": {"vms": [{"vm": "web", "site": "lab", "passed": 1}, {"vm": "lab", "site": "lab", "failed": 1}]},
    })
    assert (shown["machines"], len(shown["vms"])) == (1, 2)
