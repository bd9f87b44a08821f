"""Ownership, the same on every platform: the identity of a VM, the text of its mark, and the refusals that guard both.

A driver chooses where the text is kept (libvirt: metadata; Proxmox: description) and nothing else: what it says, and
which text is believed, is decided here.
"""

from __future__ import annotations

import json
import re
import uuid as uuids
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..model.normal import normalise
from ..model.patterns import NAME
from ..model.vm import VM, Mark
from .driver import Conflict

NAMESPACE = "https://muster.fleet/ns/vm/1"
_LIMIT = 256 << 10
_NAME = re.compile(NAME)
_FLEET = re.compile(NAME.removesuffix("$") + "(?:/drill)?$")  # twins of a drill are of a fleet of their own
_OPERATION = re.compile(r"[A-Za-z0-9._-]{0,100}")
_SEED = re.compile(r"[A-Za-z0-9-]{0,64}")
_PORT = re.compile(r"[1-9][0-9]{0,4}")


def identity(mark: Mark, site: str) -> str:
    """The UUID of a fleet's VM at a site: the same on each try, so that a second one is seen, or refused, at once."""
    return str(uuids.uuid5(uuids.NAMESPACE_URL, f"{NAMESPACE}/{mark.fleet}/{site}/{mark.vm}"))


@dataclass(frozen=True)
class Written:
    """What is kept on a VM: the mark, the fields that no hardware holds, and whether the VM is finished.

    `built` is False from the first moment until the disks are complete: a retry may then make them again, as nobody
    can have written to them yet. `platform` is what one driver alone needs to know again; text, numbers, dicts, lists.
    """

    mark: Mark
    fields: Mapping[str, Any] = field(default_factory=dict)
    built: bool = True
    ready: bool = True  # whether the guest was ever seen ready; False is where an interrupted run carries on
    seed: str = ""  # the identity that the guest was first booted with; a restored twin must show the same
    platform: Mapping[str, Any] = field(default_factory=dict)


def write(written: Written) -> str:
    """The text of a mark: JSON on one line."""
    data = {
        "fleet": written.mark.fleet,
        "vm": written.mark.vm,
        "operation": written.mark.operation,
        "built": written.built,
        "ready": written.ready,
        "seed": written.seed,
        "fields": dict(written.fields),
    }
    if written.platform:
        data["platform"] = dict(written.platform)
    return json.dumps(data, sort_keys=True)


def read(text: str | None) -> Written | None:
    """The mark that a text is; None where it is not one that Muster can have written: what was changed by hand, or
    made to be believed, is left alone and breaks no listing."""
    if not text or len(text) > _LIMIT:
        return None
    try:
        data = json.loads(text)
        mark = Mark(data["fleet"], data["vm"], data.get("operation", ""))
        seed = data.get("seed", "")
        names = ((_FLEET, mark.fleet), (_NAME, mark.vm), (_OPERATION, mark.operation), (_SEED, seed))
        if not all(pattern.fullmatch(text) for pattern, text in names):
            return None
        fields, platform = data.get("fields") or {}, data.get("platform") or {}
        if not isinstance(platform, dict):
            return None
        # What is read is what was checked: the normal form, never the text beside it.
        known: dict[str, Any] = normalise({key: value for key, value in fields.items() if key != "ports"})
        if fields.get("ports"):
            known["ports"] = {nic: _ports(rules) for nic, rules in fields["ports"].items()}
        return Written(mark, known, data.get("built") is True, data.get("ready") is not False, seed, platform)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _ports(rules: Mapping[str, Any]) -> dict[str, int]:
    """The loopback port of each port of the guest. Raises ValueError for what is none."""
    found = {}
    for guest, host in rules.items():
        if not all(_PORT.fullmatch(str(port)) and int(port) < 65536 for port in (guest, host)):
            raise ValueError("no port")
        found[guest] = int(host)
    return found


def not_owned(doing: str, site: str, vm: str) -> Conflict:
    """The refusal to touch a VM without a mark."""
    return Conflict(
        f"unable to {doing}: the VM bears no ownership mark of Muster; it was left as it is",
        site=site,
        vm=vm,
        todo="Muster changes only VMs that it made or was told to adopt",
    )


def taken_over(written: Written | None, mark: Mark, owner: str | None, site: str, vm: str) -> Written | None:
    """What is kept on a VM that `mark` takes over from `owner` (None: from nobody that Muster knows); None where it
    bears `mark` already. Raises Conflict for a VM of another fleet, and for one that is half made."""
    if written is None and owner is None:
        return Written(mark)
    if written is not None and (written.mark.fleet, written.mark.vm) == (mark.fleet, mark.vm):
        return None
    if written is None or written.mark.fleet != owner or not written.built:
        whose = "nobody's that Muster knows" if written is None else f"of the fleet '{written.mark.fleet}'" + (
            "" if written.built else " and half made")
        raise Conflict(f"unable to adopt the VM: it is {whose}; it was left as it is", site=site, vm=vm,
                       todo="Name the fleet that it is taken from, or leave it there")
    return replace(written, mark=mark)


def adopted(desired: VM, uuid: str, mark: Mark, there: VM) -> VM | None:
    """What a try to make `desired` finds in `there`, a VM of its name or of its `uuid`: itself, whole, where an earlier
    try went through and only its answer was lost; None where that try stopped half way and what it left may be thrown
    away. Raises Conflict for a VM that is not the fleet's."""

    def conflict(what: str, todo: str) -> Conflict:
        return Conflict(what, site=desired.site, vm=desired.name, todo=todo)

    if there.uuid != uuid:
        raise conflict(
            f"another VM of this name exists (UUID {there.uuid}) and is not this fleet's; nothing was changed",
            "Rename one of the two, or adopt the one that exists",
        )
    if there.mark is None or (there.mark.fleet, there.mark.vm) != (mark.fleet, mark.vm):
        raise conflict(
            f"a VM with the identity {uuid} exists without an ownership mark of this VM; nothing was changed",
            "Adopt it or remove it",
        )
    if there.state["built"]:
        return there
    if there.power != "off":  # Muster starts nothing that is half made, so its disks are not ours to remake
        raise conflict(
            "its mark says that it is half made, and yet it runs; it was left as it is",
            "Find out who started it; stop it, then run again to have it made anew",
        )
    return None
