"""`journald`, `coredump`, `timesyncd`: drop-ins of systemd's daemons. `mounts`: options of file systems."""
# ruff: noqa: S108 - the paths are mount points, nothing is written there

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..facts.access import systemd_settings
from ..facts.kernel import mount_facts
from ..formats import document, pairs
from ..host import GuestError, Host
from ..plan import Change, Context, Part, Step, compare
from ..steps import WriteFile
from .names import PATH, listing, name, table

DAEMONS = {"journald": ("Journal", ("systemctl", "try-restart", "systemd-journald")),
           "coredump": ("Coredump", ()),
           "timesyncd": ("Time", ("systemctl", "try-restart", "systemd-timesyncd"))}


def plan_daemon(kind: str, wanted: Any, host: Host) -> Part:
    """Settings of one of systemd's daemons in its ``.conf.d``."""
    section, restart = DAEMONS[kind]
    asked = table(kind, wanted, r"[A-Z][A-Za-z]{1,40}")
    changes = compare(kind, asked, {**systemd_settings(host, kind)})
    if not changes:
        return Part(kind)
    path = f"/etc/systemd/{kind}.conf.d/99-muster.conf"
    merged = {**pairs(host.read(path) or "", "="), **asked}
    lines = [f"[{section}]", *(f"{key}={value}" for key, value in sorted(merged.items()))]
    return Part(kind, changes, (WriteFile(path, document(lines)),), reload=(restart,) if restart else ())


def plan_journald(wanted: Any, host: Host, context: Context) -> Part:
    """/etc/systemd/journald.conf.d."""
    return plan_daemon("journald", wanted, host)


def plan_coredump(wanted: Any, host: Host, context: Context) -> Part:
    """/etc/systemd/coredump.conf.d; harmless where systemd-coredump is not installed."""
    return plan_daemon("coredump", wanted, host)


def plan_timesyncd(wanted: Any, host: Host, context: Context) -> Part:
    """/etc/systemd/timesyncd.conf.d."""
    return plan_daemon("timesyncd", wanted, host)


KINDS = {"/tmp": "tmpfs", "/dev/shm": "tmpfs"}  # a file system that can be made where none is mounted

FLAGS = frozenset({"ro", "nodev", "nosuid", "noexec", "noatime", "nodiratime", "relatime"})  # of one mount


@dataclass(frozen=True)
class Mount(Step):
    """Give a path its options now; what fstab says comes with the next boot.

    A path that is not mounted is bound to itself. A new file system over it would hide what running programs keep
    there: sockets, locks, and the very archive that this module runs from.
    """

    path: str
    options: tuple[str, ...]

    def run(self, host: Host) -> None:
        state = mount_facts(host, [self.path])[self.path]
        if not state["mounted"]:
            host.must(["mount", "--bind", "--", self.path, self.path])
        # A remount sets all flags of the mount anew, so those that it has are named again.
        kept = [option for option in state.get("options", []) if option in FLAGS and option not in self.options]
        options = [*kept, *self.options]
        how = "remount,bind," if set(options) <= FLAGS else "remount,"
        host.must(["mount", "-o", how + ",".join(options), "--", self.path])


def plan_mounts(wanted: Any, host: Host, context: Context) -> Part:
    """`{path: [option…]}`: in fstab and now. /tmp and /dev/shm become a tmpfs at the next boot; others must be mounted.
    """
    if not isinstance(wanted, dict):
        raise GuestError("mounts must be a dict. Nothing was changed.")
    fstab = (host.read("/etc/fstab") or "").splitlines()
    changes: list[Change] = []
    steps: list[Step] = []
    reboot = False
    state = mount_facts(host, wanted)
    for path, value in wanted.items():
        name("mounts", path, PATH)
        asked = listing("mounts", value, r"[a-z][a-z0-9=_%]{1,30}")
        if not state[path]["mounted"] and path not in KINDS:
            continue  # no file system of its own: there is nothing that could carry the options
        places = [number for number, row in enumerate(fstab)
                  if len(row.split()) >= 4 and not row.lstrip().startswith("#") and row.split()[1] == path]
        before = ",".join(state[path].get("options", [])) or None
        running = set(state[path].get("options", []))
        if places:
            fields = fstab[places[0]].split()
            written = fields[3].split(",")
        else:
            fields, written = ["tmpfs", path, "tmpfs", "", "0", "0"], []
        if set(asked) <= running and set(asked) <= set(written):
            continue
        if not places and path not in KINDS:
            continue  # mounted by something else than fstab: that must be told, not us
        opposite = {option[2:] for option in asked if option.startswith("no")}
        base = written if places else ["defaults", "relatime", *(["mode=1777"] if path == "/tmp" else [])]
        merged = [option for option in base if option not in opposite]
        merged += [option for option in asked if option not in merged]
        fields[3] = ",".join(merged)
        if places:
            fstab[places[0]] = " ".join(fields)
        else:
            fstab.append(" ".join(fields))
        changes.append(Change("mounts", path, before, ",".join(asked)))
        if not set(asked) <= running:
            steps.append(Mount(path, tuple(asked)))
        reboot = reboot or not state[path]["mounted"]
    if changes:
        steps.insert(0, WriteFile("/etc/fstab", "\n".join(fstab) + "\n"))
    return Part("mounts", tuple(changes), tuple(steps), reload=(("systemctl", "daemon-reload"),) if changes else (),
                reboot=reboot)
