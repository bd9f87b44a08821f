"""What the page shows, computed from a run report: everything that belongs to one VM in one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .rule import OUTCOMES, SEVERITIES, STAGES

Row = Mapping[str, Any]
_WORST_FIRST = tuple(reversed(SEVERITIES))
_FRAMEWORKS = {"cis_controls_8": "CIS Controls", "cis_debian_12": "CIS Debian 12", "nist_800_53": "NIST 800-53",
               "pci_dss_4": "PCI DSS"}
_OUTCOME_WORDS = {"fail": "failed", "error": "error", "unknown": "unknown", "waived": "waived"}


def view(data: Row) -> dict[str, Any]:
    """The values of the template. Takes any mapping: what is missing or of a wrong type is left out."""
    compliance = data.get("compliance") if isinstance(data.get("compliance"), Mapping) else {}
    cards = [_card(vm, data) for vm in _rows(data, "vms")]
    findings = [_finding(row) for row in _rows(compliance or {}, "findings")]
    return {
        "fleet": data.get("fleet", ""),
        "generated": data.get("generated", ""),
        "seconds": _number(data.get("seconds")),
        "cards": cards,
        "headline": _headline(cards, _rows(data, "drills"), compliance or {}),
        "score": _score(compliance or {}),
        "backups": _rows(data, "backups"),
        "snapshots": _rows(data, "snapshots"),
        "patching": _rows(data, "patching"),
        "drills": [_drill(row) for row in _rows(data, "drills")],
        "findings": findings,
        "choices": {
            "severity": [one for one in _WORST_FIRST if any(row["severity"] == one for row in findings)],
            "outcome": [one for one in OUTCOMES if any(row["outcome"] == one for row in findings)],
            "stage": [one for one in STAGES if any(row["stage"] == one for row in findings)],
            "vm": sorted({row["vm"] for row in findings}),
        },
        "words": _OUTCOME_WORDS,
        "rules": [_rule(row) for row in _rows(compliance or {}, "rules")],
        "waivers": _rows(compliance or {}, "waivers"),
    }


def _rows(data: Row, key: str) -> list[Row]:
    value = data.get(key)
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, (list, tuple)) else []


def _number(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _of(rows: list[Row], vm: Any) -> Row:
    """The last row that is about `vm`: a second run of a step replaces the first."""
    return next((row for row in reversed(rows) if row.get("vm") == vm), {})


def _card(vm: Row, data: Row) -> dict[str, Any]:
    name = vm.get("name", "")
    patching = _of(_rows(data, "patching"), name)
    drill = _of(_rows(data, "drills"), name)
    return {
        "name": name,
        "site": vm.get("site") or "",
        "uuid": vm.get("uuid") or "",
        "address": vm.get("address") or "no address",
        "power": vm.get("power") or "unknown",
        "health": vm.get("health") if vm.get("health") in ("healthy", "unhealthy") else "unknown",
        "os": vm.get("os") or "",
        "hardening": _hardening(_of(_rows(data, "hardening"), name)),
        "rpo": objective(drill.get("rpo_seconds"), drill.get("rpo_target")),
        "rto": objective(drill.get("rto_seconds"), drill.get("rto_target")),
        "drill": drill.get("outcome", ""),
        "backup": _of(_rows(data, "backups"), name),
        "patching": patching,
        "seconds": _seconds(vm.get("seconds"), patching.get("seconds"), drill.get("rto_seconds")),
        "snapshots": sum(row.get("vm") == name for row in _rows(data, "snapshots")),
    }


def _seconds(measured: Any, *parts: Any) -> float | None:
    """The time that a VM took: as measured for the VM, else the sum of the steps that were measured."""
    known = [number for number in map(_number, parts) if number is not None]
    whole = _number(measured)
    return whole if whole is not None else sum(known) if known else None


def _hardening(row: Row) -> dict[str, Any] | None:
    before, after, total = (_number(row.get(key)) for key in ("passed_before", "passed_after", "total"))
    if before is None or after is None or not total:
        return None
    return {"before": before, "after": after, "total": total, "kept": 100 * min(before, after) / total,
            "gained": 100 * max(0, after - before) / total, "percent": int(100 * after / total)}


def objective(actual: Any, target: Any) -> dict[str, Any] | None:
    """A measured time against its target, both in seconds: None without either, `state` met, missed or unmeasured.

    `fill` and `mark` are percent of the bar: what was measured, and where the target stands.
    """
    measured, wanted = _number(actual), _number(target)
    if measured is None and wanted is None:
        return None
    state = "unmeasured" if measured is None else "measured" if wanted is None else \
        "met" if measured <= wanted else "missed"
    scale = max(measured or 0, wanted or 0) or 1
    return {
        "actual": measured,
        "target": wanted,
        "state": state,
        "fill": 0 if measured is None else max(1.5, 100 * measured / scale),
        "mark": None if wanted is None else 100 * wanted / scale,
    }


def _drill(row: Row) -> dict[str, Any]:
    outcome = row.get("outcome") if row.get("outcome") in ("passed", "failed") else "not_tested"
    return {
        "vm": row.get("vm", ""),
        "restore_point": row.get("restore_point") or "",
        "outcome": outcome,
        "rpo": objective(row.get("rpo_seconds"), row.get("rpo_target")),
        "rto": objective(row.get("rto_seconds"), row.get("rto_target")),
        "checks": [{"name": check.get("name", ""), "outcome": check.get("outcome", ""),
                    "detail": check.get("detail") or ""} for check in _rows(row, "checks")],
    }


def _finding(row: Row) -> dict[str, Any]:
    fix, controls = row.get("fix"), row.get("controls")
    return {
        **{key: str(row.get(key) or "") for key in
           ("rule", "title", "severity", "vm", "site", "stage", "outcome", "sentence")},
        "fix": fix if isinstance(fix, Mapping) else {},
        "controls": _controls(controls) if isinstance(controls, Mapping) else [],
    }


def _controls(controls: Row) -> list[str]:
    return [f"{_FRAMEWORKS.get(framework, framework)} {one}" for framework, ids in controls.items()
            if isinstance(ids, (list, tuple)) for one in ids]


def _rule(row: Row) -> dict[str, Any]:
    counts = {key: _number(row.get(key)) or 0
              for key in ("passed", "failed", "errors", "unknown", "waived", "not_applicable")}
    total = sum(counts.values()) - counts["not_applicable"]
    parts, start = [], 0.0
    for key in ("passed", "waived", "unknown", "errors", "failed"):
        if counts[key]:
            parts.append({"kind": key, "start": start, "width": 100 * counts[key] / total})
            start += 100 * counts[key] / total
    return {"rule": row.get("rule", ""), "title": row.get("title", ""), "severity": row.get("severity", ""),
            **counts, "total": total, "parts": parts}


def _score(compliance: Row) -> dict[str, Any] | None:
    counts = {key: int(_number(compliance.get(key)) or 0)
              for key in ("passed", "failed", "errors", "unknown", "waived", "not_applicable")}
    judged = sum(counts.values()) - counts["not_applicable"]
    # Rounded down: 100 % is shown only where every rule passed.
    return {**counts, "judged": judged, "percent": 100 * counts["passed"] // judged} if judged else None


def _headline(cards: list[dict[str, Any]], drills: list[Row], compliance: Row) -> dict[str, Any]:
    healthy = sum(card["health"] == "healthy" for card in cards)
    passed = sum(drill.get("outcome") == "passed" for drill in drills)
    failed = sum(drill.get("outcome") == "failed" for drill in drills)
    trouble = failed or any(card["health"] == "unhealthy" for card in cards)
    missed = int(_number(compliance.get("failed")) or 0) + int(_number(compliance.get("errors")) or 0)
    doubt = missed or passed < len(drills) or healthy < len(cards)
    return {
        "state": "bad" if trouble else "warn" if doubt else "good",
        "text": "Something needs you now" if trouble else "Working, with things to look at" if doubt
        else "All is well" if cards else "Nothing was inspected",
        "healthy": healthy, "vms": len(cards), "passed": passed, "drills": len(drills),
    }
