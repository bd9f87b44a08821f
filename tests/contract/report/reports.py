"""Reports to open in a browser: that of a real check, a hostile one, and one of a large fleet."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from muster.policy import check, load_rules
from muster.policy.framework import by_framework, frameworks, load_framework
from muster.policy.summary import write_report
from muster.policy.waivers import parse_waivers

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
WEB: dict[str, Any] = {
    "name": "web", "site": "lab", "owned": True, "power": "on", "image": "debian-12", "profile": "web", "cpus": 2,
    "memory": 2 << 30, "disks": [{"name": "root", "size": 10 << 30, "encrypted": False}],
    "nics": [{"name": "nic0", "network": "user"}], "tags": {"owner": "shop", "environment": "production"},
    "protection": {"rpo": 86400, "rto": 900}, "snapshots": [], "restore_points": [],
}
DB = {**WEB, "name": "db", "profile": "database", "tags": {"environment": "production", "data": "confidential"}}
BIG = {**WEB, "name": "search", "site": "ber", "memory": 64 << 30}
WAIVERS = [{"rule": "production-web-spread", "vms": ["web*"], "reason": "The lab has one host.", "approver": "E. Roth",
            "until": "2026-03-31"}]
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*7 }}\x1b[2J\u202e\ud800"
LONG = "x" * 10_000


def _compliance(documents: list[dict[str, Any]], packs: list[str]) -> dict[str, Any]:
    rules = load_rules(packs)
    report = check(documents, rules, "live", parse_waivers(WAIVERS), now=NOW)
    controls = by_framework(report.by_rule(), rules, map(load_framework, frameworks()))
    return {**report.compliance(), "frameworks": controls, "unmapped": {"aws_s3_bucket": 12}}


def run(generated: str, documents: list[dict[str, Any]], packs: list[str]) -> dict[str, Any]:
    """The report of a run over `documents`, with what a run does beside the check."""
    return {
        "fleet": "acme", "generated": generated, "seconds": 412.7, "notes": ["Not seen at site 'lab': backups."],
        "vms": [{"name": vm["name"], "site": vm["site"], "uuid": None, "address": "127.0.0.1:22022", "power": "on",
                 "health": "healthy", "os": "Debian GNU/Linux 12 (bookworm)"} for vm in documents],
        "hardening": [{"vm": "web", "passed_before": 24, "passed_after": 61, "total": 63}],
        "backups": [{"vm": "web", "restore_point": "rp-web", "kind": "full", "bytes": 545259520,
                     "created": "2026-01-15T11:58:00Z"}],
        "drills": [{"vm": "web", "restore_point": "rp-web", "outcome": "failed", "rto_seconds": 1210,
                    "rpo_seconds": 61, "rto_target": 900, "rpo_target": 86400, "checks": [
                        {"name": "http 80 /", "outcome": "failed", "detail": "Nothing listens on port 80."}]}],
        "compliance": _compliance(documents, packs),
    }


def two_runs(folder: Path) -> Path:
    """The page of the second of two runs: a VM is gone since, another is new, one was tagged."""
    packs = ["muster/baseline", "muster/resilience", "muster/cost"]
    write_report(run("2026-01-12T02:00:00Z", [{**WEB, "tags": {}}, {**WEB, "name": "old"}, DB], packs), folder)
    return write_report(run("2026-01-15T12:00:00Z", [WEB, DB, BIG], packs), folder)[0]


def changed(value: Any, text: str, key: str = "") -> Any:
    """`value` with every text in it replaced, but for what chooses the sections of the page."""
    if isinstance(value, dict):
        return {name: changed(item, text, name) for name, item in value.items()}
    if isinstance(value, list):
        return [changed(item, text, key) for item in value]
    kept = ("outcome", "severity", "stage", "verdict", "generated", "state", "became", "health")
    return text if isinstance(value, str) and key not in kept else value


def hostile(folder: Path, text: str) -> Path:
    """The page of a report in which everything is `text`."""
    return write_report(changed(run("2026-01-15T12:00:00Z", [WEB, DB], ["muster/baseline"]), text), folder)[0]


def large(folder: Path, vms: int, rules: int) -> Path:
    """The page of a fleet of which every third outcome failed."""
    data = run("2026-01-15T12:00:00Z", [WEB], ["muster/baseline"])
    compliance, sample = data["compliance"], copy.deepcopy(data["compliance"]["findings"][0])
    compliance["findings"] = [
        {**sample, "rule": f"rule-{rule:03}", "title": f"Rule {rule}", "vm": f"vm-{vm:04}", "site": f"site-{vm % 7}",
         "sentence": f"vm-{vm:04} at site-{vm % 7}: memory is {vm}. Because of rule {rule}."}
        for rule in range(rules) for vm in range(vms) if (vm + rule) % 3 == 0]
    failed = len(compliance["findings"])
    compliance.update(passed=vms * rules - failed, failed=failed, unknown=0, waived=0, errors=0, vms=[
        {"vm": f"vm-{vm:04}", "site": f"site-{vm % 7}", "passed": rules - rules // 3, "failed": rules // 3}
        for vm in range(vms)])
    return write_report({**data, "vms": []}, folder)[0]
