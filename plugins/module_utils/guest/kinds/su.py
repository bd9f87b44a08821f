"""`su: {group: name}`: only members of a group may use su; root always may."""

from __future__ import annotations

from typing import Any

from ..facts.logins import stack
from ..host import GuestError, Host
from ..plan import Change, Context, Part, Step
from ..steps import Run, WriteFile
from .names import USER, name

FILE = "/etc/pam.d/su"


def restrict(text: str, group: str) -> str:
    """The stack of su with our line after the one that lets root pass; an older line of pam_wheel goes."""
    lines = [line for line in text.splitlines()
             if line.lstrip().startswith("#") or not ("pam_wheel.so" in line and line.split()[0] == "auth")]
    places = [number for number, line in enumerate(lines)
              if "pam_rootok.so" in line and not line.lstrip().startswith("#")]
    if not places:
        raise GuestError(f"{FILE} has no pam_rootok.so, so it is not Debian's. Nothing was changed. "
                         "Restore it or have the rule waived.")
    lines.insert(places[0] + 1, f"auth required pam_wheel.so use_uid group={group}")
    return "\n".join(lines) + "\n"


def plan(wanted: Any, host: Host, context: Context) -> Part:
    """The group is made, empty, where it is missing."""
    if not isinstance(wanted, dict) or set(wanted) != {"group"}:
        raise GuestError("su takes group. Nothing was changed.")
    group = name("su", wanted["group"], USER)
    text = host.read(FILE)
    if text is None:
        raise GuestError(f"{FILE} is missing in the guest. Nothing was changed.")
    now = [line for line in stack(host, "su").get("pam_wheel", []) if line[0] == "required"]
    made = any(row.split(":")[0] == group for row in (host.read("/etc/group") or "").splitlines())
    if made and any("use_uid" in line and f"group={group}" in line for line in now):
        return Part("su")
    steps: list[Step] = [] if made else [Run(("groupadd", "--system", group))]
    steps.append(WriteFile(FILE, restrict(text, group)))
    return Part("su", (Change("su", "group", "everybody" if not now else "another group", group),), tuple(steps),
                gated=True)
