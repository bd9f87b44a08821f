"""What a run did with each VM, as the page and the terminal's table show it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

Row = Mapping[str, Any]


def rows(data: Any, key: str) -> list[Row]:
    """The objects of the list `key` of `data`; nothing where it is no list."""
    value = data.get(key) if isinstance(data, Mapping) else None
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, (list, tuple)) else []


def number(value: Any) -> float | None:
    """`value` where it is a number, else None."""
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def cards(data: Row) -> list[dict[str, Any]]:
    """A card for each VM of the run report `data`: what was found and done, and how long it took."""
    parts = {key: _by_vm(data, key) for key in ("hardening", "patching", "drills", "backups")}
    snapshots = Counter(str(row.get("vm")) for row in rows(data, "snapshots"))
    return [_card(vm, {key: found.get(str(vm.get("name", "")), {}) for key, found in parts.items()},
                  snapshots[str(vm.get("name", ""))]) for vm in rows(data, "vms")]


def _by_vm(data: Row, key: str) -> dict[str, Row]:
    """The last row about each VM: a second run of a step replaces the first."""
    return {str(row.get("vm")): row for row in rows(data, key)}


def _card(vm: Row, parts: Mapping[str, Row], snapshots: int) -> dict[str, Any]:
    drill, patching = parts["drills"], parts["patching"]
    return {
        "name": vm.get("name", ""),
        "site": vm.get("site") or "",
        "uuid": vm.get("uuid") or "",
        "address": vm.get("address") or "no address",
        "power": vm.get("power") or "unknown",
        "health": vm.get("health") if vm.get("health") in ("healthy", "unhealthy") else "unknown",
        "os": vm.get("os") or "",
        "hardening": _hardening(parts["hardening"]),
        "rpo": objective(drill.get("rpo_seconds"), drill.get("rpo_target")),
        "rto": objective(drill.get("rto_seconds"), drill.get("rto_target")),
        "drill": drill.get("outcome", ""),
        "backup": parts["backups"],
        "patching": patching,
        "seconds": _seconds(vm.get("seconds"), patching.get("seconds"), drill.get("rto_seconds")),
        "snapshots": snapshots,
    }


def _seconds(measured: Any, *parts: Any) -> float | None:
    """The time that a VM took: as measured for the VM, else the sum of the steps that were measured."""
    known = [seconds for seconds in map(number, parts) if seconds is not None]
    whole = number(measured)
    return whole if whole is not None else sum(known) if known else None


def _hardening(row: Row) -> dict[str, Any] | None:
    before, after, total = (number(row.get(key)) for key in ("passed_before", "passed_after", "total"))
    if before is None or after is None or not total:
        return None
    return {"before": before, "after": after, "total": total, "kept": 100 * min(before, after) / total,
            "gained": 100 * max(0, after - before) / total, "percent": int(100 * after / total)}


def objective(actual: Any, target: Any) -> dict[str, Any] | None:
    """A measured time against its target, both in seconds: None without either, `state` met, missed or unmeasured.

    `fill` and `mark` are percent of the bar: what was measured, and where the target stands.
    """
    measured, wanted = number(actual), number(target)
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


def drills(data: Row) -> list[dict[str, Any]]:
    """The recovery drills with what was asked of each twin; those that did not pass first."""
    return sorted(map(_drill, rows(data, "drills")), key=lambda drill: drill["outcome"] == "passed")


def _drill(row: Row) -> dict[str, Any]:
    return {
        "vm": row.get("vm", ""),
        "restore_point": row.get("restore_point") or "",
        "outcome": row.get("outcome") if row.get("outcome") in ("passed", "failed") else "not_tested",
        "checks": [{"name": check.get("name", ""), "outcome": check.get("outcome", ""),
                    "detail": check.get("detail") or ""} for check in rows(row, "checks")],
    }
