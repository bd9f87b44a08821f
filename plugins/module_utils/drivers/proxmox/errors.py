"""What Proxmox says, turned into the contract's errors, with its own words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..driver import Conflict, Denied, DriverError, Failed, Locked, NotFound, Unreachable, Unsupported

# The first that matches decides. Proxmox answers nearly all with status 500 and says in words what is the matter.
_WORDS: tuple[tuple[re.Pattern[str], type[DriverError]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), kind)
    for pattern, kind in (
        (r"VM is locked", Locked),
        (r"can't lock file|unable to acquire .*lock|got lock (?:request )?timeout", Locked),
        (r"no quorum|not ready - no quorum", Conflict),
        (r"Permission check failed|only root can|permission denied", Denied),
        (r"does not exist|No such (?:storage|resource|VM|node|cluster node|volume|logical volume)", NotFound),
        (r"No route to host|connection (?:timed out|refused)|hostname lookup", Unreachable),
        (r"already exists|already used|already defined|checksum miss?match|modified configuration", Conflict),
        (r"feature is not available|not supported|does not support", Unsupported),
    )
)
_TODO: dict[type[DriverError], str] = {
    Locked: "Wait for the task that holds it (Proxmox shows it in the VM's task history), then run again; Muster never "
    "unlocks a VM",
    Denied: "Check the API token, its privilege separation and its permissions (pveum acl list)",
    NotFound: "List the VMs of the site with muster.fleet.vm_info, and look at the names in the fleet file",
    Unreachable: "Check that the node runs and that the site's uri is right, then run again",
    Conflict: "Look at what stands in the way, then run again",
    Unsupported: "See docs/drivers/proxmox.md",
}
_SPACE = re.compile(r"No space left|not enough (?:free )?space|out of space", re.IGNORECASE)
CHANGED = re.compile(r"checksum miss?match|modified configuration")  # a digest that is not the configuration's any more
LIMIT = 400


def clean(text: object) -> str:
    """`text` on one line, printable, and cut."""
    return " ".join("".join(char if char.isprintable() else " " for char in str(text)).split())[:LIMIT]


def kind_of(status: int, words: str) -> type[DriverError]:
    """The contract's error for an answer of this status and these words."""
    if status == 401 or status == 403:
        return Denied
    if 595 <= status <= 599 or status in (502, 503, 504):
        return Unreachable
    if status == 501:
        return Unsupported
    for pattern, kind in _WORDS:
        if pattern.search(words):
            return kind
    return Failed


def error_of(doing: str, words: str, *, site: str, vm: str | None = None, status: int | None = None) -> DriverError:
    """The error of a call, which has a status, or of a task: ``unable to <doing>: <Proxmox's words>``."""
    kind, where = kind_of(status or 500, words), "the task's log in Proxmox"
    if status is not None:
        where = "the journal of the node that answered (journalctl -u pveproxy -u pvedaemon)"
    todo = _TODO.get(kind, f"Look at {where}, then run again")
    if _SPACE.search(words):
        todo = "Free space on that storage, then run again: the run carries on where it stopped"
    elif "quorum" in words:
        todo = "Bring enough nodes of the cluster back, then run again; nothing can be changed without them"
    return kind(f"unable to {doing}: {clean(words) or f'status {status}'}", site=site, vm=vm, todo=todo)


def fields(errors: Mapping[str, Any] | None) -> str:
    """The errors of single parameters, in words."""
    return "; ".join(f"{name}: {clean(text)}" for name, text in sorted((errors or {}).items()))
