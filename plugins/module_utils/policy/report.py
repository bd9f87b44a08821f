"""The report of a check: what needs attention as findings, everything else as counts by VM and by rule.

A fleet of 5,000 VMs under 100 rules is half a million outcomes. Each is kept as one byte; a `Finding` is made for
those alone that somebody should look at, and for the others when they are asked for.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .rule import OUTCOMES, SEVERITIES, Finding, Rule

# Names of the counts in JSON, by outcome.
COUNTS = {"pass": "passed", "fail": "failed", "unknown": "unknown", "waived": "waived",
          "not_applicable": "not_applicable", "error": "errors"}
CODES = {outcome: code for code, outcome in enumerate(OUTCOMES)}
_ATTENTION = ("fail", "error", "unknown", "waived")
_RANKS = {outcome: number for number, outcome in enumerate(_ATTENTION)}
_WORST = {severity: -number for number, severity in enumerate(SEVERITIES)}


@dataclass(frozen=True, slots=True)
class Subject:
    """A VM or a site that was judged; `address` is where a Terraform document has it."""

    name: str
    site: str
    address: str = ""


@dataclass
class Table:
    """The outcomes of `rules` at one stage: for each of `subjects` a byte for each rule, its place in `OUTCOMES`."""

    stage: str
    rules: tuple[Rule, ...]
    subjects: list[Subject] = field(default_factory=list)
    outcomes: list[bytes] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def add(self, subject: Subject, outcomes: bytes) -> None:
        self.subjects.append(subject)
        self.outcomes.append(outcomes)

    def by_rule(self) -> Iterator[tuple[Rule, Counter[int]]]:
        """Each rule with how often it had which outcome."""
        for number, rule in enumerate(self.rules):
            yield rule, Counter(row[number] for row in self.outcomes)


def _worst_first(finding: Finding) -> tuple[int, int, str, str]:
    """What findings are ordered by: outcome, severity, rule and VM."""
    return _RANKS[finding.outcome], _WORST[finding.severity], finding.rule, finding.vm


def _counts(found: Counter[int]) -> dict[str, int]:
    return {COUNTS[outcome]: found[code] for outcome, code in CODES.items()}


@dataclass(frozen=True)
class Report:
    """What a check found. `waivers` has what each waiver did: {rule, vms, reason, approver, until, state:
    used|unused|expired}; `unmapped` how many resources of which type of a Terraform document nobody could judge."""

    stage: str
    tables: tuple[Table, ...] = ()
    waivers: tuple[dict[str, Any], ...] = ()
    unmapped: dict[str, int] = field(default_factory=dict)

    @property
    def totals(self) -> dict[str, int]:
        """Counts of all outcomes: passed, failed, unknown, waived, not_applicable, errors."""
        found: Counter[int] = Counter()
        for table in self.tables:
            for row in table.outcomes:
                found.update(row)
        return _counts(found)

    @property
    def subjects(self) -> list[Subject]:
        """The VMs and sites that were judged, each once."""
        return list(dict.fromkeys(subject for table in self.tables for subject in table.subjects))

    @property
    def rules(self) -> list[Rule]:
        """The rules that were asked, each once."""
        return list({rule.id: rule for table in self.tables for rule in table.rules}.values())

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every rule on every VM, the passes too."""
        return tuple(self._every())

    def _every(self) -> Iterator[Finding]:
        for table in self.tables:
            attention = deque(table.findings)
            for subject, row in zip(table.subjects, table.outcomes, strict=True):
                for rule, code in zip(table.rules, row, strict=True):
                    outcome = OUTCOMES[code]
                    if outcome in _ATTENTION:
                        yield attention.popleft()
                    else:
                        yield Finding(rule, subject.name, subject.site, table.stage, outcome, "", subject.address)

    def by_vm(self) -> list[dict[str, Any]]:
        """The counts of each VM, with its name, its site, its Terraform address where it has one, and `total`: the
        rules that apply to it. VMs of one name at one site are as many as one stage has; they are told apart by their
        order."""
        groups: dict[tuple[str, str, int], tuple[Subject, Counter[int]]] = {}
        for table in self.tables:
            met: Counter[tuple[str, str]] = Counter()
            for subject, row in zip(table.subjects, table.outcomes, strict=True):
                place = (subject.name, subject.site)
                groups.setdefault((*place, met[place]), (subject, Counter()))[1].update(row)
                met[place] += 1
        return [{"vm": subject.name, "site": subject.site, **({"address": subject.address} if subject.address else {}),
                 **(counts := _counts(found)), "total": found.total() - counts["not_applicable"]}
                for subject, found in groups.values()]

    def by_rule(self) -> list[dict[str, Any]]:
        """The counts of each rule. A rule that applied to no VM shows as such and does not look passed."""
        groups: dict[str, tuple[Rule, Counter[int]]] = {}
        for table in self.tables:
            for rule, found in table.by_rule():
                groups.setdefault(rule.id, (rule, Counter()))[1].update(found)
        return [
            {"rule": rule.id, "title": rule.title, "severity": rule.severity,
             "controls": {framework: list(ids) for framework, ids in rule.controls.items()}, **_counts(found)}
            for rule, found in groups.values()
        ]

    def by_stage(self) -> list[dict[str, Any]]:
        """The counts of each stage."""
        groups: dict[str, Counter[int]] = {}
        for table in self.tables:
            found = groups.setdefault(table.stage, Counter())
            for row in table.outcomes:
                found.update(row)
        return [{"stage": stage, **_counts(found)} for stage, found in groups.items()]

    def attention(self) -> list[Finding]:
        """The findings that somebody should look at, the worst first: failed, error, unknown, waived."""
        return sorted((finding for table in self.tables for finding in table.findings), key=_worst_first)

    def at_least(self, severity: str) -> list[Finding]:
        """The failures and errors of `severity` or worse: what stops a run. Unknown, waived and passed do not."""
        stops = set(SEVERITIES[SEVERITIES.index(severity):])
        return sorted((finding for table in self.tables for finding in table.findings
                       if finding.outcome in ("fail", "error") and finding.severity in stops), key=_worst_first)

    def compliance(self) -> dict[str, Any]:
        """The part ``compliance`` of a run report. Passes are counted, not listed."""
        return {**self.summary(), "findings": [finding.document() for finding in self.attention()]}

    def summary(self) -> dict[str, Any]:
        """`compliance` without its findings."""
        return {
            **self.totals,
            "stage": self.stage,
            "packs": list(dict.fromkeys(rule.pack for rule in self.rules if rule.pack)),
            "stages": self.by_stage(),
            "vms": self.by_vm(),
            "rules": self.by_rule(),
            "waivers": [dict(waiver) for waiver in self.waivers],
            "unmapped": dict(self.unmapped),
        }

    def __add__(self, other: Report) -> Report:
        """Both checks in one report, such as those of the stages ``live`` and ``guest``."""
        stages = dict.fromkeys(part for report in (self, other) for part in report.stage.split("+") if part)
        unmapped = Counter(self.unmapped) + Counter(other.unmapped)
        return Report("+".join(stages), self.tables + other.tables, _joined(self.waivers + other.waivers),
                      dict(unmapped))


def _joined(waivers: Iterable[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Each waiver once; it was used when one of the checks used it."""
    kept: dict[tuple[Any, ...], dict[str, Any]] = {}
    for waiver in waivers:
        key = (waiver["rule"], tuple(waiver["vms"]), waiver["until"], waiver["approver"], waiver["reason"])
        if key not in kept or waiver["state"] == "used":
            kept[key] = waiver
    return tuple(kept.values())
