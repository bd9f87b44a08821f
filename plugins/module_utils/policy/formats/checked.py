"""What a format is given: the report of each source that was checked, and where in its source each VM stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, reduce
from heapq import merge
from operator import add
from typing import TYPE_CHECKING, Any

from ..report import Report, Subject
from ..rule import OUTCOMES, SEVERITIES, Finding, Rule

if TYPE_CHECKING:
    from ..framework import Framework

_ORDER = ("fail", "error", "unknown", "waived")


@dataclass(frozen=True)
class Part:
    """What was found at one stage of one source.

    `source` is the file as it was named, or the site. `lines` has the line of each VM in that file, where it is known;
    `vms` has the VMs as a run report lists them; `notes` are sentences on what was not judged, `missing` is
    one on the VMs that should be there and are not.
    """

    report: Report
    source: str = ""
    lines: Mapping[str, int] = field(default_factory=dict)
    vms: Sequence[Mapping[str, Any]] = ()
    notes: tuple[str, ...] = ()
    missing: str = ""

    def by_subject(self) -> Iterator[tuple[Subject, list[Finding]]]:
        """Each VM and site with all that rules said of it, the passes too."""
        for table in self.report.tables:
            place = 0
            for subject, row in zip(table.subjects, table.outcomes, strict=True):
                found: list[Finding] = []
                for rule, code in zip(table.rules, row, strict=True):
                    if OUTCOMES[code] in _ORDER:
                        found.append(table.findings[place])
                        place += 1
                    else:
                        found.append(Finding(rule, subject.name, subject.site, table.stage, OUTCOMES[code], "",
                                             subject.address))
                yield subject, found


@dataclass(frozen=True)
class Checked:
    """One check, done. `rules` are those of all packs, those too that did not run at the stages of the check; `name`
    is the fleet's, or that of its first file."""

    name: str
    parts: tuple[Part, ...]
    rules: tuple[Rule, ...]
    now: datetime
    seconds: float = 0.0
    frameworks: tuple[Framework, ...] = ()

    @cached_property
    def report(self) -> Report:
        """The reports of all parts as one."""
        return reduce(add, (part.report for part in self.parts), Report(""))

    def attention(self) -> Iterator[tuple[Finding, Part]]:
        """The findings that somebody should look at, the worst first, each with its part."""
        each = [[(finding, part) for finding in part.report.attention()] for part in self.parts]
        return iter(each[0]) if len(each) == 1 else merge(*each, key=_rank)

    @property
    def generated(self) -> str:
        """When it was done, in ISO 8601."""
        return self.now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

    def vms(self) -> list[Mapping[str, Any]]:
        """The VMs of all parts as a run report lists them, each once; twins by name are told apart by their order."""
        found: dict[tuple[Any, ...], Mapping[str, Any]] = {}
        for part in self.parts:
            met: Counter[tuple[Any, Any]] = Counter()
            for vm in part.vms:
                place = (vm["name"], vm["site"])
                found[*place, met[place]] = vm
                met[place] += 1
        return list(found.values())

    def summary(self) -> dict[str, Any]:
        """The part ``compliance`` of a run report without its findings, with the frameworks that were asked for."""
        found = self.report.summary()
        return {**found, "frameworks": controls(self)} if self.frameworks else found

    def data(self) -> dict[str, Any]:
        """The run report, as docs/report.schema.json has it."""
        findings = [finding.document() for finding, _part in self.attention()]
        return {**self.head(), "compliance": {**self.summary(), "findings": findings}}

    def head(self) -> dict[str, Any]:
        """The run report without its compliance."""
        head = {"fleet": self.name, "generated": self.generated, "seconds": round(self.seconds, 3), "vms": self.vms()}
        notes = [note for part in self.parts for note in (part.missing, *part.notes) if note]
        return {**head, "notes": notes} if notes else head


def controls(checked: Checked) -> list[dict[str, Any]]:
    """For each framework that was asked for: {name, title, version, totals, controls}, as framework.py has them."""
    from ..framework import by_framework

    return by_framework(checked.report.by_rule(), checked.rules, checked.frameworks)


def inspected(document: Mapping[str, Any]) -> dict[str, Any]:
    """A VM document as a run report lists VMs."""
    addresses = document.get("addresses")
    health = document.get("health_state")
    return {
        "name": str(document.get("name") or "without a name"),
        "site": str(document.get("site") or ""),
        "uuid": str(document["uuid"]) if document.get("uuid") else None,
        "address": str(addresses[0]) if isinstance(addresses, list) and addresses else None,
        "power": str(document.get("power") or "unknown"),
        "health": health if health in ("healthy", "unhealthy") else "unknown",
        "os": str(document["os"]) if document.get("os") else None,
    }


def _rank(pair: tuple[Finding, Part]) -> tuple[int, int, str, str]:
    finding = pair[0]
    return _ORDER.index(finding.outcome), -SEVERITIES.index(finding.severity), finding.rule, finding.vm
