"""`pwquality`, `faillock`, `pwhistory`, `pam`: PAM profiles through Debian's own pam-auth-update, behind the gate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..facts.logins import pam_facts, pwquality_settings, stack
from ..formats import document, pairs
from ..host import GuestError, Host
from ..plan import Change, Context, Part, Step, compare
from ..steps import EditFile, WriteFile
from .names import USER, name, table

NAMES = ("auth", "account", "password", "session", "session-noninteractive")
STACKS = tuple(f"/etc/pam.d/common-{stack}" for stack in NAMES)
QUALITY_FILE = "/etc/security/pwquality.conf.d/99-muster.conf"
PROFILES = "/usr/share/pam-configs/"
QUALITY_KEYS = {"minlen", "minclass", "difok", "maxrepeat", "maxsequence", "maxclassrepeat", "dictcheck", "enforcing",
                "dcredit", "ucredit", "lcredit", "ocredit", "enforce_for_root", "gecoscheck", "retry", "usercheck"}
FAILLOCK_KEYS = {"deny", "unlock_time", "fail_interval"}
HISTORY_KEYS = {"remember", "enforce_for_root"}


def _numbers(kind: str, wanted: Any, keys: set[str]) -> dict[str, str]:
    asked = table(kind, wanted)
    if set(asked) - keys:
        raise GuestError(f"{kind} takes {', '.join(sorted(keys))}. Nothing was changed.")
    for key, value in asked.items():
        if not value.lstrip("-").isdigit():
            raise GuestError(f"{kind}: {key} must be a whole number. Nothing was changed.")
    return asked


@dataclass(frozen=True)
class Enable(Step):
    """Put profiles into the stacks, and see that they are there: pam-auth-update is silent when it refuses."""

    profiles: tuple[str, ...]
    modules: tuple[tuple[str, str], ...]  # stack and module that must be in it afterwards

    def touches(self) -> list[str]:
        return list(STACKS)

    def run(self, host: Host) -> None:
        host.must(["pam-auth-update", "--enable", *self.profiles], 120)
        missing = [f"{module} in {name}" for name, module in self.modules if module not in stack(host, name)]
        if missing:
            raise GuestError(f"pam-auth-update did not put {', '.join(missing)}: the stacks in /etc/pam.d were "
                             "changed by hand. Run `pam-auth-update --force` in the guest, or have the rules waived.")


@dataclass(frozen=True)
class Regenerate(Step):
    """Write the stacks anew from the profiles."""

    def touches(self) -> list[str]:
        return list(STACKS)

    def run(self, host: Host) -> None:
        host.must(["pam-auth-update", "--package"], 120)


def plan_pam(wanted: Any, host: Host, context: Context) -> Part:
    """`nullok: false`: Debian's own profile of pam_unix without that word. An update of libpam-runtime brings it back.

    The rule then fails and the next run takes it away again; a profile of our own would be older than Debian's.
    """
    if wanted != {"nullok": False}:
        raise GuestError("pam takes nullok: false. Nothing was changed.")
    if not pam_facts(host)["nullok"]:
        return Part("pam")
    path = PROFILES + "unix"
    text = host.read(path)
    if text is None:
        raise GuestError(f"{path} is missing, so the PAM stacks are not Debian's. Nothing was changed.")
    changed = "\n".join(line.replace(" nullok", "") if "pam_unix.so" in line else line
                        for line in text.split("\n"))
    return Part("pam", (Change("pam", "nullok", "yes", "no"),), (WriteFile(path, changed), Regenerate()), gated=True)


def plan_pwquality(wanted: Any, host: Host, context: Context) -> Part:
    """Our drop-in for libpwquality. The module itself is put into the stack by its Debian package.

    The main file is read last, so a value in it that contradicts is set there too.
    """
    asked = _numbers("pwquality", wanted, QUALITY_KEYS)
    now = pwquality_settings(host)
    changes = compare("pwquality", asked, {**now})
    if not changes:
        return Part("pwquality")
    main = pairs(host.read("/etc/security/pwquality.conf") or "", "=")
    merged = {**pairs(host.read(QUALITY_FILE) or "", "="), **asked}
    steps: list[Step] = [WriteFile(QUALITY_FILE, document(f"{k} = {v}" for k, v in sorted(merged.items())))]
    contrary = tuple((key, value) for key, value in asked.items() if key in main and main[key] != value)
    if contrary:
        steps.append(EditFile("/etc/security/pwquality.conf", contrary, " = "))
    return Part("pwquality", changes, tuple(steps), gated=True)


def faillock_profiles(user: str) -> tuple[tuple[str, str], ...]:
    """Names and texts of the two profiles. The management user is stepped over: bots must not lock it out."""
    skip = f"\t[success=1 default=ignore]\tpam_succeed_if.so quiet user = {user}\n"
    first = ("Name: Muster: refuse accounts that failed too often\nDefault: no\nPriority: 1024\n"
             f"Auth-Type: Primary\nAuth:\n{skip}\trequisite\tpam_faillock.so preauth\n"
             f"Account-Type: Primary\nAccount:\n{skip}\trequired\tpam_faillock.so\n")
    last = ("Name: Muster: count failed logins\nDefault: no\nPriority: 0\n"
            f"Auth-Type: Primary\nAuth:\n{skip}\t[default=die]\tpam_faillock.so authfail\n")
    return (("muster-faillock-notify", first), ("muster-faillock", last))


def plan_faillock(wanted: Any, host: Host, context: Context) -> Part:
    """faillock.conf and the two profiles, never for the management user, never for root."""
    asked = _numbers("faillock", wanted, FAILLOCK_KEYS)
    user = name("faillock", context.management_user, USER)
    facts = pam_facts(host)["faillock"]
    changes = list(compare("faillock", asked, facts))
    steps: list[Step] = []
    if changes:
        steps.append(EditFile("/etc/security/faillock.conf", tuple(asked.items()), " = "))
    profiles = faillock_profiles(user)
    if not facts["enabled"] or any(host.read(PROFILES + file) not in (None, text) for file, text in profiles):
        changes.append(Change("faillock", "pam", "enabled" if facts["enabled"] else "not enabled",
                              f"enabled, never for {user}"))
        steps += [WriteFile(PROFILES + file, text) for file, text in profiles]
        expected = (("common-auth", "pam_faillock"), ("common-account", "pam_faillock"))
        steps.append(Enable(tuple(file for file, _text in profiles), expected))
    return Part("faillock", tuple(changes), tuple(steps), gated=bool(changes))


def plan_pwhistory(wanted: Any, host: Host, context: Context) -> Part:
    """A profile with pam_pwhistory before pam_unix."""
    asked = _numbers("pwhistory", wanted, HISTORY_KEYS)
    facts = pam_facts(host)["pwhistory"]
    remember = asked.get("remember", "24")
    root = asked.get("enforce_for_root", "1") != "0"
    now = {"remember": facts["remember"] if facts["enabled"] else None,
           "enforce_for_root": ("1" if facts["enforce_for_root"] else "0") if facts["enabled"] else None}
    changes = compare("pwhistory", {"remember": remember, "enforce_for_root": "1" if root else "0"}, now)
    if not changes:
        return Part("pwhistory")
    line = f"pam_pwhistory.so remember={remember}{' enforce_for_root' if root else ''} try_first_pass"
    text = ("Name: Muster: refuse passwords of the past\nDefault: no\nPriority: 1000\nPassword-Type: Primary\n"
            f"Password:\n\trequisite\t{line} use_authtok\nPassword-Initial:\n\trequisite\t{line}\n")
    return Part("pwhistory", changes, (
        WriteFile(PROFILES + "muster-pwhistory", text),
        Enable(("muster-pwhistory",), (("common-password", "pam_pwhistory"),))), gated=True)
