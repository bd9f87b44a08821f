"""GDM, where a server has it: what dconf's system databases say, what they lock, and XDMCP."""

from __future__ import annotations

import re
from typing import Any

from ..host import Host
from .asked import Asked


def database(host: Host) -> tuple[dict[str, str], list[str]]:
    """Keys (``org/gnome/login-screen/banner-message-enable``) with their values, and the keys that users cannot change.
    """
    values: dict[str, str] = {}
    for path in host.glob("/etc/dconf/db/*.d/*"):
        status = host.stat(path)
        if status is None or path.endswith("/locks"):
            continue
        section = ""
        for line in (host.read(path) or "").splitlines():
            line = line.strip()
            header = re.fullmatch(r"\[(.+)\]", line)
            if header:
                section = header[1]
            elif "=" in line and not line.startswith("#"):
                key, _equals, value = line.partition("=")
                values[f"{section}/{key.strip()}"] = value.strip().removeprefix("uint32 ").strip("'\"")
    locks = [line.strip().lstrip("/") for path in host.glob("/etc/dconf/db/*.d/locks/*")
             for line in (host.read(path) or "").splitlines() if line.strip().startswith("/")]
    return values, sorted(set(locks))


def xdmcp(host: Host) -> bool:
    """Whether GDM lets others log in over the network."""
    for path in ("/etc/gdm3/custom.conf", "/etc/gdm3/daemon.conf", "/etc/gdm/custom.conf"):
        section = ""
        for line in (host.read(path) or "").splitlines():
            line = line.strip().lower()
            if line.startswith("["):
                section = line
            elif section == "[xdmcp]" and re.fullmatch(r"enable\s*=\s*(true|1)", line):
                return True
    return False


def facts(host: Host, asked: Asked) -> dict[str, Any]:
    """`gdm`: `settings`, `locks`, `xdmcp`."""
    values, locks = database(host)
    return {"gdm": {"settings": values, "locks": locks, "xdmcp": xdmcp(host)}}
