"""Log files: who reads them, what rsyslog makes them, and whether it takes what others send."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import reduce
from operator import or_
from typing import Any

from ..host import GuestError, Host
from .accounts import first_person
from .asked import Asked
from .files import group_name, owner_name

FOLDER = "/var/log"
LIMIT = 50_000
SHOWN = 100
# The most that files of these names or paths allow, and the groups that they may have; the last line is for all others.
ALLOWED: tuple[tuple[tuple[str, ...], int, tuple[str, ...]], ...] = (
    (("lastlog", "lastlog.*", "wtmp", "wtmp.*", "wtmp-*", "btmp", "btmp.*", "btmp-*", "README"), 0o664,
     ("root", "utmp")),
    (("cloud-init.log*", "localmessages*", "waagent.log*"), 0o644, ("root", "adm")),
    # dpkg and apt make these anew with each run, and they name packages only.
    (("/var/log/dpkg.log*", "/var/log/alternatives.log*", "/var/log/apt/history.log*", "/var/log/apt/eipp.log*"), 0o644,
     ("root", "adm")),
    (("*.journal", "*.journal~"), 0o640, ("root", "systemd-journal")),
    (("*",), 0o640, ("root", "adm")),
)
RECEIVES = re.compile(r"^\s*(?:\$InputTCPServerRun|\$UDPServerRun|(?:module|input)\s*\(.*\bim(?:tcp|udp|relp)\b)",
                      re.M | re.I)


def allowed(path: str) -> tuple[int, tuple[str, ...]]:
    """The most that the file at `path` allows, and its groups."""
    name = os.path.basename(path)
    return next((mode, groups) for patterns, mode, groups in ALLOWED
                if any(fnmatchcase(path if pattern.startswith("/") else name, pattern) for pattern in patterns))


def files(host: Host) -> Iterator[tuple[str, os.stat_result]]:
    """Each plain file below /var/log. Raises GuestError when there are too many to look at."""
    count = 0
    for folder, folders, names in os.walk(host.path(FOLDER)):
        if folder.endswith("/audit") and os.path.dirname(folder) == host.path(FOLDER):
            folders.clear()
            continue  # auditd's own, judged with it
        for name in names:
            count += 1
            if count > LIMIT:
                raise GuestError(f"{FOLDER} holds more than {LIMIT} files; they were not looked at.")
            path = os.path.join(folder, name)
            try:
                status = os.lstat(path)
            except FileNotFoundError:
                continue  # rotated away since
            if stat.S_ISREG(status.st_mode):
                yield path[len(host.root):], status


def facts(host: Host, asked: Asked) -> dict[str, Any]:
    """`logs`: `loose` files (more people may read or write them than need), `foreign` ones (owner or group is neither
    the system's nor the service's own); `rsyslog`: `create_mode`, `receives`.
    """
    loose: list[str] = []
    foreign: list[str] = []
    system = first_person(host)
    for path, status in files(host):
        mode, groups = allowed(path)
        if stat.S_IMODE(status.st_mode) & ~mode:
            loose.append(path)
        owner, group = owner_name(status.st_uid), group_name(status.st_gid)
        if status.st_uid >= system or group not in (*groups, owner):  # postgres:postgres is a service's own
            foreign.append(path)
    answer: dict[str, Any] = {"logs": {"loose": sorted(loose)[:SHOWN], "foreign": sorted(foreign)[:SHOWN]}}
    if host.exists("/etc/rsyslog.conf"):
        text = "".join(host.read(path) or "" for path in ["/etc/rsyslog.conf", *host.glob("/etc/rsyslog.d/*.conf")])
        modes = re.findall(r"^\s*\$FileCreateMode\s+([0-7]{3,4})", text, re.M) \
            + re.findall(r'\bFileCreateMode="([0-7]{3,4})"', text, re.I)
        # All bits of all of them: a file that one of the actions makes so is so.
        answer["rsyslog"] = {
            "create_mode": f"{reduce(or_, (int(mode, 8) for mode in modes)) if modes else 0o644:04o}",
            "receives": bool(RECEIVES.search(text)),
        }
    return answer
