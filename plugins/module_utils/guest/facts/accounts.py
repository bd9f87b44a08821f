"""Accounts and groups: what /etc/passwd, /etc/shadow and /etc/group say, never a hash."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

from ..formats import pairs
from ..host import GuestError, Host
from .asked import Asked

STOPPERS = ("sync", "shutdown", "halt", "operator")  # of root's group by tradition
NO_LOGIN = ("/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false", "/bin/sync")


def rows(text: str, width: int) -> list[list[str]]:
    """Lines of a colon-separated file, padded to `width` fields."""
    split = (line.split(":") for line in text.splitlines() if line.strip())
    return [fields + [""] * (width - len(fields)) for fields in split]


def repeated(values: Iterable[str]) -> list[str]:
    """Values that occur more than once."""
    return sorted(value for value, count in Counter(values).items() if count > 1)


def has_password(field: str) -> bool:
    """Whether the password field of /etc/shadow holds a hash that a password could match."""
    return field.startswith("$") or (len(field) >= 13 and not field.startswith(("!", "*")))


def people(users: list[list[str]], first: int) -> list[list[str]]:
    """Rows of /etc/passwd that are of people: ids from UID_MIN on, nobody left out."""
    return [row for row in users if row[2].isdigit() and first <= int(row[2]) < 65534]


def first_person(host: Host) -> int:
    """UID_MIN of login.defs."""
    return int(pairs(host.read("/etc/login.defs") or "").get("UID_MIN", "1000"))


def people_homes(host: Host) -> list[str]:
    """Home directories of people, each once. One that belongs to the system (such as /) is not theirs."""
    homes = [row[5].rstrip("/") for row in people(rows(host.read("/etc/passwd") or "", 7), first_person(host))]
    return [home for home in dict.fromkeys(homes) if home.count("/") >= 2 and not home.startswith(("/etc", "/usr"))]


def facts(host: Host, asked: Asked) -> dict[str, Any]:
    """`accounts`: lists of names, empty where nothing is wrong."""
    passwd_text, shadow_text, group_text = (host.read(p) for p in ("/etc/passwd", "/etc/shadow", "/etc/group"))
    if passwd_text is None or shadow_text is None or group_text is None:
        raise GuestError("/etc/passwd, /etc/shadow or /etc/group is missing.")
    users, shadow, groups = rows(passwd_text, 7), rows(shadow_text, 9), rows(group_text, 4)
    secret = {row[0]: row[1] for row in shadow}
    limit = first_person(host)
    system = [row for row in users if row[2].isdigit() and (int(row[2]) < limit or int(row[2]) == 65534)
              and row[0] not in ("root", "sync", "shutdown", "halt")]
    persons = people(users, limit)
    group_ids = {row[2] for row in groups}
    today = int(time.time() // 86400)
    with_password = [row for row in shadow if has_password(row[1])]
    shells = {line.strip() for line in (host.read("/etc/shells") or "").splitlines() if line.startswith("/")}
    answer: dict[str, Any] = {
        "uid_0": sorted(row[0] for row in users if row[2] == "0"),
        "root_gid": next((row[3] for row in users if row[0] == "root"), ""),
        "gid_0": sorted(row[0] for row in users if row[3] == "0" and row[0] not in STOPPERS),
        "group_gid_0": sorted(row[0] for row in groups if row[2] == "0"),
        "empty_passwords": sorted(row[0] for row in shadow if row[1] == ""),
        "not_shadowed": sorted(row[0] for row in users if row[1] != "x"),
        "duplicate_names": repeated(row[0] for row in users),
        "duplicate_uids": repeated(row[2] for row in users),
        "duplicate_groups": repeated(row[0] for row in groups),
        "duplicate_gids": repeated(row[2] for row in groups),
        "missing_groups": sorted({row[3] for row in users} - group_ids),
        "shadow_group_members": sorted(name for row in groups if row[0] == "shadow"
                                       for name in row[3].split(",") if name),
        "system_with_login": sorted(row[0] for row in system if row[6] not in NO_LOGIN
                                    and has_password(secret.get(row[0], ""))),
        "system_with_shell": sorted(row[0] for row in system if row[6] not in NO_LOGIN),
        "people": sorted(row[0] for row in persons),
        "people_without_home": sorted(row[0] for row in persons if not host.exists(row[5] or "/nonexistent")),
        "loose_homes": sorted(row[0] for row in persons if (host.mode(row[5]) or 0) & 0o027),
        "password_changed_in_future": sorted(row[0] for row in with_password
                                             if row[2].isdigit() and int(row[2]) > today + 1),
        "password_never_expires": sorted(row[0] for row in with_password
                                         if row[0] != "root" and (not row[4].isdigit() or int(row[4]) > 365)),
        "root_has_password": has_password(secret.get("root", "")),
        "root_locked": secret.get("root", "").startswith(("!", "*")),
        "password_without_shell": sorted(row[0] for row in users if row[0] != "root" and has_password(secret.get(
            row[0], "")) and (row[6] in NO_LOGIN or (bool(shells) and row[6] not in shells))),
        "nologin_is_a_shell": sorted(shell for shell in shells if shell.endswith("/nologin")),
        "legacy_plus_entries": sorted({row[0] for row in users + shadow + groups if row[0].startswith("+")}),
    }
    return {"accounts": answer}
