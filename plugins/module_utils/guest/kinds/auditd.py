"""`auditd: {config: {key: value}, rules: [line…], privileged: true, access: restricted}`."""

from __future__ import annotations

import grp
import os
import stat
from typing import Any

from ..facts.audit import subjects
from ..facts.disk import survey
from ..facts.files import group_name, owner_name
from ..facts.integrity import CONFIG_GROUPS, LOG_GROUPS, audit_paths
from ..formats import document, pairs
from ..host import GuestError, Host
from ..plan import Change, Context, Part, Step, compare
from ..steps import Access, EditFile, Run, WriteFile
from .names import table

RULES_FILE = "/etc/audit/rules.d/60-muster.rules"
CONFIG = "/etc/audit/auditd.conf"


def _can_be_watched(row: str, host: Host) -> bool:
    return all(host.exists(os.path.dirname(path) or "/") for path in subjects([row])["watches"])


def privileged(host: Host) -> list[str]:
    """A rule for each setuid program: who runs it is recorded. None where the disks hold too much to be looked at."""
    try:
        programs = survey(host)["setuid"]
    except GuestError:
        return []  # the rule that asks for them is then unknown, and says why
    return [f"-a always,exit -F path={path} -F perm=x -F auid>=1000 -F auid!=unset -k privileged"
            for path in programs if path.isprintable() and not set(path) & set(" \"'\\")]


def _access(host: Host) -> tuple[list[Change], list[Step]]:
    """What auditd writes and reads, for root (and the group of its logs) alone."""
    folder, logs, config = audit_paths(host)
    changes: list[Change] = []
    steps: list[Step] = []
    for paths, mode, groups in (([folder], 0o750, LOG_GROUPS), (logs, 0o640, LOG_GROUPS),
                                (config, 0o640, CONFIG_GROUPS)):
        for path in paths:
            status = host.stat(path)
            if status is None:
                continue
            have, group = stat.S_IMODE(status.st_mode), group_name(status.st_gid)
            gid = status.st_gid if group in groups else grp.getgrnam("root").gr_gid
            if (have & mode, 0, gid) != (have, status.st_uid, status.st_gid):
                changes.append(Change("auditd", path, f"{have:04o} {owner_name(status.st_uid)}:{group}",
                                      f"{have & mode:04o} root:{group_name(gid)}"))
                steps.append(Access(path, have & mode, 0, gid))
    return changes, steps


def plan_auditd(wanted: Any, host: Host, context: Context) -> Part:
    """Keys of auditd.conf, and rules in a file of our own, loaded at once.

    `privileged` adds a rule for each setuid program of this guest; `access` closes auditd's files to others.

    A watch on a path that the guest has not is left out: auditctl would refuse the whole file.
    """
    if not isinstance(wanted, dict) or set(wanted) - {"config", "rules", "privileged", "access"} \
            or wanted.get("privileged", True) is not True or wanted.get("access", "restricted") != "restricted":
        raise GuestError("auditd takes config, rules, privileged: true and access: restricted. Nothing was changed.")
    config = table("auditd", wanted.get("config", {}))
    rules = wanted.get("rules", [])
    if not isinstance(rules, list) or not all(isinstance(row, str) and row.isprintable() and row[:3] in ("-a ", "-w ")
                                              for row in rules):
        raise GuestError("auditd: rules are lines that begin with -a or -w. Nothing was changed.")
    rules = [*rules, *(privileged(host) if "privileged" in wanted else [])]
    changes, steps = _access(host) if "access" in wanted else ([], [])
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
