"""Root's own environment: where its shell looks for programs, what its files leave open to others."""

from __future__ import annotations

import re
import stat
from typing import Any

from ..formats import pairs
from ..host import Host
from .asked import Asked
from .files import owner_name

PROFILES = ("/root/.profile", "/root/.bash_profile", "/root/.bashrc", "/root/.bash_login")
ASSIGNED = re.compile(r"^\s*(?:export\s+)?PATH=[\"']?([^\"'\s;]*)", re.M)
UMASK = re.compile(r"^\s*umask\s+([0-7]{3,4}|[ugoa=rwx,+-]+)", re.M)


def search_paths(host: Host) -> list[str]:
    """Each value of PATH that a root shell may get: of login.defs, PAM, /etc/profile (root's comes first), /root."""
    found = [pairs(host.read("/etc/login.defs") or "").get("ENV_SUPATH", "").removeprefix("PATH=")]
    found += ASSIGNED.findall(host.read("/etc/environment") or "")[:1]
    found += ASSIGNED.findall(host.read("/etc/profile") or "")[:1]
    for path in PROFILES:
        found += ASSIGNED.findall(host.read(path) or "")
    return [value for value in found if value]


def path_problems(host: Host) -> list[str]:
    """What is wrong with root's search paths, a sentence for each."""
    problems: list[str] = []
    folders: dict[str, None] = {}
    for value in search_paths(host):
        for folder in value.split(":"):
            if folder in ("", "."):
                problems.append(f"{value} looks into the current directory")
            elif not folder.startswith(("$", "~")):
                folders[folder] = None
    for folder in folders:
        status = host.stat(folder)
        if status is None:
            continue  # nobody but root could make it, where its parent is sound
        if not stat.S_ISDIR(status.st_mode):
            problems.append(f"{folder} is not a directory")
        elif status.st_mode & 0o022:
            problems.append(f"{folder} can be written by others than root")
        elif owner_name(status.st_uid) != "root":
            problems.append(f"{folder} does not belong to root")
    return problems[:50]


def loose_umasks(host: Host) -> list[str]:
    """Files of root whose umask lets its group write or others read."""
    loose: list[str] = []
    for path in PROFILES:
        for value in UMASK.findall(host.read(path) or ""):
            symbolic = not value.isdigit()
            if (symbolic and not re.fullmatch(r"u=[rwx]+,g=[rx]*,o=", value)) or (
                    not symbolic and int(value, 8) & 0o027 != 0o027):
                loose.append(path)
    return sorted(set(loose))


def facts(host: Host, asked: Asked) -> dict[str, Any]:
    """`root`: `path_problems`, `loose_umasks`."""
    return {"root": {"path_problems": path_problems(host), "loose_umasks": loose_umasks(host)}}
