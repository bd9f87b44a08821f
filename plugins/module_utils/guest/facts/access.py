"""Who may schedule jobs, what is kept of crashes, what the journal does, how the system updates itself."""

from __future__ import annotations

import re
from typing import Any

from ..formats import pairs
from ..host import Host
from .asked import Asked


def systemd_settings(host: Host, name: str) -> dict[str, str]:
    """Settings of /etc/systemd/NAME.conf and its drop-ins, the last of them holding; sections are one here."""
    seen: dict[str, str] = {}
    for folder in ("/usr/lib/systemd", "/run/systemd", "/etc/systemd"):  # a file of one name in /etc hides the others
        for path in host.glob(f"{folder}/{name}.conf.d/*.conf"):
            seen[path.rsplit("/", 1)[-1]] = path
    values = pairs(host.read(f"/etc/systemd/{name}.conf") or "", "=")
    for _base, path in sorted(seen.items()):
        values.update(pairs(host.read(path) or "", "="))
    return values


def limits(host: Host) -> dict[str, str]:
    """``"* hard core": "0"`` for each line of limits.conf and its drop-ins."""
    found: dict[str, str] = {}
    for path in ["/etc/security/limits.conf", *host.glob("/etc/security/limits.d/*.conf")]:
        for line in (host.read(path) or "").splitlines():
            words = line.split("#")[0].split()
            if len(words) == 4:
                found[" ".join(words[:3])] = words[3]
    return found


def apt_settings(host: Host) -> dict[str, str]:
    """Plain ``Key "value";`` lines of apt's configuration; blocks are not read."""
    found: dict[str, str] = {}
    for path in host.glob("/etc/apt/apt.conf.d/*"):
        for key, value in re.findall(r'^\s*([A-Za-z0-9:-]+)\s+"([^"]*)"\s*;', host.read(path) or "", re.M):
            found[key] = value
    return found


def unsigned_sources(host: Host) -> list[str]:
    """Files of apt that let packages in whose signature nobody checks."""
    found: list[str] = []
    for path in ["/etc/apt/sources.list", *host.glob("/etc/apt/sources.list.d/*.list")]:
        if re.search(r"^\s*deb(?:-src)?\s+\[[^\]]*\b(?:trusted|allow-insecure)=yes", host.read(path) or "", re.M):
            found.append(path)
    for path in host.glob("/etc/apt/sources.list.d/*.sources"):
        if re.search(r"^(?:Trusted|Allow-Insecure):\s*yes\b", host.read(path) or "", re.M | re.I):
            found.append(path)
    for path in host.glob("/etc/apt/apt.conf.d/*"):
        if re.search(r'^\s*(?:APT::Get::AllowUnauthenticated|Acquire::AllowInsecureRepositories)\s+"(?:true|yes|1)"',
                     host.read(path) or "", re.M | re.I):
            found.append(path)
    return found


def facts(host: Host, asked: Asked) -> dict[str, Any]:
    """`journald`, `journal_upload`, `coredump`, `limits`, `apt`, `apt_unsigned` (files)."""
    return {
        "journald": {"Storage": "auto", "Compress": "yes", "ForwardToSyslog": "yes",
                     **systemd_settings(host, "journald")},
        "journal_upload": systemd_settings(host, "journal-upload"),
        "coredump": {"Storage": "external", **systemd_settings(host, "coredump")},
        "limits": limits(host),
        "apt": apt_settings(host),
        "apt_unsigned": unsigned_sources(host),
    }
