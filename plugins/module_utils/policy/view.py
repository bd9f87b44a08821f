"""What the page shows, computed from a run report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from .cards import Row, cards, drills, number, rows
from .framework import VERDICTS
from .listing import Listing, listing
from .rule import OUTCOMES, SEVERITIES, STAGES

# What is written into the page itself, for browsers that run no script. The script reads the rest from its tables.
PLAIN_FINDINGS = 1000
PLAIN_VMS = 200
# More VMs than this are a table without cards, and are searched for, not chosen from a list.
CARDS = 30
_STATES = {"bad": "Something needs you now", "warn": "Working, with things to look at", "good": "All is well"}
_CHOSEN = 60
_ENDED = 200
COUNTS = ("passed", "waived", "unknown", "errors", "failed")  # as they stand in a bar, from the left
OUTCOME_WORDS = {"fail": "failed", "error": "error", "unknown": "unknown", "waived": "waived"}
_VERDICT_WORDS = {
    "failed": ("failed", "a rule failed on a VM"),
    "unknown": ("not known", "a rule could not judge a VM, or did not run"),
    "waived": ("waived", "what is not passed is waived"),
    "met": ("met", "the rules of these packs found nothing against it"),
    "not_applicable": ("not applicable", "its rules apply to no VM"),
    "gap": ("gaps", "technical, and no rule of these packs evidences it"),
    "out_of_reach": ("out of reach", "policies, people, buildings, contracts: no inspection of VMs evidences it"),
}


def view(data: Row) -> dict[str, Any]:
    """The values of the template. Takes any mapping: what is missing or of a wrong type is left out."""
    given = data.get("compliance")
    compliance: Row = given if isinstance(given, Mapping) else {}
    found, shown, tested = listing(rows(compliance, "findings")), cards(data), drills(data)
    return {
        "fleet": data.get("fleet", ""),
        "generated": data.get("generated", ""),
        "seconds": number(data.get("seconds")),
        "packs": [pack for pack in _list(compliance, "packs") if isinstance(pack, str)],
        "stages": [_counted(row, "stage") for row in rows(compliance, "stages")],
        "cards": shown if len(shown) <= CARDS and any(map(_operated, shown)) else [],
        "headline": _headline(shown, tested, compliance, found),
        "score": _score(compliance),
        "followed": "changes" in compliance or len(found.dates.numbers) > 1,
        "changes": _changes(compliance),
        "vms": _vms(shown, compliance),
        "machines": len(rows(data, "vms")) or len(rows(compliance, "vms")),  # without the sites that rules are about
        "told": any(map(_operated, shown)),
        "findings": found,
        "groups": _groups(found),
        "choices": _choices(found),
        "words": OUTCOME_WORDS,
        "frameworks": [_framework(row, rows(compliance, "rules")) for row in rows(compliance, "frameworks")],
        "rules": [_counted(row, "rule", "title", "severity") for row in rows(compliance, "rules")],
        "drills": tested,
        "backups": rows(data, "backups"),
        "snapshots": rows(data, "snapshots"),
        "patching": rows(data, "patching"),
        "waivers": rows(compliance, "waivers"),
        "notes": [note for note in _list(data, "notes") if isinstance(note, str)],
        "unmapped": _unmapped(compliance),
    }


def _list(data: Row, key: str) -> list[Any]:
    value = data.get(key)
    return list(value) if isinstance(value, (list, tuple)) else []


def _operated(card: Row) -> bool:
    """Whether a run did or found something about the VM beside its compliance."""
    return bool(card["health"] != "unknown" or card["hardening"] or card["drill"] or card["backup"]
                or card["patching"] or card["snapshots"])


def _counted(row: Row, *names: str) -> dict[str, Any]:
    """The counts of `row` with its `names`, and the parts of its bar in percent of what applies."""
    counts = {key: int(number(row.get(key)) or 0) for key in (*COUNTS, "not_applicable")}
    total = sum(counts[key] for key in COUNTS)
    parts, start = [], 0.0
    for key in COUNTS:
        width = 100 * counts[key] / total if total else 0
        parts.append({"kind": key, "start": round(start, 2), "width": round(width, 2)})
        start += width
    said = ", ".join(f"{counts[key]} {key}" for key in reversed(COUNTS) if counts[key]) or "applies to none"
    return {**{name: row.get(name, "") for name in names}, **counts, "total": total, "parts": parts, "said": said}


def _vms(shown: list[dict[str, Any]], compliance: Row) -> list[dict[str, Any]]:
    """The counts by VM, the worst first, with what a run said of each. Twins by name have their addresses too."""
    known = {(str(card["name"]), str(card["site"])): card for card in shown}
    named = Counter((str(row.get("vm", "")), str(row.get("site", ""))) for row in rows(compliance, "vms"))
    found = []
    for row in rows(compliance, "vms"):
        name = str(row.get("vm", "")), str(row.get("site", ""))
        card, counted = known.get(name, {}), _counted(row, "vm", "site")
        if named[name] > 1:
            counted["site"] = " · ".join(filter(None, (name[1], str(row.get("address", "")))))
        found.append({**counted, "health": card.get("health", ""), "drill": card.get("drill", "")})
    return sorted(found, key=lambda vm: (-vm["failed"] - vm["errors"], -vm["unknown"], str(vm["vm"])))


def _groups(found: Listing) -> list[dict[str, Any]]:
    """The first findings by rule, as the page shows them without its script."""
    groups: dict[str, dict[str, Any]] = {}
    outcomes, stages = found.outcomes.list(), found.stages.list()
    clauses, reasons, dates = found.clauses.list(), found.reasons.list(), found.dates.list()
    for _place, item in zip(range(PLAIN_FINDINGS), found.items(), strict=False):
        rule, title, severity, fix, controls = found.rules[item.rule]
        group = groups.setdefault(rule, {
            "rule": rule, "title": title, "severity": severity, "fix": fix, "controls": controls,
            "reason": reasons[item.reason], "counts": Counter(), "items": []})
        group["reason"] = group["reason"] or reasons[item.reason]
        group["fix"] = group["fix"] or fix
        group["counts"][outcomes[item.outcome]] += 1
        vm, site, place = found.subjects[item.subject]
        reason = reasons[item.reason]
        group["items"].append({
            "vm": vm, "site": site, "place": place, "outcome": outcomes[item.outcome], "stage": stages[item.stage],
            "clause": clauses[item.clause], "since": dates[item.since], "new": item.new,
            "reason": reason if reason != group["reason"] else ""})
    for group in groups.values():
        names = list(dict.fromkeys(item["vm"] for item in group["items"]))
        group["about"] = ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
        group["counts"] = [(one, group["counts"][one]) for one in OUTCOME_WORDS if group["counts"][one]]
    return list(groups.values())


def _choices(found: Listing) -> dict[str, list[str]]:
    """What can be chosen in each filter; empty where there is too much to choose from."""
    severities = {rule[2] for rule in found.rules}
    vms, sites = {subject[0] for subject in found.subjects}, {subject[1] for subject in found.subjects if subject[1]}
    return {
        "severity": [one for one in reversed(SEVERITIES) if one in severities],
        "outcome": [one for one in OUTCOMES if one in found.outcomes.numbers],
        "stage": [one for one in STAGES if one in found.stages.numbers],
        "site": sorted(sites) if len(sites) <= _CHOSEN else [],
        "vm": sorted(vms) if len(vms) <= _CHOSEN else [],
    }


def _changes(compliance: Row) -> dict[str, Any] | None:
    """What changed since the last report; None where there was none."""
    changes = compliance.get("changes")
    if not isinstance(changes, Mapping):
        return None
    counts = {key: int(number(changes.get(key)) or 0)
              for key in ("new", "remaining", "resolved", "waived", "not_checked")}
    names = ("severity", "vm", "site", "title", "stage", "since", "became")
    ended = [{name: row.get(name, "") for name in names} for row in rows(changes, "ended")]
    return {**counts, "problem": str(changes.get("problem") or ""), "last": str(changes.get("last") or ""),
            "ended": [(became, [row for row in ended if row.get("became") == became][:_ENDED])
                      for became in ("resolved", "waived", "not_checked")],
            "oldest": min((row["since"] for row in rows(compliance, "findings")
                           if isinstance(row.get("since"), str) and row.get("outcome") != "waived"), default="")}


def _framework(row: Row, rules: list[Row]) -> dict[str, Any]:
    """A framework with its controls by verdict, and the parts of its bar."""
    controls = rows(row, "controls")
    # Of the rules of a control, those that decided its verdict are named first.
    decided = {verdict: {rule.get("rule") for rule in rules if any(number(rule.get(key)) for key in keys)}
               for verdict, keys in (("failed", ("failed",)), ("unknown", ("unknown", "errors")))}
    verdicts, start = [], 0.0
    for verdict in VERDICTS:
        members = [control for control in controls if control.get("verdict") == verdict]
        width = 100 * len(members) / len(controls) if controls else 0
        word, meaning = _VERDICT_WORDS[verdict]
        first = decided.get(verdict, set())
        verdicts.append({"verdict": verdict, "word": word, "meaning": meaning, "start": round(start, 2),
                         "width": round(width, 2), "controls": [_control(one, first) for one in members]})
        start += width
    return {"name": row.get("name", ""), "title": row.get("title", ""), "version": row.get("version", ""),
            "count": len(controls), "verdicts": verdicts}


def _control(row: Row, first: set[Any]) -> dict[str, Any]:
    counts = [f"{int(number(row.get(key)) or 0):,} {key}"
              for key in ("failed", "errors", "unknown", "waived", "passed") if number(row.get(key))]
    missed = len(_list(row, "not_run"))
    if missed:
        counts.append(f"{missed} {'rule' if missed == 1 else 'rules'} not run")
    rules = [rule for rule in _list(row, "rules") if isinstance(rule, str)]
    return {"control": row.get("control", ""), "title": row.get("title", ""), "level": row.get("level", ""),
            "rules": sorted(rules, key=lambda rule: rule not in first), "evidence": ", ".join(counts)}


def _unmapped(compliance: Row) -> list[tuple[str, int]]:
    value = compliance.get("unmapped")
    return [(str(kind), int(number(count) or 0)) for kind, count in value.items()] if isinstance(value, Mapping) else []


def _score(compliance: Row) -> dict[str, Any] | None:
    counted = _counted(compliance)
    # Rounded down: 100 % is shown only where every rule passed.
    return {**counted, "percent": 100 * counted["passed"] // counted["total"]} if counted["total"] else None


def _headline(shown: list[dict[str, Any]], tested: list[dict[str, Any]], compliance: Row,
              found: Listing) -> dict[str, Any]:
    healthy = sum(card["health"] == "healthy" for card in shown)
    passed = sum(drill["outcome"] == "passed" for drill in tested)
    ran = any(map(_operated, shown)) or bool(tested)
    missed = int(number(compliance.get("failed")) or 0) + int(number(compliance.get("errors")) or 0)
    if ran:
        trouble = any(drill["outcome"] == "failed" for drill in tested) or \
            any(card["health"] == "unhealthy" for card in shown)
        doubt = missed or passed < len(tested) or healthy < len(shown)
        state = "bad" if trouble else "warn" if doubt else "good"
        text = _STATES[state]
    else:
        state, text = _verdict(missed, compliance, found)
    return {"state": state, "text": text, "healthy": healthy, "vms": len(shown), "passed": passed,
            "drills": len(tested), "ran": ran}


def _verdict(missed: int, compliance: Row, found: Listing) -> tuple[str, str]:
    """The state and the words of a check that ran nothing."""
    if missed:
        failing = {place for outcome, place in found.outcomes.numbers.items() if outcome in ("fail", "error")}
        critical = any(key[2] in failing and found.rules[key[0]][2] == "critical" for key in found.groups)
        return ("bad", "Critical findings need you now") if critical else ("warn", "There are findings to look at")
    if number(compliance.get("unknown")):
        return "warn", "Nothing failed, and some rules could not be judged"
    if number(compliance.get("passed")):
        return "good", "Every rule that applies is satisfied"
    return "warn", "Nothing was inspected"
