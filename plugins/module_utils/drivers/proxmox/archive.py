"""Backups that Proxmox keeps itself: vzdump writes the whole VM into a storage for backups; no API hands it out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ...model.vm import VM
from ..driver import Archive, Conflict, Failed, NotFound, Progress, Unreachable
from . import config as text
from . import mark as marks
from .connection import quoted

if TYPE_CHECKING:
    from .driver import ProxmoxDriver

_NOTES = re.compile(r"muster (\{[^{}]*\})")
_CONSISTENCY = ("filesystem", "crash", "offline")


@dataclass(frozen=True)
class Held:
    """An archive, and the node from which it can be reached."""

    archive: Archive
    node: str


def notes(vm: VM, restore_point: str, consistency: str) -> str:
    """The notes of an archive: which VM, which restore point. No brace is doubled: Proxmox would fill it in."""
    owner = vm.owner
    data = {"fleet": owner.fleet, "vm": owner.vm, "restore_point": restore_point, "consistency": consistency}
    return "muster " + json.dumps(data, sort_keys=True)


def take(driver: ProxmoxDriver, vm: VM, path: str, restore_point: str, progress: Progress) -> Archive:
    """Back the VM up; what bears the restore point's id already is that backup."""
    for held in every(driver, vm):
        if held.archive.restore_point == restore_point:
            return held.archive
    _nodes, node, _qemu, vmid = path.split("/")
    storage = _storage(driver, node, vm.name)
    progress(f"{vm.name}: backing up to {storage}")
    doing = f"back the VM up to '{storage}'"
    begun: list[str] = []

    def act() -> None:
        begun[:] = [
            driver.api.post(
                f"nodes/{node}/vzdump",
                doing,
                vm.name,
                vmid=vmid,
                storage=storage,
                mode="snapshot",
                compress="zstd",
                remove=0,  # what is old is for Muster's retention to say
                **{"notes-template": notes(vm, restore_point, "")},
            )
        ]
        driver.tasks.finish(begun[0], doing, vm.name, progress)

    driver.tasks.patiently(act, vm.name, progress, path)
    found = [held for held in every(driver, vm) if held.archive.restore_point == restore_point]
    if not found:
        raise Failed(
            f"Proxmox reported the backup to '{storage}' as done, yet does not list it",
            site=driver.site,
            vm=vm.name,
            todo="Back it up again; do not rely on this one",
        )
    kind = _consistency(driver, begun[0], vm) if begun else "crash"
    _note(driver, found[0], vm, notes(vm, restore_point, kind))
    return next(held.archive for held in every(driver, vm) if held.archive.restore_point == restore_point)


def _consistency(driver: ProxmoxDriver, upid: str, vm: VM) -> str:
    """What the log of vzdump says: frozen by the agent, or not, or off."""
    node = upid.split(":")[1]
    lines = driver.api.get(f"nodes/{node}/tasks/{quoted(upid)}/log", "read the backup's log", vm.name, limit=2000)
    log = "\n".join(str(line.get("t", "")) for line in lines)
    if "status = stopped" in log:
        return "offline"
    frozen = "fs-freeze" in log and not re.search(r"fs-freeze.*(?:failed|error|timeout)", log)
    return "filesystem" if frozen else "crash"


def _note(driver: ProxmoxDriver, held: Held, vm: VM, written: str) -> None:
    storage = held.archive.id.partition(":")[0]
    driver.api.put(
        f"nodes/{held.node}/storage/{storage}/content/{quoted(held.archive.id)}",
        "note what the backup is",
        vm.name,
        notes=written,
    )


def _storage(driver: ProxmoxDriver, node: str, vm: str) -> str:
    """The storage for backups: the site's own choice, else the only one."""
    there = sorted(str(one["storage"]) for one in driver.storage.on(node, vm, "backup"))
    wanted = driver.access["archive"]
    if wanted in there or (len(there) == 1 and not wanted):
        return str(wanted or there[0])
    if wanted or not there:
        raise NotFound(
            f"the node '{node}' has no active storage '{wanted or ''}' for backups; there are "
            + (", ".join(there) or "none"),
            site=driver.site,
            vm=vm,
            todo=f"Name another in sites.{driver.site}.archive, or let that storage take backups",
        )
    raise Conflict(
        f"the node '{node}' has several storages for backups: {', '.join(there)}; nothing was backed up",
        site=driver.site,
        vm=vm,
        todo=f"Choose one with sites.{driver.site}.archive",
    )


def every(driver: ProxmoxDriver, vm: VM) -> list[Held]:
    """The archives of a VM of Muster, oldest first. Raises Unreachable where a node is offline that may hold one."""
    found: dict[str, Held] = {}
    owner = vm.owner
    for node, online in sorted(driver.placement.nodes().items()):
        if not online:
            raise Unreachable(
                f"the node '{node}' does not answer, and it may hold backups of the VM",
                site=driver.site,
                vm=vm.name,
                todo="Bring the node back, then run again",
            )
        for one in driver.storage.on(node, vm.name, "backup"):
            name = str(one["storage"])
            for volume in driver.api.get(
                f"nodes/{node}/storage/{name}/content", "list the backups", vm.name, content="backup"
            ):
                said = said_of(volume)
                if (said.get("fleet"), said.get("vm")) == (owner.fleet, owner.vm):
                    archive = described(volume, said)
                    found.setdefault(archive.id, Held(archive, node))
    return sorted(found.values(), key=lambda held: (held.archive.created, held.archive.id))


def said_of(volume: Mapping[str, Any]) -> dict[str, Any]:
    """What Muster wrote into the note of a backup."""
    match = _NOTES.search(str(volume.get("notes") or ""))
    try:
        found = json.loads(match.group(1)) if match else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def described(volume: Mapping[str, Any], said: Mapping[str, Any]) -> Archive:
    """A backup that Proxmox lists, and what its note says of it: nothing where Muster did not take it."""
    kind = said.get("consistency")
    return Archive(
        str(volume["volid"]),
        float(volume.get("ctime") or 0),
        str(said.get("restore_point") or ""),
        int(volume.get("size") or 0),
        str(kind) if kind in _CONSISTENCY else "crash",
    )


def find(driver: ProxmoxDriver, vm: VM, archive: Archive) -> Held:
    """Where an archive of a VM is. Raises NotFound."""
    for held in every(driver, vm):
        if held.archive.id == archive.id:
            return held
    raise NotFound(
        f"there is no backup {archive.id} of it",
        site=driver.site,
        vm=vm.name,
        todo="List its backups; name another restore point",
    )


def delete(driver: ProxmoxDriver, vm: VM, archive: Archive) -> None:
    """Delete an archive of the VM. One that is gone is fine."""
    try:
        held = find(driver, vm, archive)
    except NotFound:
        return
    driver.storage.delete(held.node, archive.id, vm.name)


def places(driver: ProxmoxDriver, held: Held, vm: VM) -> dict[str, str]:
    """The places of the disks in an archive, by the names that they had, else by the order of the fleet file."""
    words = driver.api.get(
        f"nodes/{held.node}/vzdump/extractconfig", "read the backup's configuration", vm.name, volume=held.archive.id
    )
    config = parse(str(words))
    drives = [drive.key for drive in text.drives(config)]
    written = marks.find(config)
    known = (written.platform.get("devices") or {}) if written else {}
    named = {name: key for name, key in known.items() if key in drives}
    if set(named.values()) == set(drives):
        return named
    return {disk["name"]: key for disk, key in zip(vm["disks"] or (), drives, strict=False)}


def parse(words: str) -> dict[str, str]:
    """A configuration as vzdump keeps it: ``key: value`` lines, the notes in lines that begin with ``#``, encoded."""
    config: dict[str, str] = {}
    remarks: list[str] = []
    for line in words.splitlines():
        if line.startswith("["):  # snapshots come after the VM itself
            break
        if line.startswith("#") and not line.startswith("#qmdump#"):
            remarks.append(unquote(line[1:]))
        key, sep, value = line.partition(": ")
        if sep and not line.startswith("#"):
            config[key] = value
    return {**config, "description": "\n".join(remarks)}
