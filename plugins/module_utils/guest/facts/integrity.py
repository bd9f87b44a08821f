"""Whether changes of files are noticed, and who may touch what auditd writes, reads and is run by."""

from __future__ import annotations

import os
import re
import stat
from typing import Any

from ..formats import pairs
from ..host import Host
from .asked import Asked
from .files import group_name, owner_name

TOOLS = tuple(f"/sbin/{name}" for name in ("auditctl", "auditd", "ausearch", "aureport", "autrace", "augenrules"))
LOG_GROUPS = ("root", "adm")
CONFIG_GROUPS = ("root",)
GUARDED = ("p", "i", "n", "u", "g", "s", "b", "acl", "xattrs", "sha512")  # what AIDE must watch of a tool of auditd


def aide_facts(host: Host) -> dict[str, Any]:
    """`database`, `scheduled` (a timer or a job of cron), `unguarded`: tools of auditd that AIDE does not watch wholly.
    """
    text = "".join(host.read(path) or "" for path in ["/etc/aide/aide.conf", *host.glob("/etc/aide/aide.conf.d/*")])
    lines = [line.split(None, 1) for line in text.splitlines() if line.startswith("/")]
    watched = {words[0].removesuffix("$"): set(re.split(r"[+\s]+", words[1])) for words in lines if len(words) == 2}
    unguarded = [tool for tool in TOOLS if host.exists(tool)
                 and not set(GUARDED) <= watched.get(tool, set()) | watched.get("/usr" + tool, set())]
    timers = host.glob("/etc/systemd/system/timers.target.wants/*aide*.timer")
    jobs = [path for path in ["/etc/crontab", *host.glob("/etc/cron.d/*"), *host.glob("/var/spool/cron/crontabs/root")]
            if re.search(r"^[^#\n]*\baide\b", host.read(path) or "", re.M)]
    daily = [path for path in host.glob("/etc/cron.daily/*aide*") if (host.mode(path) or 0) & 0o100]
    return {"database": host.exists("/var/lib/aide/aide.db"), "scheduled": bool(timers or jobs or daily),
            "unguarded": unguarded}


def strays(host: Host, paths: list[str], mode: int, groups: tuple[str, ...]) -> dict[str, list[str]]:
    """Of the files: `loose` (bits beyond `mode`), `owner` (not root), `group` (none of `groups`)."""
    answer: dict[str, list[str]] = {"loose": [], "owner": [], "group": []}
    for path in paths:
        status = host.stat(path)
        if status is None:
            continue
        if stat.S_IMODE(status.st_mode) & ~mode:
            answer["loose"].append(path)
        if owner_name(status.st_uid) != "root":
            answer["owner"].append(path)
        if group_name(status.st_gid) not in groups:
            answer["group"].append(path)
    return answer


def audit_paths(host: Host) -> tuple[str, list[str], list[str]]:
    """The folder of auditd's logs, the logs, and its configuration files."""
    settings = pairs(host.read("/etc/audit/auditd.conf") or "", "=")
    folder = os.path.dirname(settings.get("log_file", "/var/log/audit/audit.log"))
    config = [path for pattern in ("*.conf", "*.rules", "rules.d/*.rules")
              for path in host.glob("/etc/audit/" + pattern)]
    return folder, host.glob(folder + "/audit.log*"), config


def audit_files(host: Host) -> dict[str, Any]:
    """`logs`, `config` and `tools` of auditd, each as `strays` has it; `folder` is the loose folder of the logs."""
    folder, logs, config = audit_paths(host)
    mode = host.mode(folder)
    return {
        "folder": [folder] if mode is not None and mode & ~0o750 else [],
        "logs": strays(host, logs, 0o640, LOG_GROUPS),
        "config": strays(host, config, 0o640, CONFIG_GROUPS),
        "tools": strays(host, list(TOOLS), 0o755, ("root",)),
    }


def facts(host: Host, asked: Asked) -> dict[str, Any]:
    """`aide`, and `audit_files` where auditd is installed."""
    answer: dict[str, Any] = {"aide": aide_facts(host)}
    if host.program("auditctl") is not None:
        answer["audit_files"] = audit_files(host)
    return answer
