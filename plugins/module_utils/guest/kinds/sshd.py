"""`sshd: {Option: value}`: a drop-in that is read first, so that its values hold (sshd keeps the first of each)."""

from __future__ import annotations

import os
import re
from typing import Any

from ..facts.sshd import SSHD, effective
from ..formats import document
from ..host import GuestError, Host
from ..lockout import refuse_sshd
from ..plan import Change, Context, Part, Step
from ..steps import WriteFile
from .names import table

MAIN = "/etc/ssh/sshd_config"
DROP_IN = "/etc/ssh/sshd_config.d/00-muster.conf"
INCLUDE = "Include /etc/ssh/sshd_config.d/*.conf"
PROSPECT = "/run/muster-sshd-prospect.conf"


def options(text: str) -> dict[str, str]:
    """Options of our drop-in: lower-case name to value."""
    lines = (line.split(None, 1) for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return {words[0].lower(): words[1].strip() if len(words) > 1 else "" for words in lines}


def includes(text: str) -> bool:
    """Whether the main file reads the drop-ins before any ``Match``."""
    for line in text.splitlines():
        if re.match(r"\s*match\s", line, re.I):
            return False
        if re.match(r"\s*include\s+.*/etc/ssh/sshd_config\.d/\*\.conf", line, re.I):
            return True
    return False


def plan(wanted: Any, host: Host, context: Context) -> Part:
    """Options are set in our drop-in where sshd, asked with them, would do otherwise than it does now.

    sshd itself is asked, for it prints some values otherwise than they are written. Other options in the drop-in stay.
    """
    asked = table("sshd", wanted)
    if not host.exists(SSHD):
        raise GuestError("sshd is not installed in the guest, so its settings were not planned. Nothing was changed.")
    main = host.read(MAIN) or ""
    merged = {**options(host.read(DROP_IN) or ""), **{key.lower(): value for key, value in asked.items()}}
    names = {key.lower(): key for key in asked}
    lines = [f"{names.get(key, key)} {value}" for key, value in sorted(merged.items())]
    include = [] if includes(main) else [INCLUDE]
    now = effective(host)
    host.write(PROSPECT, "\n".join([*lines, *include, main]), 0o600)
    try:
        then = effective(host, config=PROSPECT)
        changes = tuple(Change("sshd", key, now.get(key.lower()), then.get(key.lower(), value))
                        for key, value in asked.items() if now.get(key.lower()) != then.get(key.lower(), value))
        if not changes:
            return Part("sshd")
        refuse_sshd(effective(host, context.management_user, PROSPECT), now, context.management_user, host)
    finally:
        os.unlink(host.path(PROSPECT))
    steps: list[Step] = [WriteFile(DROP_IN, document(lines), 0o600)]
    if include:
        steps.append(WriteFile(MAIN, INCLUDE + "\n" + main, 0o600))
    return Part("sshd", changes, tuple(steps), gated=True,
                validate=((SSHD, "-t"), (SSHD, "-T", "-C", f"user={context.management_user},host=localhost,"
                                                           "addr=127.0.0.1")),
                reload=(("systemctl", "reload", "ssh"),))
