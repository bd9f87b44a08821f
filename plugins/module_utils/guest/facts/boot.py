"""The boot loader: the kernel command line of the next boot, and whether its menu asks for a password."""

from __future__ import annotations

import re
from typing import Any

from ..host import Host
from .asked import Asked


def facts(host: Host, asked: Asked) -> dict[str, Any]:
    """`grub`: absent where GRUB is not the boot loader; `options` are those that every entry has.

    `password` needs both a superuser and the hash of a password; `audit_backlog_limit` is 0 where none is set.
    """
    text = host.read("/boot/grub/grub.cfg")
    if text is None:
        return {}
    entries = [set(line.split()[2:]) for line in text.splitlines() if re.match(r"\s*linux\s+\S", line)]
    common = set.intersection(*entries) if entries else set()
    backlog = [int(option.partition("=")[2]) for option in common
               if re.fullmatch(r"audit_backlog_limit=\d{1,9}", option)]
    return {"grub": {"entries": len(entries), "options": sorted(common)[:200],
                     "audit_backlog_limit": max(backlog, default=0),
                     "password": bool(re.search(r"^\s*password_pbkdf2\s", text, re.M)
                                      and re.search(r"^\s*set superusers=", text, re.M))}}
