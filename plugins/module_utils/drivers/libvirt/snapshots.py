"""Internal snapshots of a domain. External ones are never mixed in: libvirt 9.0 can neither revert nor delete them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

from .. import snapshot_note
from ..driver import Conflict, Failed, NotFound, Progress, Snapshot
from .connection import libvirt, told
from .domain import parse


def every(domain: Any, site: str) -> list[Snapshot]:
    """The domain's snapshots, oldest first; foreign ones bear no operation."""
    with told(site, domain.name(), "list the snapshots"):
        found = [_read(parse(snapshot.getXMLDesc(0))) for snapshot in domain.listAllSnapshots(0)]
    return snapshot_note.oldest_first(found)


def _read(root: ET.Element) -> Snapshot:
    return snapshot_note.read(
        root.findtext("name") or "",
        int(root.findtext("creationTime") or 0),
        root.findtext("description") or "",
        root.findtext("parent/name"),
    )


def take(domain: Any, site: str, operation: str, description: str, hold: bool) -> Snapshot:
    """Take a snapshot with the operation's id in its name; the one that is there already is adopted."""
    name = f"{snapshot_note.PREFIX}{operation}"
    for snapshot in every(domain, site):
        if snapshot.id == name:
            return snapshot
    with told(site, domain.name(), "look at the snapshots"):
        for found in domain.listAllSnapshots(0):
            if _external(parse(found.getXMLDesc(0))):
                raise Conflict(
                    f"it has the external snapshot '{found.getName()}', upon which libvirt can build none that can be "
                    "reverted; no snapshot was taken",
                    site=site,
                    vm=domain.name(),
                    todo="Commit that snapshot (virsh blockcommit), then run again; a backup needs none",
                )
    root = ET.Element("domainsnapshot")
    ET.SubElement(root, "name").text = name
    ET.SubElement(root, "description").text = snapshot_note.written(operation, description, hold)
    with told(site, domain.name(), "take a snapshot"):
        domain.snapshotCreateXML(ET.tostring(root, encoding="unicode"), 0)
    taken = [snapshot for snapshot in every(domain, site) if snapshot.id == name]
    if not taken:
        raise Failed(
            "libvirt reported the snapshot as taken, yet does not list it",
            site=site,
            vm=domain.name(),
            todo="Take it again; do not rely on this one",
        )
    return taken[0]


def _external(root: ET.Element) -> bool:
    return any(node.get("snapshot") == "external" for node in root.findall("disks/disk"))


def _find(domain: Any, site: str, snapshot: Snapshot) -> Any:
    with told(site, domain.name(), f"find the snapshot '{snapshot.id}'"):
        return domain.snapshotLookupByName(snapshot.id)


def delete(domain: Any, site: str, snapshot: Snapshot) -> None:
    """Delete one snapshot; its children stay. Deleting one that is gone is fine."""
    try:
        found = _find(domain, site, snapshot)
    except NotFound:
        return
    with told(site, domain.name(), f"delete the snapshot '{snapshot.id}'"):
        found.delete(0)


def revert(domain: Any, site: str, snapshot: Snapshot, progress: Progress) -> None:
    """Bring the domain back to `snapshot`.

    The bitmap of an incremental backup makes QEMU refuse and leaves the VM off, so checkpoints go first; the next
    backup is then a full one. A checkpoint can only be deleted while QEMU runs: a stopped VM is started paused for it.
    """
    found = _find(domain, site, snapshot)
    name = domain.name()
    with told(site, name, f"revert to the snapshot '{snapshot.id}'"):
        kind = parse(found.getXMLDesc(0))
        if _external(kind):
            raise Conflict(
                f"'{snapshot.id}' is an external snapshot, which libvirt cannot revert; nothing was changed",
                site=site,
                vm=name,
                todo="Restore the VM from a restore point instead",
            )
        checkpoints = domain.listAllCheckpoints(0)
        if checkpoints:
            progress(f"{name}: dropping {len(checkpoints)} backup checkpoints; the next backup is a full one")
            paused = not domain.isActive()
            if paused:
                domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
            try:
                for checkpoint in checkpoints:
                    checkpoint.delete(0)
            finally:
                if paused:
                    domain.destroy()
        domain.revertToSnapshot(found, 0)
