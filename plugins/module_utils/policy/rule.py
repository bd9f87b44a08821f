"""A rule and what it found: the two values that the rest of the policy room passes around."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .expressions import Expression

STAGES = ("spec", "plan", "live", "guest")
SEVERITIES = ("low", "medium", "high", "critical")
OUTCOMES = ("pass", "fail", "unknown", "waived", "not_applicable", "error")


@dataclass(frozen=True)
class Rule:
    """One thing that a VM must satisfy.

    `when` is None for a rule that always applies. `fix` is a settings document for the guest, ``{vm: {field: value}}``
    or ``{advice: text}``. `controls` maps a framework to the ids of its controls that the rule evidences.
    `passing` and `failing` are documents that must pass and fail it; the pack's tests run them.
    """

    id: str
    title: str
    severity: str
    stages: tuple[str, ...]
    expect: Expression
    why: str
    when: Expression | None = None
    fix: Mapping[str, Any] = field(default_factory=dict)
    controls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    passing: tuple[Mapping[str, Any], ...] = ()
    failing: tuple[Mapping[str, Any], ...] = ()
    pack: str = ""


@dataclass(frozen=True)
class Finding:
    """What one rule said of one VM at one stage. `outcome` is one of `OUTCOMES`, `sentence` says it for people."""

    rule: str
    title: str
    severity: str
    vm: str
    site: str
    stage: str
    outcome: str
    sentence: str
    fix: Mapping[str, Any] = field(default_factory=dict)
    controls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The finding as JSON has it."""
        return {
            "rule": self.rule,
            "title": self.title,
            "severity": self.severity,
            "vm": self.vm,
            "site": self.site,
            "stage": self.stage,
            "outcome": self.outcome,
            "sentence": self.sentence,
            "fix": dict(self.fix),
            "controls": {framework: list(ids) for framework, ids in self.controls.items()},
        }
