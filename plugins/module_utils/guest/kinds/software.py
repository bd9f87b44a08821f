"""`packages_present`, `packages_absent`, `services_enabled`, `services_disabled`, `apt`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..facts.access import apt_settings
from ..facts.software import installed, unit_name, unit_states
from ..formats import document
from ..host import GuestError, Host
from ..lockout import refuse_packages, refuse_units
from ..plan import Change, Context, Part, Step
from ..steps import Run, WriteFile
from .names import PACKAGE, UNIT, listing, table

APT = ("apt-get", "-y", "-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Options::=--force-confdef",
       "-o", "Dpkg::Options::=--force-confold", "-o", "APT::Install-Recommends=false")
APT_FILE = "/etc/apt/apt.conf.d/99muster"


@dataclass(frozen=True)
class Install(Step):
    """Install packages; the package lists are fetched when apt does not know a package."""

    names: tuple[str, ...]

    def run(self, host: Host) -> None:
        argv = [*APT, "install", "--", *self.names]
        if host.run(argv, 1800).code != 0:
            host.must(["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", "update"], 900)
            host.must(argv, 1800)


def plan_packages_present(wanted: Any, host: Host, context: Context) -> Part:
    """One apt run for all that are missing."""
    names = listing("packages_present", wanted, PACKAGE)
    have = installed(host)
    missing = [name for name in names if name not in have]
    if not missing:
        return Part("packages_present")
    return Part("packages_present", tuple(Change("packages_present", n, "absent", "installed") for n in missing),
                (Install(tuple(missing)),))


def plan_packages_absent(wanted: Any, host: Host, context: Context) -> Part:
    """One apt run; apt is asked first what else would go, and a package that Muster needs stops it."""
    names = listing("packages_absent", wanted, PACKAGE)
    refuse_packages(names)
    have = installed(host)
    present = [name for name in names if name in have]
    if not present:
        return Part("packages_absent")
    rehearsal = host.must([*APT, "--simulate", "remove", "--", *present], 300)
    gone = [line.split()[1] for line in rehearsal.out.splitlines() if line.startswith(("Remv ", "Purg "))]
    refuse_packages(gone)
    return Part("packages_absent", tuple(Change("packages_absent", name, "installed", "absent") for name in gone),
                (Run((*APT, "remove", "--", *present), 1800),))


def plan_services_disabled(wanted: Any, host: Host, context: Context) -> Part:
    """Stopped and masked, so that no other unit starts them; those that do not exist are left."""
    names = listing("services_disabled", wanted, UNIT)
    refuse_units(names)
    if not host.live:
        raise GuestError("No systemd runs in the guest, so services cannot be examined. Nothing was changed.")
    states = unit_states(host, names)
    running = [n for n in names if states[n]["exists"] and not states[n]["masked"]]
    if not running:
        return Part("services_disabled")
    units = tuple(unit_name(name) for name in running)
    return Part("services_disabled",
                tuple(Change("services_disabled", n, "active" if states[n]["active"] else "stopped", "masked")
                      for n in running),
                (Run(("systemctl", "mask", "--now", "--", *units)),))


def plan_services_enabled(wanted: Any, host: Host, context: Context) -> Part:
    """Enabled and started. A unit that a package of the same run brings is planned too."""
    names = listing("services_enabled", wanted, UNIT)
    if not host.live:
        raise GuestError("No systemd runs in the guest, so services cannot be examined. Nothing was changed.")
    states = unit_states(host, names)
    missing = [n for n in names if not (states[n]["enabled"] and states[n]["active"])]
    if not missing:
        return Part("services_enabled")
    units = tuple(unit_name(name) for name in missing)
    steps: list[Step] = []
    masked = tuple(unit_name(name) for name in missing if states[name]["masked"])
    if masked:
        steps.append(Run(("systemctl", "unmask", "--", *masked)))
    steps.append(Run(("systemctl", "enable", "--now", "--", *units)))
    return Part("services_enabled",
                tuple(Change("services_enabled", n, "not enabled and running", "enabled and running")
                      for n in missing), tuple(steps))


def plan_apt(wanted: Any, host: Host, context: Context) -> Part:
    """``Key "value";`` lines in one drop-in."""
    asked = table("apt", wanted, r"[A-Za-z][A-Za-z0-9:-]{1,100}")
    for key, value in asked.items():
        if '"' in value:
            raise GuestError(f"apt: the value of {key} must not hold a quotation mark. Nothing was changed.")
    now = apt_settings(host)
    changes = tuple(Change("apt", key, now.get(key), value) for key, value in asked.items() if now.get(key) != value)
    if not changes:
        return Part("apt")
    ours = {key: value for key, value in now.items() if f'{key} "{value}";' in (host.read(APT_FILE) or "")}
    ours.update(asked)
    lines = [f'{key} "{value}";' for key, value in sorted(ours.items())]
    return Part("apt", changes, (WriteFile(APT_FILE, document(lines).replace("# ", "// ")),))
