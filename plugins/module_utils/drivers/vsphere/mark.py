"""The ownership mark in a VM's extra configuration, which vCenter writes with the rest of the VM in one task: from its
first moment on, and together with each change.

vCenter copies the extra configuration with the VM, and brings an old one back with a snapshot. So the mark names the
instance UUID that it was written for: a copy that somebody made of a VM of Muster is theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...model.errors import ModelError
from ...model.normal import normalise
from ...model.vm import VM, Mark
from .. import ownership
from ..driver import Unsupported
from ..ownership import Written
from .sdk import vim

KEY = "muster.mark"  # not below guestinfo, where the guest could write it
MOST = 32 << 10  # characters
# Fields that no hardware of vSphere holds.
FIELDS = ("image", "profile", "tags", "protection", "schedule", "health")


def fields(desired: VM) -> dict[str, Any]:
    """The fields of a VM that its mark keeps."""
    found = {name: desired[name] for name in FIELDS if desired[name] is not None}
    disks = [
        {"name": disk["name"], "size": disk["size"], "tier": disk["tier"]}
        for disk in desired["disks"] or ()
        if disk.get("tier")
    ]
    return {**found, **({"disks": disks} if disks else {})}


def told(vm: VM) -> dict[str, Any]:
    """`fields` of a VM that somebody else made: its tags only where a fleet file could say them, so that the mark can
    be read again."""
    found = fields(vm)
    try:
        normalise({"tags": found.get("tags")})
    except ModelError:
        del found["tags"]
    return found


def option(written: Written) -> Any:
    """The mark as an option of the extra configuration."""
    return vim.option.OptionValue(key=KEY, value=ownership.write(written))


def read(extra: Iterable[Any], uuid: str | None) -> Written | None:
    """The mark of the VM with this instance UUID; None where it bears none, or that of another."""
    found = [str(one.value) for one in extra if one.key == KEY]
    written = ownership.read(found[0]) if len(found) == 1 else None
    return written if written is not None and uuid and written.platform.get("uuid") == uuid else None


def devices(written: Written | None) -> dict[str, str]:
    """Name → place of the disks (``0:1``, bus and unit) and NICs (their MAC address), as the mark knows them."""
    known: Mapping[str, Any] = (written.platform.get("devices") or {}) if written else {}
    return {str(name): str(place) for name, place in known.items()} if isinstance(known, Mapping) else {}


def check(desired: VM, mark: Mark, site: str) -> None:
    """Raise Unsupported where the fields do not fit."""
    places = {item["name"]: "0" * 17 for item in [*(desired["disks"] or ()), *(desired["nics"] or ())]}
    length = len(ownership.write(Written(mark, fields(desired), platform={"uuid": "0" * 36, "devices": places})))
    if length > MOST - 512:
        raise Unsupported(
            f"the fields 'tags' and 'health' are too long by {length - MOST + 512} characters for the extra "
            "configuration of a VM, in which they are kept; nothing was changed",
            site=site,
            vm=desired.name,
            todo="Shorten them",
        )
