"""`files: {path: {mode, owner, group, state}}`, `homes: {mode}` and `banners: {path: text}`."""

from __future__ import annotations

import grp
import pwd
import stat
from typing import Any

from ..facts.accounts import people_homes
from ..facts.files import group_name, owner_name
from ..host import GuestError, Host
from ..lockout import refuse_path
from ..plan import Change, Context, Part, Step
from ..steps import Access, RemoveFile, WriteFile
from .names import PATH, USER, name

KEYS = {"mode", "owner", "group", "state"}


def _mode(path: str, value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.isdigit() or not 3 <= len(value) <= 4 or set(value) & set("89"):
        raise GuestError(f"files: the mode of {path} must be octal text such as \"0640\", not {value!r}. "
                         "Nothing was changed.")
    return int(value, 8)


def _uid(user: str | None) -> int:
    try:
        return -1 if user is None else pwd.getpwnam(name("files", user, USER)).pw_uid
    except KeyError:
        raise GuestError(f"files: there is no user {user} in the guest. Nothing was changed.") from None


def _gid(group: str | None) -> int:
    try:
        return -1 if group is None else grp.getgrnam(name("files", group, USER)).gr_gid
    except KeyError:
        raise GuestError(f"files: there is no group {group} in the guest. Nothing was changed.") from None


def plan_files(wanted: Any, host: Host, context: Context) -> Part:
    """`mode` is the most that is allowed: bits beyond it go, a stricter mode stays.

    `state` is ``existing`` (default: what is not there is left so), ``present`` (an empty file is made) or ``absent``.
    """
    if not isinstance(wanted, dict):
        raise GuestError("files must be a dict. Nothing was changed.")
    changes: list[Change] = []
    steps: list[Step] = []
    for path, asked in wanted.items():
        name("files", path, PATH)
        refuse_path(path, context.management_user)
        if not isinstance(asked, dict) or set(asked) - KEYS:
            raise GuestError(f"files: {path} takes {', '.join(sorted(KEYS))}. Nothing was changed.")
        mode, uid, gid = _mode(path, asked.get("mode")), _uid(asked.get("owner")), _gid(asked.get("group"))
        state = asked.get("state", "existing")
        status = host.stat(path)
        if state == "absent":
            if status is not None:
                if not stat.S_ISREG(status.st_mode):
                    raise GuestError(f"files: {path} is not a plain file; it is not removed. Nothing was changed.")
                changes.append(Change("files", path, "present", "absent"))
                steps.append(RemoveFile(path))
            continue
        if status is None:
            if state == "present":
                changes.append(Change("files", path, None, f"{mode if mode is not None else 0o644:04o}"))
                steps.append(WriteFile(path, "", 0o644 if mode is None else mode, max(uid, 0), max(gid, 0)))
            continue
        have = stat.S_IMODE(status.st_mode)
        new = have if mode is None else have & mode
        new_uid, new_gid = status.st_uid if uid < 0 else uid, status.st_gid if gid < 0 else gid
        if (new, new_uid, new_gid) != (have, status.st_uid, status.st_gid):
            changes.append(Change("files", path,
                                  f"{have:04o} {owner_name(status.st_uid)}:{group_name(status.st_gid)}",
                                  f"{new:04o} {owner_name(new_uid)}:{group_name(new_gid)}"))
            steps.append(Access(path, new, new_uid, new_gid))
    return Part("files", tuple(changes), tuple(steps))


def plan_homes(wanted: Any, host: Host, context: Context) -> Part:
    """`mode` is the most that people's home directories allow; the owner's own rights always stay."""
    mode = _mode("homes", wanted.get("mode")) if isinstance(wanted, dict) and set(wanted) == {"mode"} else None
    if mode is None or mode & 0o700 != 0o700:
        raise GuestError('homes takes mode, such as "0750", with all rights for the owner. Nothing was changed.')
    changes: list[Change] = []
    steps: list[Step] = []
    for home in people_homes(host):
        have = host.mode(home)
        if have is not None and have & ~mode:
            changes.append(Change("homes", home, f"{have:04o}", f"{have & mode:04o}"))
            steps.append(Access(home, have & mode))
    return Part("homes", tuple(changes), tuple(steps))


def plan_banners(wanted: Any, host: Host, context: Context) -> Part:
    """The whole text of a file that is shown at a login; empty text empties the file."""
    allowed = ("/etc/motd", "/etc/issue", "/etc/issue.net")
    if not isinstance(wanted, dict) or set(wanted) - set(allowed):
        raise GuestError(f"banners takes {', '.join(allowed)}. Nothing was changed.")
    changes: list[Change] = []
    steps: list[Step] = []
    for path, text in wanted.items():
        if not isinstance(text, str) or len(text) > 65536:
            raise GuestError(f"banners: the text of {path} must be text of at most 64 KiB. Nothing was changed.")
        text = text.rstrip() + "\n" if text.strip() else ""
        now = host.read(path)
        if now != text and (now is not None or text):
            changes.append(Change("banners", path, None if now is None else " ".join(now.split())[:200],
                                  " ".join(text.split())[:200]))
            steps.append(WriteFile(path, text))
    return Part("banners", tuple(changes), tuple(steps))
