"""A rule and what it found: the two values that the rest of the policy room passes around."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .expressions import Expression

STAGES = ("spec", "plan", "live", "guest")
SEVERITIES = ("low", "medium", "high", "critical")
OUTCOMES = ("pass", "fail", "unknown", "waived", "not_applicable", "error")
SUBJECTS = ("vm", "site")

# What is said of a VM and a rule where nothing was observed that would have to be told.
_WORDS = {"unknown": "this cannot be told", "waived": "this is waived", "error": "this could not be judged"}


@dataclass(frozen=True)
class Rule:
    """One thing that a VM, or with ``about: site`` a site, must satisfy.

    `when` is None for a rule that always applies. `fix` is a settings document for the guest, ``{vm: {field: value}}``
    or ``{advice: text}``. `controls` maps a framework to the ids of its controls that the rule evidences; `level` is
    the benchmark's level, 0 where there is none. `passing` and `failing` are documents that must pass and fail it; the
    pack's tests run them. `pack` is the pack that was asked for, `source` the file and the line that it stands in.
    """

    id: str
    title: str
    severity: str
    stages: tuple[str, ...]
    expect: Expression
    why: str
    when: Expression | None = None
    about: str = "vm"
    level: int = 0
    fix: Mapping[str, Any] = field(default_factory=dict)
    controls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    passing: tuple[Mapping[str, Any], ...] = ()
    failing: tuple[Mapping[str, Any], ...] = ()
    pack: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule said of one VM at one stage. `outcome` is one of `OUTCOMES`; `clause` explains it."""

    of: Rule
    vm: str
    site: str
    stage: str
    outcome: str
    clause: str = ""
    address: str = ""  # where a Terraform document has the VM

    @property
    def rule(self) -> str:
        """The rule's id."""
        return self.of.id

    @property
    def title(self) -> str:
        return self.of.title

    @property
    def severity(self) -> str:
        return self.of.severity

    @property
    def controls(self) -> Mapping[str, tuple[str, ...]]:
        return self.of.controls

    @property
    def fix(self) -> Mapping[str, Any]:
        """What would mend it; nothing where there is nothing to mend."""
        return self.of.fix if self.outcome in ("fail", "unknown") else {}

    @property
    def sentence(self) -> str:
        """The finding for people."""
        where = self.vm or "A VM without a name"
        if self.site and self.of.about == "vm":
            where = f"{where} at {self.site}"
        clause = self.clause.rstrip(".")
        if self.outcome == "fail":
            return f"{where}: {clause}. {self.of.why}"
        if self.outcome == "pass":
            return f"{where} satisfies '{self.of.title}'."
        if self.outcome == "not_applicable":
            return f"'{self.of.title}' does not apply to {where}."
        return f"{where}: {_WORDS[self.outcome]}: {clause}."

    def document(self) -> dict[str, Any]:
        """The finding as JSON has it."""
        return {
            "rule": self.of.id,
            "title": self.of.title,
            "severity": self.of.severity,
            "vm": self.vm,
            "site": self.site,
            "stage": self.stage,
            "outcome": self.outcome,
            "sentence": self.sentence,
            **({"address": self.address} if self.address else {}),
            "fix": dict(self.fix),
            "controls": {framework: list(ids) for framework, ids in self.of.controls.items()},
        }
