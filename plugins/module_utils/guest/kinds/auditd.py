"""`auditd: {config: {key: value}, rules: [line…]}`."""

from __future__ import annotations

import os
from typing import Any

from ..facts.audit import subjects
from ..formats import document, pairs
from ..host import GuestError, Host
from ..plan import Change, Context, Part, Step, compare
from ..steps import EditFile, Run, WriteFile
from .names import table

RULES_FILE = "/etc/audit/rules.d/60-muster.rules"
CONFIG = "/etc/audit/auditd.conf"


def _can_be_watched(row: str, host: Host) -> bool:
    return all(host.exists(os.path.dirname(path) or "/") for path in subjects([row])["watches"])


def plan_auditd(wanted: Any, host: Host, context: Context) -> Part:
    """Keys of auditd.conf, and rules in a file of our own, loaded at once.

    A watch on a path that the guest has not is left out: auditctl would refuse the whole file.
    """
    if not isinstance(wanted, dict) or set(wanted) - {"config", "rules"}:
        raise GuestError("auditd takes config and rules. Nothing was changed.")
    config = table("auditd", wanted.get("config", {}))
    rules = wanted.get("rules", [])
    if not isinstance(rules, list) or not all(isinstance(row, str) and row.isprintable() and row[:3] in ("-a ", "-w ")
                                              for row in rules):
        raise GuestError("auditd: rules are lines that begin with -a or -w. Nothing was changed.")
    changes: list[Change] = []
    steps: list[Step] = []
    reload: list[tuple[str, ...]] = []
    keys = compare("auditd", config, {**pairs(host.read(CONFIG) or "", "=")})
    if keys:
        changes += keys
        steps.append(EditFile(CONFIG, tuple((c.item, str(c.after)) for c in keys), " = "))
        # auditd refuses systemctl restart; a hang-up signal makes it read its configuration anew
        reload.append(("systemctl", "kill", "--signal=HUP", "auditd"))
    written = [row for row in (host.read(RULES_FILE) or "").splitlines() if row and not row.startswith("#")]
    possible = [row for row in dict.fromkeys(rules) if _can_be_watched(row, host)]
    missing = [row for row in possible if row not in written]
    if missing:
        changes += [Change("auditd", row, None, "loaded") for row in missing]
        steps.append(WriteFile(RULES_FILE, document([*written, *missing]), 0o640))
        steps.append(Run(("augenrules", "--load")))
    return Part("auditd", tuple(changes), tuple(steps), reload=tuple(reload))
