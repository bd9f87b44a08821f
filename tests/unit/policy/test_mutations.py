"""One thing is broken for each rule of each shipped pack, and exactly the rules that should find it do.

Which others find a break too is written down, with the reason, in overlaps.yml: an unexpected one is a rule that looks
at what is not its business, a missing one is a rule that has gone blind.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from muster.policy import load_rules
from muster.policy.packfile import shipped
from muster.policy.rule import Rule

from .mutations import Matrix, matrix, united

HERE = Path(__file__).parent
FLEET: dict[str, list[dict[str, Any]]] = yaml.safe_load((HERE / "compliant_fleet.yml").read_text(encoding="utf-8"))
WRITTEN = yaml.safe_load((HERE / "overlaps.yml").read_text(encoding="utf-8"))
OVERLAPS: dict[str, list[str]] = {rule: entry["also"] for entry in WRITTEN["overlaps"] for rule in entry["rules"]}
TOLERATED: dict[str, list[str]] = {rule: entry["forbids"] for entry in WRITTEN["tolerated"] for rule in entry["rules"]}
RULES = load_rules(shipped())


def _guest(rules: list[Rule], system: str) -> list[dict[str, Any]]:
    """What the rules for guests want to see, all in one guest."""
    return [united([{"name": "web-1", "site": "lab"}, *(rule.passing[0] for rule in rules),
                    {"guest": {"os": {"id": system}}}])]


def _matrix(subject: str) -> Matrix:
    guest, system = subject.startswith("guest"), subject.removeprefix("guest ")
    rules = [rule for rule in RULES
             if rule.about == ("site" if subject == "site" else "vm") and ("guest" in rule.stages) is guest]
    if guest:
        other = {"debian": "ubuntu", "ubuntu": "debian"}[system]
        rules = [rule for rule in rules if not rule.id.startswith(f"{other}-")]
    return matrix(rules, _guest(rules, system) if guest else FLEET[subject], TOLERATED)


@pytest.mark.parametrize("subject", ["vm", "site", "guest debian", "guest ubuntu"])
def test_each_break_is_found_by_exactly_the_rules_that_should_find_it(subject: str) -> None:
    found = _matrix(subject)
    assert found.unreached == (), "no compliant VM passes these; add one to compliant_fleet.yml"
    assert found.unbroken == (), "nothing that these must fail makes a compliant VM fail them"
    also = {one.rule: one.found - {one.rule} for one in found.mutations}
    assert {rule: sorted(others) for rule, others in also.items() if others} == {
        rule: sorted(OVERLAPS[rule]) for rule in also if rule in OVERLAPS}
    alone = sum(not others for others in also.values())
    print(f"\n{subject}: {len(also)} rules broken in {found.vms} compliant documents; {alone} found by their own rule "
          f"alone, {len(also) - alone} also by the rules that overlaps.yml names; missed: 0")
