"""The ownership mark in the notes of a Proxmox VM, as a comment that the web interface does not show, and a tag beside
it for people and for lists.

Proxmox copies the notes with the VM. So the mark names the VM that it was written for: by its number while it is half
made (a clone bears it from its first moment, before its UUID is ours), and by its UUID from then on. A copy that
somebody made of a VM of Muster is theirs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...model.vm import VM, Mark
from .. import ownership
from ..driver import Unsupported
from ..ownership import Written
from .config import uuid_of

TAG = "muster"
GRAIN = 4 << 20  # bytes to which storages round the size of a disk up: the extents of LVM are the coarsest
MOST = 8192  # characters of a VM's notes in Proxmox
_OPEN, _CLOSE = "<!-- muster ", " -->"
_COMMENT = re.compile(re.escape(_OPEN) + r"(\{.*\})" + re.escape(_CLOSE))
_TOLD = re.compile(r"(owner|cost[-_]center|environment|service|data|residency|role)[-_.+](.+)")
# Fields that no hardware of Proxmox holds.
FIELDS = ("image", "profile", "tags", "protection", "schedule", "health")


def fields(desired: VM) -> dict[str, Any]:
    """The fields of a VM that its mark keeps."""
    found = {name: desired[name] for name in FIELDS if desired[name] is not None}
    disks = [
        {"name": disk["name"], "size": disk["size"], **({"tier": disk["tier"]} if disk.get("tier") else {})}
        for disk in desired["disks"] or ()
        if disk.get("tier") or disk["size"] % GRAIN
    ]
    return {**found, **({"disks": disks} if disks else {})}


def disk(read: dict[str, Any], kept: Mapping[str, Any]) -> None:
    """Bring into a disk as Proxmox tells it what the mark knows better: its tier, and the size that was asked for where
    the storage made it a little larger."""
    if kept.get("tier"):
        read["tier"] = kept["tier"]
    if kept["size"] <= read["size"] < kept["size"] + GRAIN:
        read["size"] = kept["size"]


def notes(written: Written, before: str = "") -> str:
    """The notes with the mark in them; what people wrote stays."""
    text = ownership.write(written).replace(">", "\\u003e")  # JSON's own way, so that no value ends the comment
    kept = _COMMENT.sub("", before).strip()
    head = kept or f"Made by Muster: VM {written.mark.vm} of the fleet {written.mark.fleet}. Keep the line below."
    return f"{head}\n\n{_OPEN}{text}{_CLOSE}"


def find(config: Mapping[str, Any]) -> Written | None:
    """The mark that the notes bear, whoever it was written for; None where there is none, or more than one."""
    found = _COMMENT.findall(str(config.get("description") or ""))
    return ownership.read(found[0]) if len(found) == 1 else None


def read(config: Mapping[str, Any], vmid: int) -> Written | None:
    """The mark of this very VM; None where it bears none."""
    written = find(config)
    if written is None:
        return None
    if not written.built:
        return written if written.platform.get("vmid") == vmid else None
    uuid = uuid_of(config)
    return written if uuid and written.platform.get("uuid") == uuid else None


def uuid(config: Mapping[str, Any], vmid: int) -> str | None:
    """The identity of a VM: the one that its mark gives while it is half made, else the one that its guest sees."""
    written = read(config, vmid)
    return str(written.platform["uuid"]) if written and written.platform.get("uuid") else uuid_of(config)


def tags(before: object) -> str:
    """The tags of Proxmox with Muster's among them."""
    return ";".join(sorted({TAG, *(tag for tag in re.split(r"[;, ]+", str(before or "")) if tag)}))


def told(written: object) -> dict[str, str]:
    """What the tags of a VM of others say, with the keys that rules read. A tag of Proxmox has no value, and neither =
    nor :, so that its beginning is the key: ``owner-shop``, ``owner_shop`` and ``owner.shop`` name the owner shop."""
    found = (_TOLD.fullmatch(tag.lower()) for tag in re.split(r"[;, ]+", str(written or "")))
    return {match[1].replace("-", "_"): match[2] for match in found if match}


def check(desired: VM, mark: Mark, site: str) -> None:
    """Raise Unsupported where the fields do not fit into the notes. Names of devices and numbers need room too."""
    devices = {item["name"]: "scsi00" for item in [*(desired["disks"] or ()), *(desired["nics"] or ())]}
    written = Written(mark, fields(desired), seed="0" * 36, platform={"uuid": "0" * 36, "devices": devices})
    room = MOST - 512 - len(notes(replace(written, mark=replace(mark, operation="0" * 60))))
    if room < 0:
        raise Unsupported(
            f"the fields 'tags' and 'health' are too long by {-room} characters for the notes of a VM in Proxmox, in "
            "which they are kept; nothing was changed",
            site=site,
            vm=desired.name,
            todo="Shorten them",
        )
