"""Packages and services."""

from __future__ import annotations

import re
from typing import Any

from .. import known
from ..formats import pairs
from ..host import GuestError, Host
from .asked import Asked

TIME_DAEMONS = ("systemd-timesyncd", "chrony", "ntpsec", "ntp", "openntpd")
UNIT = re.compile(r"^[A-Za-z0-9@:_.\\-]{1,200}$")


def installed(host: Host) -> dict[str, str]:
    """Installed packages and their versions, from dpkg's own file (a process less).

    Raises GuestError where dpkg is not what installs packages: nothing is known then, not that nothing is installed.
    """
    text = host.read("/var/lib/dpkg/status", 32 << 20)
    if text is None:
        raise GuestError("/var/lib/dpkg/status is missing, so the packages are not dpkg's.")
    found: dict[str, str] = {}
    for block in text.split("\n\n"):
        name = version = status = ""
        for line in block.splitlines():
            if line.startswith("Package: "):
                name = line[9:]
            elif line.startswith("Status: "):
                status = line[8:]
            elif line.startswith("Version: "):
                version = line[9:]
        if name and status.split()[-1:] == ["installed"]:
            found[name] = version
    return found


def unit_name(name: str) -> str:
    """``cron`` is cron.service; a name with a type stays."""
    return name if re.search(r"\.(service|socket|timer|target|mount|path)$", name) else name + ".service"


def unit_states(host: Host, names: list[str]) -> dict[str, dict[str, Any]]:
    """For each unit: `exists`, `enabled`, `active`. One process for all of them."""
    units = [unit_name(name) for name in names if UNIT.match(name) and not name.startswith("-")]
    ran = host.must(["systemctl", "show", "--property=Id,Names,LoadState,ActiveState,UnitFileState", "--", *units], 60)
    states: dict[str, dict[str, Any]] = {}
    for block in ran.out.split("\n\n"):
        fields = pairs(block, "=")
        state = fields.get("UnitFileState", "")
        entry = {
            "exists": fields.get("LoadState") in ("loaded", "masked"),
            "masked": fields.get("LoadState") == "masked",
            # "static" and "indirect" units are started by others: neither enabled nor disabled
            "enabled": state in ("enabled", "enabled-runtime", "alias"),
            "active": fields.get("ActiveState") in ("active", "activating", "reloading"),
        }
        for name in [fields.get("Id", ""), *fields.get("Names", "").split()]:
            states[name] = entry
    absent = {"exists": False, "masked": False, "enabled": False, "active": False}
    return {name: states.get(unit_name(name), absent) for name in names}


def facts(host: Host, asked: Asked) -> dict[str, Any]:
    """`packages` (true or false for each asked name, true for each installed one), `services`, `time_sync`."""
    versions = installed(host)
    packages = {name: name in versions for name in asked.names("packages", known.PACKAGES)}
    packages.update(dict.fromkeys(versions, True))
    answer: dict[str, Any] = {"packages": packages}
    if not host.live:
        answer["unread"] = {"services": "No systemd runs here."}
        return answer
    services = unit_states(host, asked.names("services", known.SERVICES))
    answer["services"] = services
    running = [name for name in TIME_DAEMONS if services[name]["active"]]
    answer["time_sync"] = {"running": running, "enabled": [n for n in running if services[n]["enabled"]]}
    return answer
