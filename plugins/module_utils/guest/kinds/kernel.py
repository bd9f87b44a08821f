"""`sysctl`, `modules_disabled`: drop-ins, and the running kernel where it can follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..facts.kernel import module_facts, read_sysctl, same, sysctl_path
from ..formats import document, pairs
from ..host import Host
from ..plan import Change, Context, Part, Step
from ..steps import Poke, WriteFile
from .names import MODULE, SYSCTL, listing, table

SYSCTL_FILE = "/etc/sysctl.d/99-zz-muster.conf"  # after 99-sysctl.conf, which Debian links to /etc/sysctl.conf
MODPROBE_FILE = "/etc/modprobe.d/muster.conf"


def plan_sysctl(wanted: Any, host: Host, context: Context) -> Part:
    """Each parameter in our drop-in and in the running kernel; one that this kernel has not is left out."""
    asked = table("sysctl", wanted, SYSCTL)
    asked = {key: " ".join(value.split()) for key, value in asked.items()}
    written = pairs(host.read(SYSCTL_FILE) or "", "=")
    changes: list[Change] = []
    steps: list[Step] = []
    known: dict[str, str] = {}
    for key, value in asked.items():
        running = read_sysctl(host, key)
        if running is None:
            continue
        known[key] = value
        if running != value:
            steps.append(Poke(sysctl_path(key), value))
        if running != value or written.get(key) != value:
            changes.append(Change("sysctl", key, running if running != value else written.get(key), value))
    if any(written.get(key) != value for key, value in known.items()):
        lines = [f"{key} = {value}" for key, value in sorted({**written, **known}.items())]
        steps.insert(0, WriteFile(SYSCTL_FILE, document(lines)))
    return Part("sysctl", tuple(changes), tuple(steps))


@dataclass(frozen=True)
class Unload(Step):
    """Unload a module if nothing uses it. One in use stays until the next boot: that is no error."""

    module: str

    def run(self, host: Host) -> None:
        host.run(["modprobe", "-r", "--", self.module], 30)


def plan_modules_disabled(wanted: Any, host: Host, context: Context) -> Part:
    """``install NAME /bin/false`` and ``blacklist NAME`` for each; an unused loaded one is unloaded."""
    names = listing("modules_disabled", wanted, MODULE)
    state = module_facts(host, names)
    text = host.read(MODPROBE_FILE) or ""
    listed = {same(line.split()[1]): line.split()[1] for line in text.splitlines() if line.startswith("install ")}
    changes: list[Change] = []
    steps: list[Step] = []
    for module in names:
        if not state[module]["disabled"]:
            changes.append(Change("modules_disabled", module, "can be loaded", "disabled"))
            if state[module]["loaded"]:
                steps.append(Unload(module))
    if changes:
        listed.update({same(change.item): change.item for change in changes})
        lines = [line for _key, module in sorted(listed.items())
                 for line in (f"install {module} /bin/false", f"blacklist {module}")]
        steps.insert(0, WriteFile(MODPROBE_FILE, document(lines)))
    return Part("modules_disabled", tuple(changes), tuple(steps))
