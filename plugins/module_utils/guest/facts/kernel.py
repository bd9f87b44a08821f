"""Kernel: parameters, modules, mounts, AppArmor, its command line."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from .. import known
from ..host import GuestError, Host
from .asked import Asked

NOTHING = ("/bin/false", "/bin/true", "/usr/bin/false", "/usr/bin/true")


def sysctl_path(key: str) -> str:
    """``net.ipv4.ip_forward`` is /proc/sys/net/ipv4/ip_forward."""
    return "/proc/sys/" + key.replace(".", "/")


def read_sysctl(host: Host, key: str) -> str | None:
    """Value of a kernel parameter, its words parted by one space; None where this kernel has none such."""
    text = host.read(sysctl_path(key), 4096)
    return None if text is None else " ".join(text.split())


def modprobe_lines(host: Host) -> Iterable[str]:
    """Active lines of modprobe's configuration; of files of one name, the one in /etc holds."""
    seen: set[str] = set()
    for folder in ("/etc/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d", "/usr/lib/modprobe.d",
                   "/lib/modprobe.d"):
        for path in host.glob(folder + "/*.conf"):
            name = os.path.basename(path)
            if name not in seen:
                seen.add(name)
                yield from (line.strip() for line in (host.read(path) or "").splitlines()
                            if line.strip() and not line.lstrip().startswith("#"))


def same(name: str) -> str:
    """Module names are one with ``-`` and with ``_``."""
    return name.replace("-", "_")


def module_facts(host: Host, names: Iterable[str]) -> dict[str, Any]:
    """For each module: `available` (for the running kernel), `built_in`, `loaded`, `disabled` (not by name)."""
    loaded = {line.split(" ", 1)[0] for line in (host.read("/proc/modules") or "").splitlines()}
    installs: set[str] = set()
    for line in modprobe_lines(host):
        parts = line.split()
        if parts[0] == "install" and len(parts) >= 3 and parts[2] in NOTHING:
            installs.add(same(parts[1]))
    folder = "/lib/modules/" + os.uname().release
    listed = host.read(folder + "/modules.dep")
    available: set[str] | None = None
    built_in: set[str] = set()
    if listed is not None:
        available = {same(os.path.basename(line.split(":", 1)[0]).split(".ko")[0]) for line in listed.splitlines()}
        built_in = {same(os.path.basename(line).split(".ko")[0])
                    for line in (host.read(folder + "/modules.builtin") or "").splitlines()}
        available |= built_in
    answer: dict[str, Any] = {}
    for name in names:
        entry = {"loaded": same(name) in loaded, "disabled": same(name) in installs}
        if available is not None:
            entry["available"] = same(name) in available
            entry["built_in"] = same(name) in built_in
        answer[name] = entry
    return answer


def mount_facts(host: Host, names: Iterable[str]) -> dict[str, Any]:
    """For each mount point: `mounted`, `fstype`, `options` (list), as the kernel has them now."""
    table: dict[str, Any] = {}
    for line in (host.read("/proc/self/mounts") or "").splitlines():
        fields = line.split()
        if len(fields) >= 4:  # a later mount hides an earlier one
            table[fields[1].replace("\\040", " ")] = {"mounted": True, "fstype": fields[2],
                                                      "options": fields[3].split(",")}
    return {name: table.get(name, {"mounted": False}) for name in names}


def apparmor_facts(host: Host) -> dict[str, Any]:
    """`enabled`, and how many profiles `enforce`, `complain` or do neither."""
    enabled = host.read("/sys/module/apparmor/parameters/enabled")
    answer: dict[str, Any] = {"enabled": bool(enabled) and (enabled or "").strip() == "Y"}
    profiles = host.read("/sys/kernel/security/apparmor/profiles")
    if profiles is not None:
        modes = [line.rsplit("(", 1)[-1].rstrip(")") for line in profiles.splitlines() if line.strip()]
        answer["profiles"] = len(modes)
        answer["enforce"] = sum(mode in ("enforce", "kill") for mode in modes)
        answer["complain"] = sum(mode == "complain" for mode in modes)
        answer["unconfined"] = sum(mode == "unconfined" for mode in modes)
    return answer


def facts(host: Host, asked: Asked) -> dict[str, Any]:
    """`sysctl`, `modules`, `mounts`, `apparmor`, `cmdline`."""
    sysctl: dict[str, str] = {}
    unread: dict[str, str] = {}
    for key in asked.names("sysctl", known.SYSCTL):
        try:
            value = read_sysctl(host, key)
        except GuestError as error:
            unread["sysctl." + key] = str(error)
            continue
        if value is not None:
            sysctl[key] = value
    return {
        "sysctl": sysctl,
        "modules": module_facts(host, asked.names("modules", known.MODULES)),
        "mounts": mount_facts(host, asked.names("mounts", known.MOUNTS)),
        "apparmor": apparmor_facts(host),
        "cmdline": (host.read("/proc/cmdline") or "").split(),
        "unread": unread,
    }
