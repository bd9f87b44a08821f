"""Frameworks: what a standard asks for, control by control, and what a report says about each of them.

The catalogues are the files in the folder ``frameworks`` beside this one, read when a framework is asked for and not
before. (This file cannot be ``frameworks.py``: Ansible would import the folder instead.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .rule import Rule

FRAMEWORKS = Path(__file__).parent / "frameworks"
SCOPES = ("technical", "process")
# What a row says of its control. `gap`: technical, and no rule of the packs evidences it. `out_of_reach`: a process.
VERDICTS = ("failed", "unknown", "waived", "met", "not_applicable", "gap", "out_of_reach")
_COUNTS = ("passed", "failed", "unknown", "waived", "not_applicable", "errors")


class FrameworkError(ValueError):
    """A framework cannot be used. Its text is a sentence that says what to write instead."""


@dataclass(frozen=True)
class Control:
    """One control. `scope` is technical where a rule on a VM can evidence it at all, else process.

    `level` is the framework's own grade, such as IG1, moderate or addressable; empty where it has none.
    """

    id: str
    title: str
    scope: str
    level: str = ""


@dataclass(frozen=True)
class Framework:
    """A catalogue. `name` is the key under `controls` of a rule, such as ``pci_dss_4``; `title` is for people."""

    name: str
    title: str
    version: str
    controls: tuple[Control, ...]

    def missing(self, rules: Iterable[Rule]) -> dict[str, list[str]]:
        """The ids that `rules` cite and the catalogue does not have, each with the ids of those rules."""
        known = {control.id for control in self.controls}
        return {one: by for one, by in _evidence(rules, self.name).items() if one not in known}


def frameworks() -> tuple[str, ...]:
    """The names of the frameworks that have a catalogue. Benchmarks, such as ``cis_debian_12``, have none."""
    return tuple(sorted(path.stem for path in FRAMEWORKS.glob("*.yml")))


@cache
def load_framework(name: str) -> Framework:
    """The catalogue `name`, such as ``pci_dss_4``. Raises FrameworkError where there is none of this name."""
    from .strict_yaml import read_file  # its YAML is on the controller only

    if name not in frameworks():
        raise FrameworkError(f"{name:.80}: there is no framework of this name. There are: {', '.join(_nearest(name))}.")
    document = read_file(FRAMEWORKS / f"{name}.yml")
    controls = tuple(Control(one, entry["title"], entry["scope"], entry.get("level", ""))
                     for one, entry in document["controls"].items())
    return Framework(name, document["title"], document["version"], controls)


def _nearest(name: str) -> list[str]:
    """The names of all frameworks, the one that looks most like `name` first: begins like it, then is like it."""
    from difflib import SequenceMatcher

    wanted = name.lower().replace("-", "_")[:80]

    def likeness(one: str) -> tuple[int, float]:
        same = takewhile(lambda pair: pair[0] == pair[1], zip(wanted, one, strict=False))
        return len(list(same)), SequenceMatcher(None, wanted, one).ratio()

    return sorted(frameworks(), key=likeness, reverse=True)


def by_control(report_rows: Iterable[Mapping[str, Any]], rules: Iterable[Rule],
               framework: Framework) -> list[dict[str, Any]]:
    """What a report says of each control of `framework`, in the order of the catalogue.

    `report_rows` are those of `Report.by_rule`, `rules` the rules of the packs, the ones too that did not run at the
    stages of the report. A row is {control, title, level, scope, verdict, rules, not_run, passed, failed, unknown,
    waived, not_applicable, errors}: `rules` are the ids of the rules that evidence the control, `not_run` those of
    them that the report has no finding of, and the counts are over findings, one for each of these rules and each VM.

    A control is ``met`` only where every rule ran, each of its findings is a pass or not applicable, and at least one
    is a pass. Ids that rules cite and the catalogue lacks come last, so that no evidence is dropped in silence.
    """
    found = {str(row["rule"]): row for row in report_rows}
    evidence = _evidence(rules, framework.name)
    for one, row in found.items():
        for control in row.get("controls", {}).get(framework.name, ()):
            if one not in evidence.setdefault(control, []):
                evidence[control].append(one)
    known = {control.id for control in framework.controls}
    strange = [Control(one, "Not in the catalogue", "technical") for one in evidence if one not in known]
    return [_row(control, evidence.get(control.id, []), found) for control in (*framework.controls, *strange)]


def by_framework(report_rows: Iterable[Mapping[str, Any]], rules: Iterable[Rule],
                 chosen: Iterable[Framework]) -> list[dict[str, Any]]:
    """`by_control` for each of `chosen`: {name, title, version, totals, controls}, as a run report has them."""
    counts, asked = list(report_rows), list(rules)
    found = []
    for framework in chosen:
        rows = by_control(counts, asked, framework)
        found.append({"name": framework.name, "title": framework.title, "version": framework.version,
                      "totals": totals(rows), "controls": rows})
    return found


def totals(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many of `rows`, which `by_control` made, have each verdict; `controls` counts them all."""
    verdicts = [row["verdict"] for row in rows]
    return {"controls": len(verdicts), **{verdict: verdicts.count(verdict) for verdict in VERDICTS}}


def _evidence(rules: Iterable[Rule], framework: str) -> dict[str, list[str]]:
    """The ids of controls of `framework` that `rules` cite, each with the ids of those rules."""
    evidence: dict[str, list[str]] = {}
    for rule in rules:
        for one in dict.fromkeys(rule.controls.get(framework, ())):
            evidence.setdefault(one, []).append(rule.id)
    return evidence


def _row(control: Control, rules: list[str], found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    ran = [found[rule] for rule in rules if rule in found]
    counts = {key: sum(int(row[key]) for row in ran) for key in _COUNTS}
    not_run = [rule for rule in rules if rule not in found]
    return {"control": control.id, "title": control.title, "level": control.level, "scope": control.scope,
            "verdict": _verdict(control, rules, not_run, counts), "rules": rules, "not_run": not_run, **counts}


def _verdict(control: Control, rules: list[str], not_run: list[str], counts: Mapping[str, int]) -> str:
    """The worst that is known of the control: what nobody looked at, or could not judge, is never met."""
    if not rules:
        return "gap" if control.scope == "technical" else "out_of_reach"
    if counts["failed"]:
        return "failed"
    if counts["unknown"] or counts["errors"] or not_run:
        return "unknown"
    if counts["waived"]:
        return "waived"
    return "met" if counts["passed"] else "not_applicable"
