"""Rules against VMs: outcomes, waivers, what is not known, and that every fault is a finding."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from muster.policy import Report, check, load_rules
from muster.policy.expressions import compile_expression
from muster.policy.fixes import FixConflictError
from muster.policy.fixes import settings as guest_settings
from muster.policy.formats.checked import Checked, Part, inspected
from muster.policy.rule import OUTCOMES, Rule
from muster.policy.selftest import NOW
from muster.policy.view import view
from muster.policy.waivers import WaiverError, load_waivers, parse_waivers

BASELINE = load_rules(["muster/baseline"])


def rule(expect: str, when: str | None = None, name: str = "r", severity: str = "high",
         stages: tuple[str, ...] = ("live",), fix: dict[str, Any] | None = None) -> Rule:
    return Rule(id=name, title="Title", severity=severity, stages=stages, expect=compile_expression(expect), why="Why.",
                when=compile_expression(when) if when else None, fix=fix or {}, controls={"nist_800_53": ("CM-8",)})


def one(expect: str, document: dict[str, Any], when: str | None = None, **arguments: Any) -> tuple[str, str]:
    [finding] = check([{"name": "web", "site": "lab", **document}], [rule(expect, when)], "live", now=NOW,
                      **arguments).findings
    return finding.outcome, finding.sentence


OUTCOME = {
    "pass": ("memory > `1`", None, {"memory": 2}, "pass", "web at lab satisfies 'Title'."),
    "fail": ("memory > `1`", None, {"memory": 1}, "fail", "web at lab: memory is 1. Why."),
    "missing": ("memory > `1`", None, {}, "unknown", "web at lab: this cannot be told: memory is not set."),
    "null": ("memory > `1`", None, {"memory": None}, "unknown", "web at lab: this cannot be told: memory is not set."),
    "later": ("memory > `1`", None, {"unknown": ["memory"]}, "unknown",
              "web at lab: this cannot be told: memory is not told by the platform."),
    "not applicable": ("a", "profile == 'web'", {"profile": "db"}, "not_applicable",
                       "'Title' does not apply to web at lab."),
    "perhaps applicable": ("memory > `1`", "profile == 'web'", {"memory": 2}, "unknown",
                           "web at lab: this cannot be told: whether it applies cannot be told, because profile is "
                           "not set."),
    "error": ("memory > `1`", None, {"memory": "lots"}, "error",
              "web at lab: this could not be judged: 'expect' could not be evaluated: "
              "a string and a number have no order; compare two numbers."),
    "asked for with a default": ("vsphere.default(logging, `false`)", None, {"vsphere": {"extra_config": {}}}, "fail",
                                 "web at lab: vsphere.logging is not set. Why."),
    "truthy text": ("profile", None, {"profile": "no"}, "error",
                    "web at lab: this could not be judged: 'expect' gave neither true nor false; compare it with "
                    "something."),
    "hostile": ("memory > `1`", None, {"memory": float("nan")}, "error",
                "web at lab: this could not be judged: its document holds a number that is not finite."),
    "secret": ("password == 'x'", None, {"password": "hunter2"}, "fail",
               "web at lab: password is set to another value. Why."),
    "an item of a list of secrets": ("length(secrets[?value == 'x']) == `0`", None,
                                     {"secrets": [{"name": "a", "value": "x"}]}, "fail",
                                     "web at lab: secrets[a].value is set to another value. Why."),
    "the item that decides, not its list": ("length(disks) > `0` && disks[0].size > `9`", None,
                                            {"disks": [{"size": 3}]}, "fail", "web at lab: disks[0].size is 3. Why."),
    "a harmless value of an item with such a name": (
        "length(disks[?!encrypted]) == `0`", None, {"disks": [{"name": "token-store", "encrypted": False}]}, "fail",
        "web at lab: disks[token-store].encrypted is false. Why."),
}


@pytest.mark.parametrize(("expect", "when", "document", "outcome", "sentence"), OUTCOME.values(), ids=OUTCOME.keys())
def test_outcome(expect: str, when: str | None, document: dict[str, Any], outcome: str, sentence: str) -> None:
    assert one(expect, document, when) == (outcome, sentence)


def test_what_a_plan_does_not_tell_comes_with_its_apply() -> None:
    [finding] = check([{"name": "web", "site": "lab", "unknown": ["memory"]}], [rule("memory > `1`", stages=("plan",))],
                      "plan", now=NOW).findings
    assert finding.sentence == "web at lab: this cannot be told: memory is known only after apply."


def test_what_is_sensitive_is_said_to_be_and_not_to_come_later() -> None:
    document = {"name": "web", "site": "lab", "unknown": ["memory", "disks", "cpus"], "sensitive": ["memory", "disks"]}
    rules = [rule("memory > `1`", stages=("plan",)), rule("disks[0].encrypted", stages=("plan",)),
             rule("all(disks, &encrypted)", stages=("plan",)), rule("cpus > `1`", stages=("plan",))]
    found = [finding.sentence for finding in check([document], rules, "plan", now=NOW).findings]
    assert [("is sensitive, so it was not read" in one, "after apply" in one) for one in found] == [
        (True, False), (True, False), (True, False), (False, True)]


def test_a_guest_that_nobody_looked_into_is_unknown_to_every_rule() -> None:
    report = check([{"name": "web", "site": "lab"}], load_rules(["muster/cis-debian-12"]), "guest")
    assert {finding.outcome for finding in report.findings} == {"unknown"}


def test_the_sentence_shows_the_value_of_a_key_with_dots() -> None:
    (finding,) = check([{"guest": {"sysctl": {"kernel.sysrq": 438}}}],
                       [rule('guest.sysctl."kernel.sysrq" == `0`', stages=("guest",))], "guest").findings
    assert 'guest.sysctl."kernel.sysrq" is 438' in finding.sentence


def test_only_the_rules_of_the_stage_are_run() -> None:
    rules = [rule("a", name="one", stages=("spec",)), rule("a", name="two", stages=("live", "spec"))]
    assert [finding.rule for finding in check([{}], rules, "live").findings] == ["two"]
    with pytest.raises(ValueError, match="is not a stage"):
        check([{}], rules, "lively")


def waiver(**changes: Any) -> dict[str, Any]:
    return {"rule": "r", "vms": ["web"], "reason": "Because.", "approver": "E. Roth", "until": "2026-01-15", **changes}


WAIVED = {
    "its last day": ({}, date(2026, 1, 15), "waived", "used"),
    "the day after": ({}, date(2026, 1, 16), "fail", "expired"),
    "another VM": ({"vms": ["db"]}, date(2026, 1, 1), "fail", "unused"),
    "another rule": ({"rule": "s"}, date(2026, 1, 1), "fail", "unused"),
    "a beginning": ({"vms": ["w*"]}, date(2026, 1, 1), "waived", "used"),
    "all": ({"vms": ["*"]}, date(2026, 1, 1), "waived", "used"),
    "not a pattern": ({"vms": ["webb"]}, date(2026, 1, 1), "fail", "unused"),
}


@pytest.mark.parametrize(("changes", "today", "outcome", "state"), WAIVED.values(), ids=WAIVED.keys())
def test_waivers(changes: dict[str, Any], today: date, outcome: str, state: str) -> None:
    report = check([{"name": "web", "memory": 1}], [rule("memory > `1`")], "live", parse_waivers([waiver(**changes)]),
                   today)
    assert (report.findings[0].outcome, report.waivers[0]["state"]) == (outcome, state)


# Names as other platforms allow them, and the address, which is what a report of a plan shows: (waiver, VM, address).
NAMED = [
    ("SQL_Prod 01.example.org", "SQL_Prod 01.example.org", ""),
    ("SQL_*", "SQL_Prod 01", ""),
    ("aws_instance.web", "web-1", "aws_instance.web"),
    ('module.a["x"].muster_vm.web[0]', "", 'module.a["x"].muster_vm.web[0]'),
    ("module.shop.*", "", "module.shop.muster_vm.web"),
]


@pytest.mark.parametrize(("written", "name", "address"), NAMED)
def test_a_waiver_names_a_vm_as_its_platform_or_terraform_does(written: str, name: str, address: str) -> None:
    documents = [{"name": name, "terraform_address": address, "memory": 1},
                 {"name": "other", "terraform_address": "muster_vm.other", "memory": 1}]
    report = check(documents, [rule("memory > `1`")], "live", parse_waivers([waiver(vms=[written])]), date(2026, 1, 1))
    assert {finding.vm: finding.outcome for finding in report.findings} == {name: "waived", "other": "fail"}


def test_an_expired_waiver_is_named_in_the_finding() -> None:
    outcome, sentence = one("memory > `1`", {"memory": 1}, waivers=parse_waivers([waiver(until="2026-01-14")]))
    assert outcome == "fail"
    assert "the waiver of E. Roth ended on 2026-01-14" in sentence


def test_an_error_and_a_pass_are_not_waived() -> None:
    waivers = parse_waivers([waiver(vms=["*"])])
    assert one("memory > `1`", {"memory": "x"}, waivers=waivers)[0] == "error"
    assert one("memory > `1`", {"memory": 2}, waivers=waivers)[0] == "pass"


@pytest.mark.parametrize("changes", [
    {"until": "2026-02-30"}, {"until": "soon"}, {"until": "20260115"}, {"vms": []}, {"vms": "web"}, {"vms": ["a*b"]},
    {"vms": [""]}, {"vms": ["a\nb"]}, {"vms": ["x" * 1001]},
    {"reason": " "}, {"approver": ""}, {"rule": 3}, {"colour": "red"},
])
def test_a_broken_waiver_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(WaiverError, match="waiver 1: "):
        parse_waivers([waiver(**changes)])


@pytest.mark.parametrize("text", ["", "waivers: {}", "- a", "waivers: []\nmore: 1", "waivers: [*a]"])
def test_a_broken_file_of_waivers_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "waivers.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(WaiverError, match=r"waivers\.yml"):
        load_waivers(path)


def test_waivers_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "waivers.yml"
    text = "waivers:\n  - {rule: r, vms: [web], reason: Why, approver: Me, until: 2026-12-31}\n"
    path.write_text(text, encoding="utf-8")
    assert load_waivers(path)[0].until == date(2026, 12, 31)


def test_the_report_counts_and_sorts() -> None:
    rules = [rule("memory > `1`", name="low", severity="low"), rule("memory > `1`", name="worst", severity="critical"),
             rule("cpus > `1`", name="unclear", severity="critical"), rule("owned", name="fine"),
             rule("owned", "!owned", name="elsewhere"), rule("name > `1`", name="broken", severity="medium")]
    report = check([{"name": "web", "site": "lab", "memory": 1, "owned": True}], rules, "live")
    assert report.totals == {"passed": 1, "failed": 2, "unknown": 1, "waived": 0, "not_applicable": 1, "errors": 1}
    assert [finding.rule for finding in report.attention()] == ["worst", "low", "broken", "unclear"]
    assert [finding.rule for finding in report.at_least("medium")] == ["worst", "broken"]
    assert report.by_vm()[0]["total"] == 5
    assert {row["rule"]: row["passed"] for row in report.by_rule()}["fine"] == 1
    both = report + check([{"name": "db"}], rules, "live")
    assert both.totals["unknown"] == 6  # of db only the name is known, so five rules cannot be told
    assert both.totals["errors"] == 2  # and a name is no number
    assert both.stage == "live"
    assert (Report("") + report).compliance() == report.compliance()


def test_vms_of_one_name_at_one_site_are_counted_one_by_one() -> None:
    twins = [{"name": "web", "site": "eu", "memory": 1, "terraform_address": f"aws_instance.{name}"} for name in "ab"]
    planned = check(twins, [rule("memory > `1`", stages=("plan",))], "plan")
    inside = check([{**one, "guest": {}} for one in twins], [rule("name == 'web'", stages=("guest",))], "guest")
    assert [(row["address"], row["failed"], row["passed"]) for row in (planned + inside).by_vm()] == [
        ("aws_instance.a", 1, 1), ("aws_instance.b", 1, 1)]
    parts = [Part(report, vms=[inspected(one) for one in twins]) for report in (planned, inside)]
    checked = Checked("fleet", tuple(parts), (), NOW)
    assert len(checked.vms()) == 2
    shown = view(checked.data())["vms"]
    assert [row["site"] for row in shown] == ["eu · aws_instance.a", "eu · aws_instance.b"]


def test_vms_of_one_name_at_two_sites_are_two() -> None:
    report = check([{"name": "web", "site": "a"}, {"name": "web", "site": "b"}], BASELINE, "spec")
    assert [(row["vm"], row["site"]) for row in report.by_vm()] == [("web", "a"), ("web", "b")]


FIELDS = ["name", "site", "tags", "memory", "disks", "nics", "protection", "health", "snapshots", "power", "unknown",
          "restore_points", "drills", "schedule", "secure_boot", "memory_minimum", "owned", "guest"]
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=2),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["size", "rpo", "keep", "created", "environment", "network"]), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS) | st.integers(), ANY, max_size=8) | ANY)
def test_every_document_gets_a_finding_of_every_rule(document: Any) -> None:
    report = check([document], BASELINE, "live", parse_waivers([waiver(rule="tag-owner", vms=["*"])]), now=NOW)
    assert len(report.findings) == sum("live" in rule.stages for rule in BASELINE)
    for finding in report.findings:
        assert finding.outcome in OUTCOMES
        assert len(finding.sentence) < 2000
    assert sum(report.totals.values()) == len(report.findings)


def guest_rule(name: str, fix: dict[str, Any], when: str | None = None) -> Rule:
    return rule("guest.x == `1`", when, name=name, stages=("guest",), fix=fix)


def test_the_settings_are_the_fixes_merged() -> None:
    rules = [
        guest_rule("a", {"sshd": {"PermitRootLogin": "no"}, "packages_absent": ["telnet"]}),
        guest_rule("b", {"sshd": {"MaxAuthTries": 4}, "packages_absent": ["rsh", "telnet"]}),
        guest_rule("waived", {"sshd": {"X11Forwarding": "no"}}),
        guest_rule("elsewhere", {"sshd": {"Banner": "none"}}, when="profile == 'database'"),
        guest_rule("unclear", {"sshd": {"Banner": "none"}}, when="guest.nothing"),
        guest_rule("advice", {"advice": "Think."}),
        rule("memory", name="vm", fix={"sshd": {"Port": 1}}),
    ]
    waivers = parse_waivers([waiver(rule="waived")])
    document = {"name": "web", "profile": "web", "guest": {"x": 1}}
    wanted = {"sshd": {"PermitRootLogin": "no", "MaxAuthTries": 4}, "packages_absent": ["telnet", "rsh"]}
    assert guest_settings(rules, document, waivers, now=NOW) == wanted
    assert rules[0].fix == {"sshd": {"PermitRootLogin": "no"}, "packages_absent": ["telnet"]}


@pytest.mark.parametrize(("one_fix", "other"), [("no", "yes"), (1, True), (["a"], "a"), ({"a": 1}, ["a"])])
def test_two_rules_that_disagree_are_told(one_fix: Any, other: Any) -> None:
    with pytest.raises(FixConflictError, match=r"The rules a and b ask for different values of sshd\.Banner"):
        guest_settings([guest_rule("a", {"sshd": {"Banner": one_fix}}), guest_rule("b", {"sshd": {"Banner": other}})],
                       {})
