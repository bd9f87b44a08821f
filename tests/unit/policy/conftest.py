"""A run report as the demo makes it, with its compliance from a real check of the shipped packs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.policy import check, load_rules
from muster.policy.selftest import NOW
from muster.policy.waivers import parse_waivers

WEB = {
    "name": "web", "site": "lab", "uuid": "5f0c9b0e-2c1b-4a77-9a55-51f4c3a6f001", "owned": True, "power": "on",
    "image": "debian-12", "profile": "web", "cpus": 2, "memory": 2 << 30, "firmware": "bios",
    "disks": [{"name": "root", "size": 10 << 30, "encrypted": False}], "nics": [{"name": "nic0", "network": "user"}],
    "tags": {"owner": "shop", "environment": "production", "cost_center": "4711"},
    "protection": {"rpo": 86400, "rto": 900, "keep": {"daily": 7, "weekly": 4}},
    "health": [{"http": {"port": 80, "path": "/"}}], "snapshots": [],
    "restore_points": [{"id": "rp-1", "kind": "full", "created": "2026-01-15T11:00:00Z"}],
}
DB = {
    **WEB, "name": "db", "uuid": "5f0c9b0e-2c1b-4a77-9a55-51f4c3a6f002", "profile": "database",
    "tags": {"environment": "production", "data": "confidential"}, "health": [{"tcp": {"port": 5432}}],
    "snapshots": [{"name": "before-patch", "created": "2026-01-01T00:00:00Z"}],
}
WAIVERS = [{"rule": "production-web-spread", "vms": ["web*"], "reason": "The lab has one host.", "approver": "E. Roth",
            "until": "2026-03-31"}]


@pytest.fixture(scope="session")
def make_report() -> Callable[[], dict[str, Any]]:
    """Makes a fresh run report, which its caller may change."""
    return _run_report


def _run_report() -> dict[str, Any]:
    compliance = check([WEB, DB], load_rules(["muster/baseline"]), "live", parse_waivers(WAIVERS), now=NOW).compliance()
    return {
        "fleet": "acme", "generated": "2026-01-15T12:00:00Z", "seconds": 412.7,
        "vms": [
            {"name": "web", "site": "lab", "uuid": WEB["uuid"], "address": "127.0.0.1:22022", "power": "on",
             "health": "healthy", "os": "Debian GNU/Linux 12 (bookworm)"},
            {"name": "db", "site": "lab", "uuid": DB["uuid"], "address": "127.0.0.1:22023", "power": "on",
             "health": "healthy", "os": "Debian GNU/Linux 12 (bookworm)"},
        ],
        "hardening": [{"vm": "web", "passed_before": 24, "passed_after": 61, "total": 63},
                      {"vm": "db", "passed_before": 23, "passed_after": 60, "total": 63}],
        "patching": [{"vm": "web", "upgraded": 3, "rebooted": True, "kernel": "6.1.0-39-cloud-amd64", "seconds": 88.4},
                     {"vm": "db", "upgraded": 0, "rebooted": False, "kernel": "6.1.0-39-cloud-amd64", "seconds": 12}],
        "backups": [{"vm": "web", "restore_point": "rp-20260115-web", "kind": "full", "bytes": 545259520,
                     "created": "2026-01-15T11:58:00Z"},
                    {"vm": "db", "restore_point": "rp-20260115-db", "kind": "incremental", "bytes": 2097152,
                     "created": "2026-01-15T11:58:30Z"}],
        "snapshots": [{"vm": "web", "id": "muster-20260115-web", "created": "2026-01-15T11:59:00Z"}],
        "drills": [
            {"vm": "web", "restore_point": "rp-20260115-web", "outcome": "passed", "rto_seconds": 94.2,
             "rpo_seconds": 61, "rto_target": 900, "rpo_target": 86400, "checks": [
                 {"name": "boot", "outcome": "passed", "detail": "The guest answered after 41 s."},
                 {"name": "http 80 /", "outcome": "passed", "detail": "Status 200; the body contains 'nginx'."},
                 {"name": "isolation", "outcome": "passed", "detail": "The twin reached nothing."}]},
            {"vm": "db", "restore_point": "rp-20260115-db", "outcome": "failed", "rto_seconds": 1210,
             "rpo_seconds": None, "rto_target": 900, "rpo_target": 86400, "checks": [
                 {"name": "boot", "outcome": "passed", "detail": "The guest answered after 48 s."},
                 {"name": "tcp 5432", "outcome": "failed", "detail": "Nothing listens on port 5432."},
                 {"name": "rpo", "outcome": "not_tested", "detail": None}]},
        ],
        "compliance": compliance,
    }
