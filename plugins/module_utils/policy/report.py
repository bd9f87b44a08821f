"""The report of a check: every finding, and the counts by VM and by rule that are made from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .rule import OUTCOMES, SEVERITIES, Finding

# Names of the counts in JSON, by outcome.
COUNTS = {"pass": "passed", "fail": "failed", "unknown": "unknown", "waived": "waived",
          "not_applicable": "not_applicable", "error": "errors"}
_ATTENTION = ("fail", "error", "unknown", "waived")


def _counts(findings: Iterable[Finding]) -> dict[str, int]:
    found = Counter(finding.outcome for finding in findings)
    return {COUNTS[outcome]: found[outcome] for outcome in OUTCOMES}


@dataclass(frozen=True)
class Report:
    """What a check found. `findings` holds every rule on every VM, the passes too; `waivers` what each waiver did:
    {rule, vms, reason, approver, until, state: used|unused|expired}."""

    stage: str
    findings: tuple[Finding, ...] = ()
    waivers: tuple[dict[str, Any], ...] = ()

    @property
    def totals(self) -> dict[str, int]:
        """Counts of all findings: passed, failed, unknown, waived, not_applicable, errors."""
        return _counts(self.findings)

    def by_vm(self) -> list[dict[str, Any]]:
        """The counts of each VM, with its name, its site and `total`: the rules that apply to it."""
        groups: dict[tuple[str, str], list[Finding]] = {}
        for finding in self.findings:
            groups.setdefault((finding.vm, finding.site), []).append(finding)
        rows = []
        for (vm, site), findings in groups.items():
            counts = _counts(findings)
            rows.append({"vm": vm, "site": site, **counts, "total": len(findings) - counts["not_applicable"]})
        return rows

    def by_rule(self) -> list[dict[str, Any]]:
        """The counts of each rule. A rule that applied to no VM shows as such and does not look passed."""
        groups: dict[str, list[Finding]] = {}
        for finding in self.findings:
            groups.setdefault(finding.rule, []).append(finding)
        return [
            {"rule": rule, "title": findings[0].title, "severity": findings[0].severity,
             "controls": {framework: list(ids) for framework, ids in findings[0].controls.items()},
             **_counts(findings)}
            for rule, findings in groups.items()
        ]

    def attention(self) -> list[Finding]:
        """The findings that somebody should look at, the worst first: failed, error, unknown, waived."""
        chosen = [finding for finding in self.findings if finding.outcome in _ATTENTION]
        return sorted(chosen, key=lambda finding: (_ATTENTION.index(finding.outcome),
                                                   -SEVERITIES.index(finding.severity), finding.rule, finding.vm))

    def at_least(self, severity: str) -> list[Finding]:
        """The failures and errors of `severity` or worse: what stops a run. Unknown, waived and passed do not."""
        floor = SEVERITIES.index(severity)
        return [finding for finding in self.attention()
                if finding.outcome in ("fail", "error") and SEVERITIES.index(finding.severity) >= floor]

    def compliance(self) -> dict[str, Any]:
        """The part ``compliance`` of a run report. Passes are counted, not listed."""
        return {
            **self.totals,
            "stage": self.stage,
            "findings": [finding.document() for finding in self.attention()],
            "vms": self.by_vm(),
            "rules": self.by_rule(),
            "waivers": [dict(waiver) for waiver in self.waivers],
        }

    def __add__(self, other: Report) -> Report:
        """Both checks in one report, such as those of the stages ``live`` and ``guest``."""
        stages = dict.fromkeys(part for report in (self, other) for part in report.stage.split("+") if part)
        return Report("+".join(stages), self.findings + other.findings, _joined(self.waivers + other.waivers))


def _joined(waivers: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
    """Each waiver once; it was used when one of the checks used it."""
    kept: dict[tuple[Any, ...], dict[str, Any]] = {}
    for waiver in waivers:
        key = (waiver["rule"], tuple(waiver["vms"]), waiver["until"], waiver["approver"], waiver["reason"])
        if key not in kept or waiver["state"] == "used":
            kept[key] = waiver
    return tuple(kept.values())
