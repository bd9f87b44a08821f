"""The packs after the CIS benchmarks: nothing automatable is left out, and no pack judges the other's guests."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from muster.policy.documents import normal
from muster.policy.evaluate import verdict
from muster.policy.packfile import PACKS, load_rules
from muster.policy.rule import Rule

BENCHMARKS = {"muster/cis-debian-12": "cis_debian_12", "muster/cis-ubuntu-24-04": "cis_ubuntu_24_04"}
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
RULES: dict[str, tuple[Rule, ...]] = {name: load_rules([name]) for name in BENCHMARKS}
TABLE = yaml.safe_load((Path(__file__).parent / "cis.yml").read_text(encoding="utf-8"))


def numbers(text: str) -> list[str]:
    """``1.5.1..3`` is 1.5.1, 1.5.2 and 1.5.3."""
    found = []
    for word in text.split():
        start, _dots, last = word.partition("..")
        chapter, _dot, first = start.rpartition(".")
        found += [f"{chapter}.{number}" for number in range(int(first), int(last or first) + 1)]
    return found


AUTOMATED = {number: level for level, text in TABLE["automated"].items() for number in numbers(text)}
LEVELS = {**AUTOMATED, **{number: level for level, text in TABLE["manual"].items() for number in numbers(text)}}


def test_the_table_has_each_number_once() -> None:
    assert len(LEVELS) == sum(len(numbers(text)) for part in TABLE.values() for text in part.values()) == 312
    assert len(AUTOMATED) == 291


@pytest.mark.parametrize("pack", BENCHMARKS)
def test_every_automatable_recommendation_has_a_rule(pack: str) -> None:
    covered = {number for rule in RULES[pack] for number in rule.controls.get(BENCHMARKS[pack], ())}
    assert sorted(AUTOMATED.keys() - covered) == []
    assert sorted(covered - LEVELS.keys()) == []


@pytest.mark.parametrize("pack", BENCHMARKS)
def test_a_rule_has_the_level_of_its_recommendations(pack: str) -> None:
    for rule in RULES[pack]:
        levels = {LEVELS[number] for number in rule.controls.get(BENCHMARKS[pack], ())}
        assert levels == ({rule.level} if rule.level else set()), rule.id


SHARED = set.intersection(*({rule.id for rule in rules} for rules in RULES.values()))


def test_a_number_is_the_same_in_both_benchmarks() -> None:
    assert len(SHARED) >= 300
    for rule in RULES["muster/cis-debian-12"]:
        if rule.id in SHARED:
            assert rule.controls.get("cis_debian_12") == rule.controls.get("cis_ubuntu_24_04"), rule.id


@pytest.mark.parametrize(("pack", "other"), [("muster/cis-debian-12", "ubuntu"), ("muster/cis-ubuntu-24-04", "debian")])
def test_what_only_one_distribution_needs_does_not_judge_the_other(pack: str, other: str) -> None:
    own = [rule for rule in RULES[pack] if rule.id not in SHARED]
    assert len(own) >= 5
    for rule in own:
        assert next(iter(rule.controls)) == BENCHMARKS[pack]
        for document in (*rule.passing, *rule.failing):
            guest = {**document["guest"], "os": {"id": other}}
            assert verdict(rule, normal({**document, "guest": guest}), NOW)[0] == "not_applicable", rule.id


def test_the_files_are_shared_and_none_lies_there_unused() -> None:
    included = {path.stem: {entry for entry in yaml.safe_load(path.read_text(encoding="utf-8")).get("include", ())
                            if isinstance(entry, str) and "/" in entry} for path in PACKS.glob("*.yml")}
    first, second = (included[name.partition("/")[2]] for name in BENCHMARKS)
    assert first == second
    assert set().union(*included.values()) == {f"common/{path.name}" for path in (PACKS / "common").glob("*.yml")}
