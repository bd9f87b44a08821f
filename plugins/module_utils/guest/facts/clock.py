"""Where the time comes from: the servers of systemd-timesyncd and of chrony."""

from __future__ import annotations

from typing import Any

from ..host import Host
from .access import systemd_settings
from .asked import Asked

SOURCES = ("server", "pool", "peer")


def chrony(host: Host) -> dict[str, Any]:
    """`servers` that chrony is told, and the `user` that it becomes."""
    servers: list[str] = []
    user = "_chrony"
    for path in ["/etc/chrony/chrony.conf", *host.glob("/etc/chrony/conf.d/*.conf"),
                 *host.glob("/etc/chrony/sources.d/*.sources")]:
        for line in (host.read(path) or "").splitlines():
            words = line.split()
            if len(words) >= 2 and words[0].lower() in SOURCES:
                servers.append(words[1])
            elif len(words) >= 2 and words[0].lower() == "user":
                user = words[1]
    return {"servers": servers[:100], "user": user}


def facts(host: Host, asked: Asked) -> dict[str, Any]:
    """`timesyncd` (as systemd names its settings) and `chrony`."""
    return {"timesyncd": systemd_settings(host, "timesyncd"), "chrony": chrony(host)}
