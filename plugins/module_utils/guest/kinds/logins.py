"""`login_defs`, `useradd`, `limits`, `shell`, `sudo`, `su`: how people log in and become root."""

from __future__ import annotations

import re
from typing import Any

from ..facts.access import limits
from ..facts.logins import shell_facts, sudo_facts
from ..formats import document, pairs
from ..host import GuestError, Host
from ..lockout import refuse_sudo
from ..plan import Change, Context, Part, compare
from ..steps import EditFile, WriteFile
from .names import line, table

LIMITS_FILE = "/etc/security/limits.d/99-muster.conf"
SHELL_FILE = "/etc/profile.d/99-muster.sh"
SUDO_FILE = "/etc/sudoers.d/99-muster"  # the last of sudo's files: the last Default of a name holds


def plan_login_defs(wanted: Any, host: Host, context: Context) -> Part:
    """Keys of /etc/login.defs; they hold for accounts and passwords made from now on."""
    asked = table("login_defs", wanted, r"[A-Z][A-Z0-9_]{1,40}")
    changes = compare("login_defs", asked, {**pairs(host.read("/etc/login.defs") or "")})
    steps = (EditFile("/etc/login.defs", tuple((c.item, str(c.after)) for c in changes), "\t"),) if changes else ()
    return Part("login_defs", changes, steps)


def plan_useradd(wanted: Any, host: Host, context: Context) -> Part:
    """Keys of /etc/default/useradd, such as INACTIVE; they hold for accounts made from now on."""
    asked = table("useradd", wanted, r"[A-Z][A-Z0-9_]{1,40}")
    changes = compare("useradd", asked, {**pairs(host.read("/etc/default/useradd") or "", "=")})
    steps = (EditFile("/etc/default/useradd", tuple((c.item, str(c.after)) for c in changes), "="),) if changes else ()
    return Part("useradd", changes, steps)


def plan_limits(wanted: Any, host: Host, context: Context) -> Part:
    """``"* hard core": "0"``: lines of a drop-in for pam_limits."""
    asked = table("limits", wanted, r"(?:\*|@?[a-z_][a-z0-9_-]*) (?:hard|soft|-) [a-z]+")
    now = limits(host)
    changes = compare("limits", asked, {**now})
    if not changes:
        return Part("limits")
    written = {" ".join(row.split()[:3]): row.split()[3] for row in (host.read(LIMITS_FILE) or "").splitlines()
               if len(row.split()) == 4 and not row.startswith("#")}
    merged = {**written, **asked}
    return Part("limits", changes, (WriteFile(LIMITS_FILE, document(f"{k} {v}" for k, v in sorted(merged.items()))),))


def plan_shell(wanted: Any, host: Host, context: Context) -> Part:
    """`umask` and `tmout` (s) of login shells, through /etc/profile.d."""
    asked = table("shell", wanted)
    if set(asked) - {"umask", "tmout"} or not re.fullmatch(r"[0-7]{3,4}", asked.get("umask", "027")) \
            or not asked.get("tmout", "900").isdigit():
        raise GuestError("shell takes umask (octal text) and tmout (seconds). Nothing was changed.")
    now = {key: str(value) for key, value in shell_facts(host).items()}
    changes = compare("shell", asked, {**now})
    if not changes:
        return Part("shell")
    merged = {**dict(now.items()), **asked}
    lines: list[str] = []
    if "umask" in merged:
        lines.append(f"umask {merged['umask']}")
    if "tmout" in merged:  # read-only already where another file set it so: then the assignment would only complain
        lines.append(f"{{ TMOUT={merged['tmout']}; readonly TMOUT; export TMOUT; }} 2>/dev/null || true")
    return Part("shell", changes, (WriteFile(SHELL_FILE, document(lines)),))


def sudo_line(key: str, value: str) -> str:
    """One ``Defaults`` line; ``yes`` and ``no`` are flags, text with a space or slash is quoted."""
    if value in ("yes", "true"):
        return f"Defaults {key}"
    if value in ("no", "false"):
        return f"Defaults !{key}"
    if not re.fullmatch(r"[A-Za-z0-9/._:-]{1,500}", value):
        raise GuestError(f"sudo: the value of {key} holds characters that sudoers would read otherwise. "
                         "Nothing was changed.")
    return f'Defaults {key}="{value}"' if "/" in value else f"Defaults {key}={value}"


def plan_sudo(wanted: Any, host: Host, context: Context) -> Part:
    """Defaults in one file of /etc/sudoers.d, checked with visudo, behind the gate."""
    if not host.exists("/etc/sudoers"):
        raise GuestError("sudo is not installed in the guest. Nothing was changed.")
    asked = {key: {"yes": "true", "no": "false"}.get(value, value)
             for key, value in table("sudo", wanted, r"[a-z][a-z_]{1,40}").items()}
    refuse_sudo(list(asked))
    now = sudo_facts(host)["defaults"]
    changes: list[Change] = list(compare("sudo", asked, {**now}))
    if not changes:
        return Part("sudo")
    text = host.read(SUDO_FILE) or ""
    kept = {re.split(r"[\s!=]+", row)[1]: row for row in text.splitlines() if row.startswith("Defaults ")}
    kept.update({key: sudo_line(key, line("sudo", key, value)) for key, value in asked.items()})
    return Part("sudo", tuple(changes), (WriteFile(SUDO_FILE, document(kept[key] for key in sorted(kept)), 0o440),),
                gated=True, validate=(("visudo", "-c", "-q"),
                                      ("sudo", "-n", "-l", "-U", context.management_user)))
