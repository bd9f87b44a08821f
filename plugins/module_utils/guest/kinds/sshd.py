"""`sshd: {Option: value}`: a drop-in that is read first, so that its values hold (sshd keeps the first of each)."""

from __future__ import annotations

import os
import re
from typing import Any, Dict, List

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


def options(text: str) -> Dict[str, str]:
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


def same(ours: str, effective_value: str) -> bool:
    """Whether a value as written and as sshd prints it are one: case and order of words are not told apart."""
    def normal(value: str) -> str:
        return value.lower().replace("prohibit-password", "without-password").replace('"', "")

    return normal(ours) == normal(effective_value)


def plan(wanted: Any, host: Host, context: Context) -> Part:
    """Options that are not in our drop-in, or not effective, are set there; others in it stay."""
    asked = table("sshd", wanted)
    if not host.exists(SSHD):
        raise GuestError("sshd is not installed in the guest, so its settings were not planned. Nothing was changed.")
    main = host.read(MAIN) or ""
    present = options(host.read(DROP_IN) or "")
    now = effective(host)
    changes: List[Change] = []
    for key, value in asked.items():
        low = key.lower()
        if present.get(low) != value or not same(value, now.get(low, value)):
            changes.append(Change("sshd", key, now.get(low, present.get(low)), value))
    missing_include = not includes(main)
    if missing_include:
        changes.append(Change("sshd", "Include", None, "/etc/ssh/sshd_config.d/*.conf"))
    if not changes:
        return Part("sshd")
    merged = {**present, **{key.lower(): value for key, value in asked.items()}}
    names = {key.lower(): key for key in asked}
    lines = [f"{names.get(key, key)} {value}" for key, value in sorted(merged.items())]
    # What sshd would do afterwards, asked of sshd itself before anything changes.
    host.write(PROSPECT, "\n".join(lines) + "\n" + (INCLUDE + "\n" if missing_include else "") + main, 0o600)
    try:
        refuse_sshd(effective(host, context.management_user, PROSPECT), now, context.management_user, host)
    finally:
        os.unlink(host.path(PROSPECT))
    steps: List[Step] = [WriteFile(DROP_IN, document(lines), 0o600)]
    if missing_include:
        steps.append(WriteFile(MAIN, INCLUDE + "\n" + main, 0o600))
    return Part("sshd", tuple(changes), tuple(steps), gated=True,
                validate=((SSHD, "-t"), (SSHD, "-T", "-C", f"user={context.management_user},host=localhost,"
                                                           "addr=127.0.0.1")),
                reload=(("systemctl", "reload", "ssh"),))

