"""Mode and owner of paths, and the texts that are shown at a login."""

from __future__ import annotations

import grp
import pwd
import stat
from typing import Any

from .. import known
from ..formats import pairs
from ..host import Host
from .asked import Asked

BITS = ("---", "--x", "-w-", "-wx", "r--", "r-x", "rw-", "rwx")


def owner_name(uid: int) -> str:
    """Name of a user id, its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """Name of a group id, its number where it has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def describe(host: Host, path: str) -> dict[str, Any]:
    """`exists`; then `type`, `mode` ("0640"), `owner`, `group`, `group_access` ("r--"), `other_access`."""
    status = host.stat(path)
    if status is None:
        return {"exists": False}
    mode = stat.S_IMODE(status.st_mode)
    return {
        "exists": True,
        "type": "directory" if stat.S_ISDIR(status.st_mode) else "file" if stat.S_ISREG(status.st_mode) else "other",
        "mode": f"{mode:04o}",
        "owner": owner_name(status.st_uid),
        "group": group_name(status.st_gid),
        "group_access": BITS[mode >> 3 & 7],
        "other_access": BITS[mode & 7],
    }


def os_id(host: Host) -> str:
    """``debian`` or ``ubuntu``, as /etc/os-release has it."""
    release = host.read("/etc/os-release") or host.read("/usr/lib/os-release") or ""
    return pairs(release, "=").get("ID", "").strip('"').lower()


def tells_system(text: str, os_id: str) -> bool:
    """Whether a banner tells what system this is, by getty's escapes or by name."""
    return any(escape in text for escape in ("\\m", "\\r", "\\s", "\\v")) or (bool(os_id) and os_id in text.lower())


def banner(host: Host, path: str) -> dict[str, Any] | None:
    """`exists`, `empty`, `tells_system`; absent when unreadable."""
    text = host.read(path, 1 << 16)
    if text is None:
        return {"exists": False, "empty": True, "tells_system": False}
    return {"exists": True, "empty": not text.strip(), "tells_system": tells_system(text, os_id(host))}


def facts(host: Host, asked: Asked) -> dict[str, Any]:
    """`files` and `banners`."""
    names: list[str] = asked.names("files", known.FILES)
    return {
        "files": {path: describe(host, path) for path in names if path.startswith("/")},
        "banners": {name: banner(host, path) for name, path in
                    (("motd", "/etc/motd"), ("issue", "/etc/issue"), ("issue_net", "/etc/issue.net"))},
    }
