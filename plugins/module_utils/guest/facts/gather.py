"""All facts of a guest in one round trip: the ``guest`` part of a VM document."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..host import GuestError, Host
from . import (
    access,
    accounts,
    audit,
    boot,
    clock,
    desktop,
    disk,
    files,
    firewall,
    homes,
    integrity,
    kernel,
    logins,
    logs,
    network,
    root,
    software,
    sshd,
    system,
    usage,
)
from .asked import Asked

QUESTIONS: tuple[tuple[str, Callable[[Host, Asked], dict[str, Any]]], ...] = (
    ("system", system.facts),
    ("kernel", kernel.facts),
    ("sshd", sshd.facts),
    ("software", software.facts),
    ("files", files.facts),
    ("accounts", accounts.facts),
    ("logins", logins.facts),
    ("access", access.facts),
    ("audit", audit.facts),
    ("boot", boot.facts),
    ("network", network.facts),
    ("usage", usage.facts),
    ("firewall", firewall.facts),
    ("clock", clock.facts),
    ("homes", homes.facts),
    ("root", root.facts),
    ("logs", logs.facts),
    ("integrity", integrity.facts),
    ("desktop", desktop.facts),
    ("disk", disk.facts),  # the slowest, so the last
)


def gather(host: Host, asked: Mapping[str, Sequence[str]], management_user: str,
           seconds: float = 120) -> dict[str, Any]:
    """Ask every question. What could not be read is absent, and `unread` tells why: it is never guessed.

    `seconds` bounds the whole; questions that no time was left for are unread too.
    """
    document: dict[str, Any] = {}
    unread: dict[str, str] = {}
    end = time.monotonic() + seconds
    ask = Asked(asked, management_user)
    for subject, question in QUESTIONS:
        if time.monotonic() > end:
            unread[subject] = f"No time was left after {seconds:g} s."
            continue
        try:
            answer = question(host, ask)
        except (GuestError, OSError, ValueError, IndexError, KeyError) as error:
            unread[subject] = str(error)[:500]
            continue
        unread.update(answer.pop("unread", {}))
        document.update(answer)
    programs = audit.unwatched_programs(document)
    if programs is not None:
        document["auditd"]["unwatched_programs"] = programs[:100]
    document["unread"] = unread
    return document
