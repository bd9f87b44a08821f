"""The pack muster/cis-debian-12: its own cases, and fixes that this room can carry out."""

from __future__ import annotations

import pytest
from muster.guest import known
from muster.guest.facts.kernel import sysctl_path
from muster.guest.settings import KINDS
from muster.policy.packfile import load_rules
from muster.policy.selftest import cases, run

RULES = load_rules(["muster/cis-debian-12"])
FIXED = [rule for rule in RULES if rule.fix and "advice" not in rule.fix]


@pytest.mark.parametrize("case", cases(RULES), ids=lambda case: case.name)
def test_case(case):
    assert run(case) == ""


def test_there_is_much_to_fix():
    assert len(FIXED) >= 75
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert all(rule.stages == ("guest",) and rule.controls for rule in RULES)


@pytest.mark.parametrize("rule", FIXED, ids=lambda rule: rule.id)
def test_fix_is_of_a_known_kind_and_looks_at_known_names(rule):
    assert set(rule.fix) <= set(KINDS)
    assert set(rule.fix.get("packages_absent", [])) <= set(known.PACKAGES)
    assert set(rule.fix.get("sysctl", {})) <= set(known.SYSCTL)
    assert set(rule.fix.get("modules_disabled", [])) <= set(known.MODULES)
    assert set(rule.fix.get("files", {})) <= set(known.FILES)
    assert all(sysctl_path(key).count("/") >= 3 for key in rule.fix.get("sysctl", {}))


def test_fixes_agree_with_each_other():
    from muster.policy.fixes import _merge

    merged: dict = {}
    owners: dict = {}
    for rule in FIXED:
        _merge(merged, rule.fix, rule.id, (), owners)
    assert set(merged) <= set(KINDS)
    assert not set(merged["packages_present"]) & set(merged["packages_absent"])
