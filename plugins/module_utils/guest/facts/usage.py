"""How much of itself a guest uses: CPU since its boot, memory and file systems at this moment."""

from __future__ import annotations

import os
from typing import Any

from ..host import Host
from .asked import Asked

_LOCAL = ("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "jfs")
_SHOWN = 100
_IDLE = slice(3, 5)  # of a line of /proc/stat: idle, and waiting for a disk
_COUNTED = 8  # user, nice, system, idle, iowait, irq, softirq, steal; guest time is within user's


def facts(host: Host, asked: Asked) -> dict[str, Any]:
    """`usage`: `days` since the boot, `cpu_percent` busy on average since then (all CPUs together), `memory` (bytes)
    and `memory_percent` of it that no program could have more of now, `swap_percent` in use, `file_systems`."""
    usage: dict[str, Any] = {}
    uptime = host.read("/proc/uptime")
    if uptime:
        usage["days"] = round(float(uptime.split()[0]) / 86400, 2)
    busy = cpu_percent(host.read("/proc/stat") or "")
    if busy is not None:
        usage["cpu_percent"] = busy
    usage.update(memory(host.read("/proc/meminfo") or ""))
    usage["file_systems"] = _file_systems(host)
    return {"usage": usage}


def cpu_percent(stat: str) -> float | None:
    """The share of CPU time that was not idle, of the first line of /proc/stat; None where it does not tell."""
    first = stat.partition("\n")[0].split()
    if not first or first[0] != "cpu" or len(first) < 6:
        return None
    ticks = [int(tick) for tick in first[1:1 + _COUNTED]]
    return round(100 * (sum(ticks) - sum(ticks[_IDLE])) / sum(ticks), 1) if sum(ticks) else None


def memory(meminfo: str) -> dict[str, Any]:
    """`memory`, `memory_percent` and `swap_percent` of /proc/meminfo; what it does not tell is absent."""
    found = {}
    for line in meminfo.splitlines():
        name, _colon, rest = line.partition(":")
        if rest.split() and rest.split()[0].isdigit():
            found[name] = int(rest.split()[0])
    answer: dict[str, Any] = {}
    if found.get("MemTotal") and "MemAvailable" in found:
        answer["memory"] = found["MemTotal"] << 10
        answer["memory_percent"] = round(100 * (found["MemTotal"] - found["MemAvailable"]) / found["MemTotal"], 1)
    if "SwapTotal" in found and "SwapFree" in found:
        used = found["SwapTotal"] - found["SwapFree"]
        answer["swap_percent"] = round(100 * used / found["SwapTotal"], 1) if found["SwapTotal"] else 0.0
    return answer


def _file_systems(host: Host) -> list[dict[str, Any]]:
    """The local file systems, each device once: `path`, `size` (bytes), `used_percent`, `inodes_percent`."""
    found: dict[str, dict[str, Any]] = {}
    for line in (host.read("/proc/self/mounts") or "").splitlines():
        fields = line.split()
        if len(fields) < 4 or fields[2] not in _LOCAL or fields[0] in found:
            continue
        path = fields[1].replace("\\040", " ")
        try:
            status = os.statvfs(host.path(path))
        except OSError:
            continue  # unmounted meanwhile, or behind another mount
        if status.f_blocks:
            found[fields[0]] = {
                "path": path,
                "size": status.f_blocks * status.f_frsize,
                "used_percent": round(100 * (status.f_blocks - status.f_bavail) / status.f_blocks, 1),
                "inodes_percent": round(100 * (status.f_files - status.f_ffree) / status.f_files, 1)
                if status.f_files else 0.0,
            }
    return list(found.values())[:_SHOWN]
