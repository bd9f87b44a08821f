"""auditd: its configuration and the rules that the kernel holds."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Mapping
from typing import Any

from ..formats import pairs
from ..host import Host
from .asked import Asked


def subjects(lines: list[str]) -> dict[str, Any]:
    """What rules watch: `watches` (paths) and `syscalls` (names), whoever wrote the rules and under which key.

    `other_users` is whether programs are recorded that somebody runs as another user.
    """
    watches: set[str] = set()
    syscalls: set[str] = set()
    other_users = False
    for line in lines:
        try:
            words = shlex.split(line)
        except ValueError:
            continue
        if not {"-a", "-w", "-A"} & set(words):
            continue
        other_users |= "execve" in line and any(f"{a}!={b}" in words for a, b in (("uid", "euid"), ("euid", "uid")))
        for flag, value in itertools.pairwise(words):
            if flag == "-w":
                watches.add(value.rstrip("/") or "/")
            elif flag == "-S":
                syscalls.update(value.split(","))
            elif flag == "-F" and value.startswith(("path=", "dir=")):
                watches.add(value.partition("=")[2].rstrip("/"))
    return {"watches": sorted(watches), "syscalls": sorted(syscalls), "other_users": other_users}


def unwatched_programs(document: Mapping[str, Any]) -> list[str] | None:
    """Setuid programs that no rule watches; None where either side is not known."""
    watches = document.get("auditd", {}).get("watches")
    programs = document.get("disk", {}).get("setuid")
    return None if watches is None or programs is None else sorted(set(programs) - set(watches))


def facts(host: Host, asked: Asked) -> dict[str, Any]:
    """`auditd`: `installed`, `config`, `watches`, `syscalls`, `other_users` (as loaded), `immutable`."""
    installed = host.program("auditctl") is not None
    answer: dict[str, Any] = {"installed": installed}
    if not installed:  # without auditd nothing is watched: this is known, not guessed
        return {"auditd": {**answer, "config": {}, "watches": [], "syscalls": [], "other_users": False,
                           "immutable": False}}
    config = host.read("/etc/audit/auditd.conf")
    if config is not None:
        answer["config"] = pairs(config, "=")
    if host.live:
        ran = host.run(["auditctl", "-l"], 30)
        if ran.code == 0:
            answer.update(subjects(ran.out.splitlines()))
    configured = "\n".join(host.read(path) or "" for path in host.glob("/etc/audit/rules.d/*.rules"))
    answer["immutable"] = "-e 2" in [" ".join(line.split()) for line in configured.splitlines()]
    return {"auditd": answer}
