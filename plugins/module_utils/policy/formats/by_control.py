"""The text of a check by control: what a framework asks for, what the rules found of it, and the gaps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .checked import Checked, controls
from .words import Style, join, line, plural

_SHOWN = ("failed", "unknown", "waived", "met", "not_applicable")
_HEADS = {
    "failed": "FAILED",
    "unknown": "UNKNOWN  a rule could not judge a VM, or did not run at these stages",
    "waived": "WAIVED",
    "met": "MET  by all that these rules look at",
    "not_applicable": "NOT APPLICABLE  to any of these VMs",
}


def controls_text(checked: Checked, style: Style) -> Iterator[str]:
    """The frameworks that were asked for, a block for each verdict."""
    for framework in controls(checked):
        yield f"{style.strong(line(framework['title']))}  {line(framework['name'])}\n\n"
        for verdict in _SHOWN:
            rows = [row for row in framework["controls"] if row["verdict"] == verdict]
            if rows:
                paint = style.bad if verdict == "failed" else style.doubt if verdict == "unknown" else style.strong
                yield f"{paint(_HEADS[verdict])}\n"
                for row in rows:
                    yield from style.wrapped(f"  {row['control']:12} {line(row['title'])}: {_evidence(row)}\n")
                yield "\n"
        yield from _gaps(framework, style)
        totals = framework["totals"]
        counts = ", ".join(f"{totals[key]} {key.replace('_', ' ')}" for key in (*_SHOWN, "gap", "out_of_reach")
                           if totals[key])
        yield f"{line(framework['title'])}, {plural(totals['controls'], 'control')}: {counts}.\n\n"
        cited = {rule for row in framework["controls"] for rule in row["rules"]}
        other = {rule for rule in {finding.rule for finding, _part in checked.attention() if finding.outcome == "fail"}
                 if rule not in cited}
        if other:
            yield (f"{plural(len(other), 'rule')} failed that no control here cites; without --framework they are "
                   "shown.\n\n")


def _evidence(row: dict[str, Any]) -> str:
    """What the rules of a control found."""
    counts = [f"{row[key]} {key}" for key in ("failed", "errors", "unknown", "waived", "passed") if row[key]]
    missed = [f"{plural(len(row['not_run']), 'rule')} not run"] if row["not_run"] else []
    rules = row["rules"] if len(row["rules"]) <= 4 else [*row["rules"][:4], f"{len(row['rules']) - 4} more"]
    return f"{', '.join(counts + missed) or 'nothing found'} ({join(rules)})"


def _gaps(framework: dict[str, Any], style: Style) -> Iterator[str]:
    gaps = [row for row in framework["controls"] if row["verdict"] == "gap"]
    if gaps:
        yield f"{style.doubt('GAPS')}  no rule of these packs evidences them\n"
        for row in gaps:
            yield from style.wrapped(f"  {row['control']:12} {line(row['title'])}\n")
        yield "\n"
    reach = framework["totals"]["out_of_reach"]
    if reach:
        yield from style.wrapped(f"Out of reach of any inspection of VMs, such as policies, people and buildings: "
                                 f"{plural(reach, 'control')}.\n\n")
