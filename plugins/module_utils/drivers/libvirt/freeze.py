"""File systems of a guest frozen for the moment in which a backup begins, and thawed whatever happens.

The controller thaws, and it may be killed before it does. So a timer in the guest is armed first: it thaws by itself.
Where it cannot be armed nothing is frozen, and the backup is consistent as after a crash.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..driver import DriverError
from .connection import libvirt, told
from .guest import Agent

SECONDS = 45  # after which the guest thaws itself
_UNIT = "muster-thaw"
# Plain commands, each in memory or read without a write: nothing that needs a frozen file system to answer. The agent
# believes itself frozen until it is told otherwise or begins anew without its note; asked to stop, it takes 90 seconds.
THAW = """\
while read -r device folder rest; do
  case $device in /dev/*) fsfreeze --unfreeze "$folder" 2>/dev/null ;; esac
done </proc/self/mounts
test -e /run/qga.state.isfrozen || exit 0
rm -f /run/qga.state.isfrozen
systemctl kill --signal=KILL qemu-guest-agent.service
exec systemctl restart qemu-guest-agent.service
"""
_STOP = f"systemctl stop {_UNIT}.timer 2>/dev/null"
_ARM = (
    f"{_STOP}; exec systemd-run --collect --unit={_UNIT} --on-active={SECONDS} --timer-property=AccuracySec=1s "
    "--description='Muster: thaw what a backup that was killed left frozen' /bin/sh -c \"$1\""
)


@dataclass
class Freeze:
    """Whether the file systems were frozen, known for good after the block: a guest that thawed itself meanwhile does
    not count."""

    held: bool = False


@contextlib.contextmanager
def frozen(agent: Agent) -> Iterator[Freeze]:
    """The guest's file systems frozen inside the block, where it can be done safely. They are thawed in any case."""
    freeze = Freeze()
    if not _armed(agent):
        yield freeze
        return
    try:
        try:
            freeze.held = agent.domain.fsFreeze() > 0
        except libvirt.libvirtError:  # no answer in time is no proof that nothing was frozen
            with contextlib.suppress(libvirt.libvirtError):
                agent.domain.fsThaw()
        yield freeze
    finally:
        if freeze.held:
            with told(agent.site, agent.vm, "thaw the guest's file systems after the freeze for the backup"):
                freeze.held = agent.domain.fsThaw() > 0
        with contextlib.suppress(DriverError):  # else it finds nothing to thaw
            agent.execute(["/bin/sh", "-c", _STOP], timeout=10)


def _armed(agent: Agent) -> bool:
    """Whether the guest will thaw itself. What a backup that was killed left frozen is thawed first."""
    try:
        if not agent.answers():
            return False
        if agent.call("guest-fsfreeze-status") == "frozen":
            with told(agent.site, agent.vm, "thaw what an interrupted backup left frozen"):
                agent.domain.fsThaw()
        done: Any = agent.execute(["/bin/sh", "-c", _ARM, "muster", THAW], timeout=20)
    except DriverError:
        return False
    return bool(done.code == 0)
