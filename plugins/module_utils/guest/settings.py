"""The settings document: the sum of all fixes, planned kind by kind in the order in which it is applied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .host import GuestError, Host
from .kinds import auditd, files, kernel, logins, logs, pam, software, sshd, su, system
from .kinds.names import USER, name
from .plan import Context, Part, Plan

# Packages first, for others write beside what they bring; what is gated last, so that the gate is open only shortly.
HANDLERS: tuple[tuple[str, Callable[[Any, Host, Context], Part]], ...] = (
    ("apt", software.plan_apt),
    ("packages_absent", software.plan_packages_absent),
    ("packages_present", software.plan_packages_present),
    ("modules_disabled", kernel.plan_modules_disabled),
    ("sysctl", kernel.plan_sysctl),
    ("mounts", system.plan_mounts),
    ("files", files.plan_files),
    ("homes", files.plan_homes),
    ("banners", files.plan_banners),
    ("journald", system.plan_journald),
    ("coredump", system.plan_coredump),
    ("timesyncd", system.plan_timesyncd),
    ("limits", logins.plan_limits),
    ("login_defs", logins.plan_login_defs),
    ("useradd", logins.plan_useradd),
    ("shell", logins.plan_shell),
    ("services_disabled", software.plan_services_disabled),
    ("services_enabled", software.plan_services_enabled),
    ("auditd", auditd.plan_auditd),
    ("logs", logs.plan_logs),
    ("pwquality", pam.plan_pwquality),
    ("pwhistory", pam.plan_pwhistory),
    ("faillock", pam.plan_faillock),
    ("pam", pam.plan_pam),
    ("su", su.plan),
    ("sudo", logins.plan_sudo),
    ("sshd", sshd.plan),
)
KINDS: tuple[str, ...] = tuple(kind for kind, _plan in HANDLERS)


def plan(settings: Mapping[str, Any], host: Host, management_user: str) -> Plan:
    """What `settings` would change in the guest: nothing is changed here. Raises GuestError for what is refused.

    All is planned before any of it is applied, so a refusal of one kind leaves every kind as it was.
    """
    strange = sorted(set(settings) - set(KINDS))
    if strange:
        raise GuestError(f"Unknown kinds of settings: {', '.join(map(str, strange))}. Known are {', '.join(KINDS)}. "
                         "Nothing was changed.")
    context = Context(name("management_user", management_user, USER))
    parts: dict[str, Part] = {}
    for kind, handler in HANDLERS:
        if settings.get(kind):
            parts[kind] = handler(settings[kind], host, context)
    return Plan(tuple(part for part in parts.values() if part.changes))
