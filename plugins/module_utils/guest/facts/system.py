"""Operating system, kernel, identity of the boot, whether a reboot is due."""

from __future__ import annotations

import os
import re
from typing import Any

from ..formats import pairs
from ..host import Host
from .asked import Asked


def newest(versions: list[str]) -> str:
    """The newest of kernel releases such as ``6.1.0-40-cloud-amd64``."""
    def key(version: str) -> tuple[Any, ...]:
        return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"[.\-+~]", version))

    return max(versions, key=key)


def facts(host: Host, asked: Asked) -> dict[str, Any]:
    """`os`, `kernel`, `hostname`, `boot_id`, `uptime` (s), `reboot_required`."""
    answer: dict[str, Any] = {"management_user": asked.management_user}
    release = host.read("/etc/os-release") or host.read("/usr/lib/os-release")
    if release is not None:
        named = {key: value.strip('"') for key, value in pairs(release, "=").items()}
        answer["os"] = {"id": named.get("ID", ""), "version": named.get("VERSION_ID", ""),
                        "name": named.get("PRETTY_NAME", ""),
                        "point": (host.read("/etc/debian_version") or "").strip()}
    kernel: dict[str, Any] = {"running": os.uname().release}
    installed = [path[len("/boot/vmlinuz-"):] for path in host.glob("/boot/vmlinuz-*")]
    if installed:
        kernel["installed"] = sorted(installed)
        kernel["newest"] = newest(installed)
    answer["kernel"] = kernel
    hostname = host.read("/etc/hostname")
    if hostname is not None:
        answer["hostname"] = hostname.strip()[:253]
    boot_id = host.read("/proc/sys/kernel/random/boot_id")
    if boot_id is not None:
        answer["boot_id"] = boot_id.strip()
    uptime = host.read("/proc/uptime")
    if uptime is not None:
        answer["uptime"] = int(float(uptime.split()[0]))
    due = host.exists("/run/reboot-required") or host.exists("/var/run/reboot-required")
    answer["reboot_required"] = due or (bool(installed) and kernel["running"] in installed
                                        and kernel["running"] != kernel["newest"])
    return answer
