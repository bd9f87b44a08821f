"""What vCenter says, turned into the contract's errors, with its own words."""

from __future__ import annotations

from typing import Any

from ..driver import Conflict, Denied, DriverError, Failed, Locked, NotFound, Unreachable, Unsupported

# By the name of the fault, or of a fault that it is a kind of; the nearest decides.
_KINDS: dict[str, type[DriverError]] = {
    "NotAuthenticated": Denied,
    "InvalidLogin": Denied,
    "NoPermission": Denied,
    "RestrictedByAdministrator": Denied,
    "ManagedObjectNotFound": NotFound,
    "NotFound": NotFound,
    "FileNotFound": NotFound,
    "TaskInProgress": Locked,
    "VimFault": Failed,
    "ConcurrentAccess": Conflict,
    "DuplicateName": Conflict,
    "AlreadyExists": Conflict,
    "FileAlreadyExists": Conflict,
    "ResourceInUse": Conflict,
    "InvalidPowerState": Conflict,
    "NotSupported": Unsupported,
    "NotImplemented": Unsupported,
    "MethodNotFound": Unsupported,
    "CpuHotPlugNotSupported": Unsupported,
    "MemoryHotPlugNotSupported": Unsupported,
    "HostCommunication": Unreachable,
    "HostConnectFault": Unreachable,
    "HostNotConnected": Unreachable,
}
_TODO: dict[type[DriverError], str] = {
    Locked: "Wait for the task that works on it (vCenter shows it in the VM's tasks), then run again; Muster cancels "
    "no task of others",
    Denied: "Check the site's credentials, and the role of their user in vCenter",
    NotFound: "List the VMs of the site with muster.fleet.vm_info, and look at the names in the fleet file",
    Unreachable: "Check the host in vCenter, then run again",
    Conflict: "Look at what stands in the way, then run again",
    Unsupported: "See docs/drivers/vsphere.md",
}
_SPACE = ("NoDiskSpace", "InsufficientStorageSpace", "InsufficientStorageIops")
_TOLD = ("privilegeId", "name", "invalidProperty", "property", "datastore", "file", "reason", "existingState")
LIMIT = 400


def clean(text: object) -> str:
    """`text` on one line, printable, and cut."""
    return " ".join("".join(char if char.isprintable() else " " for char in str(text)).split())[:LIMIT]


def names(fault: Any) -> list[str]:
    """The name of a fault, and of all that it is a kind of: ``InvalidLogin``, ``VimFault`` …"""
    return [kind.__name__.rpartition(".")[2] for kind in type(fault).__mro__]


def words(fault: Any) -> str:
    """What a fault says: its kind, its text, and what it names: a right, a file, a property."""
    name = names(fault)[0]
    text = clean(getattr(fault, "msg", "") or "")
    told = [f"{key} {clean(value)}" for key in _TOLD if isinstance(value := getattr(fault, key, None), str) and value]
    more = [clean(getattr(one, "message", "") or "") for one in getattr(fault, "faultMessage", None) or ()]
    parts = [name, *([text] if text and name not in text else []), *more, *told]
    return clean(", ".join(part for part in parts if part))


def error_of(doing: str, fault: Any, *, site: str, vm: str | None = None) -> DriverError:
    """The error of a call or a task: ``unable to <doing>: <vCenter's words>``."""
    kinds = names(fault)
    kind = next((_KINDS[name] for name in kinds if name in _KINDS), Failed)
    todo = _TODO.get(kind, "Look at the VM's tasks and events in vCenter, then run again")
    if any(name in _SPACE for name in kinds):
        kind, todo = Failed, "Free space on that datastore, then run again: the run carries on where it stopped"
    elif "NoPermission" in kinds:
        todo = "Give the user of the site this privilege in vCenter, then run again"
    return kind(f"unable to {doing}: {words(fault)}", site=site, vm=vm, todo=todo)
