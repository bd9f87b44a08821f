"""The run report, put together from what the jobs of one run left behind. Pure: dicts in, a dict out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..model.units import format_time

_HARDENING = ("passed_before", "passed_after", "total")
_PATCHING = ("outcome", "packages", "upgraded", "rebooted", "kernel", "seconds")
_BACKUPS = ("restore_point", "kind", "bytes", "created")
_DRILLS = ("restore_point", "outcome", "rto_seconds", "rpo_seconds", "rto_target", "rpo_target", "checks")


def run_report(
    seen: Mapping[str, Any], guests: Iterable[Mapping[str, Any]], local: Mapping[str, Any], now: float
) -> dict[str, Any]:
    """The parts of ``docs/report.schema.json`` beside the compliance.

    `seen` is what ``vm_info`` returned; `guests` are the variables of the guests' hosts and `local` those of the
    controller; the roles leave there ``muster_hardening`` and ``patch_result``, and ``backup_result``,
    ``snapshot_result`` and ``recovery_drill_result``. `now` is epoch seconds.
    """
    found = list(guests)
    facts = {str(guest.get("inventory_hostname", "")): guest.get("muster_guest") for guest in found}
    started = float(local.get("muster_started") or now)
    report = {
        "fleet": str(seen["fleet"]["name"]),
        "generated": format_time(now),
        "seconds": round(now - started, 1),
        "vms": [_vm(vm, facts.get(str(vm["name"]))) for vm in seen["vms"]],
        "hardening": [_part(guest["muster_hardening"], _HARDENING) for guest in found if "muster_hardening" in guest],
        "patching": [_part(guest["patch_result"], _PATCHING) for guest in found if "patch_result" in guest],
        "backups": [
            {**_part(row, _BACKUPS), "created": format_time(row["created"])}
            for row in _rows(local, "backup_result")
            if row.get("restore_point")
        ],
        "snapshots": [
            {"vm": row["vm"], "id": row["id"], "created": format_time(row["created"])}
            for row in _rows(local, "snapshot_result")
            if row.get("id")
        ],
        "drills": [_part(row, _DRILLS) for row in _rows(local, "recovery_drill_result")],
    }
    return {key: value for key, value in report.items() if value or key in ("fleet", "vms", "seconds")}


def _rows(local: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The VMs of a module's result that a role registered."""
    return list((local.get(name) or {}).get("vms") or ())


def _part(row: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {"vm": row["vm"], **{key: row.get(key) for key in keys}}


def _vm(vm: Mapping[str, Any], guest: object) -> dict[str, Any]:
    """What a guest says of itself may be of any type, and is no reason to have no report."""
    system = guest.get("os") if isinstance(guest, Mapping) else None
    name = system.get("name") if isinstance(system, Mapping) else None
    return {
        "name": vm["name"],
        "site": vm["site"],
        "uuid": vm.get("uuid"),
        "address": vm.get("address"),
        "power": vm.get("power", "unknown"),
        "health": vm.get("health_state", "unknown"),
        "os": str(name)[:200] if name else None,
    }
