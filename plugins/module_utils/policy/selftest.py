"""The tests that every rule carries: documents that must pass it and documents that must fail it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from .documents import DocumentError, normal
from .evaluate import verdict
from .rule import Rule

# The time that it is in the documents of packs, so that ages in them stay what they are.
NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Case:
    """One document of a rule: `number` counts from 1 among those that must `expected` (pass or fail) it."""

    rule: Rule
    expected: str
    number: int

    @property
    def name(self) -> str:
        return f"{self.rule.pack}:{self.rule.id}:{self.expected}:{self.number}"


def cases(rules: Iterable[Rule]) -> list[Case]:
    """Every case of every rule."""
    return [
        Case(rule, expected, number)
        for rule in rules
        for expected, documents in (("pass", rule.passing), ("fail", rule.failing))
        for number in range(1, len(documents) + 1)
    ]


def run(case: Case) -> str:
    """An empty text where the case holds, else a sentence with pack, rule and what happened instead."""
    document = (case.rule.passing if case.expected == "pass" else case.rule.failing)[case.number - 1]
    try:
        outcome, clause = verdict(case.rule, normal(document), NOW)
    except DocumentError as error:
        outcome, clause = "error", f"its document {error}"
    if outcome == case.expected:
        return ""
    return (f"{case.rule.pack}: rule {case.rule.id}: document {case.number} of tests.{case.expected} gave {outcome}"
            f"{f' ({clause})' if clause else ''}. Correct the rule or the document.")


def failures(rules: Iterable[Rule]) -> list[str]:
    """The sentences of all cases that do not hold; empty where the rules do what they say."""
    return [sentence for sentence in map(run, cases(rules)) if sentence]
