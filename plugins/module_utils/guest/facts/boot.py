"""The boot loader: the kernel command line of the next boot, and whether its menu asks for a password."""

from __future__ import annotations

import re
from typing import Any

from ..host import Host
from .asked import Asked


def facts(host: Host, asked: Asked) -> dict[str, Any]:
    """`grub`: absent where GRUB is not the boot loader; `options` are those that every entry has."""
    text = host.read("/boot/grub/grub.cfg")
    if text is None:
        return {}
    entries = [set(line.split()[2:]) for line in text.splitlines() if re.match(r"\s*linux\s+\S", line)]
    common = set.intersection(*entries) if entries else set()
    return {"grub": {"entries": len(entries), "options": sorted(common)[:200],
                     "password": bool(re.search(r"^\s*password_pbkdf2\s", text, re.M))}}
