"""People's home directories: whose they are, and the files in them that decide who may come in."""

from __future__ import annotations

import os
import stat
from typing import Any

from ..host import Host
from .accounts import NO_LOGIN, first_person, people, rows
from .asked import Asked

TRUST = (".forward", ".rhosts", ".shosts")  # these should not be there at all
PRIVATE = (".netrc", ".bash_history", ".pgpass")  # these are for their owner alone
FILES = 500  # dot files of one home; more is a program's cache
SHOWN = 100


def dot_files(host: Host, home: str, uid: int, gids: set[int]) -> list[str]:
    """What is wrong with the dot files of a home, a sentence for each."""
    problems: list[str] = []
    try:
        names = sorted(name for name in os.listdir(host.path(home)) if name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return problems
    for name in names[:FILES]:
        path = f"{home}/{name}"
        try:
            status = os.lstat(host.path(path))
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(status.st_mode):
            continue
        mode = stat.S_IMODE(status.st_mode)
        if name in TRUST:
            problems.append(f"{path} lets others in or sends mail away")
        elif mode & ~(0o600 if name in PRIVATE else 0o644) & 0o777 & ~0o100:
            problems.append(f"{path} has mode {mode:04o}")
        elif status.st_uid != uid or status.st_gid not in gids:
            problems.append(f"{path} belongs to somebody else")
    return problems


def facts(host: Host, asked: Asked) -> dict[str, Any]:
    """`homes`: `foreign` (people whose home belongs to somebody else), `dot_files` (sentences)."""
    users = [row for row in people(rows(host.read("/etc/passwd") or "", 7), first_person(host))
             if row[6] not in NO_LOGIN]
    groups = rows(host.read("/etc/group") or "", 4)
    foreign: list[str] = []
    problems: list[str] = []
    for row in users:
        home = row[5].rstrip("/")
        status = host.stat(home) if home.count("/") >= 2 and not home.startswith(("/etc", "/usr")) else None
        if status is None:
            continue
        if status.st_uid != int(row[2]):
            foreign.append(row[0])
        gids = {int(group[2]) for group in groups if group[2].isdigit()
                and (group[2] == row[3] or row[0] in group[3].split(","))} | {int(row[3] or "-1")}
        problems += dot_files(host, home, int(row[2]), gids)
    return {"homes": {"foreign": sorted(foreign), "dot_files": problems[:SHOWN]}}
