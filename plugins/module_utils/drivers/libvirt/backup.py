"""Backups by QEMU's own block jobs: a full, or only what changed since a checkpoint; and clones.

QEMU writes each disk's part as a new volume into the pool (it may write nowhere else); from there it is brought home
and deleted.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
import uuid as uuids
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...model.vm import VM, Mark
from .. import qcow2
from ..copies import spec_of_copy
from ..driver import Backup, BackupDisk, Failed, Progress
from .connection import libvirt, told
from .domain import parse
from .freeze import frozen
from .guest import Agent
from .volumes import Volumes

if TYPE_CHECKING:
    from .driver import LibvirtDriver

_PREFIX = "muster-"


def take(
    driver: LibvirtDriver, domain: Any, directory: Path, restore_point: str, parent: str | None, progress: Progress
) -> Backup:
    """Bring the disks of `domain` at one point in time into `directory`."""
    name = domain.name()
    vm = driver.reread(domain)
    disks = [
        (
            disk["name"],
            vm.state["disks"][disk["name"]]["target"],
            vm.state["disks"][disk["name"]]["path"],
            disk.get("size", 0),
        )
        for disk in vm["disks"]
    ]
    if not domain.isActive():
        return _offline(driver, name, disks, directory, progress)
    why = ""
    checkpoint = f"{_PREFIX}{parent}" if parent else None
    if checkpoint:
        why = _broken(driver.site, domain, checkpoint)
        if why:
            checkpoint = None
    try:
        created, consistency, made = _job(driver, domain, disks, restore_point, checkpoint, progress)
    except Failed as error:
        if checkpoint is None or ("checkpoint" not in str(error) and "bitmap" not in str(error)):
            raise
        why, checkpoint = f"libvirt refused the incremental: {error.what}", None  # QEMU was killed, its bitmap is lost
        _forget(driver.site, domain)
        created, consistency, made = _job(driver, domain, disks, restore_point, None, progress)
    try:
        parts = _fetch(driver.volumes, name, made, directory, progress)
    finally:
        for _disk, volume, _size in made:
            driver.volumes.delete(volume, name)
    if checkpoint:  # libvirt writes the live disk's path into an incremental's header; nobody may ever follow it
        parts = [qcow2.orphaned(part, driver.site, name) for part in parts]
    _prune(driver.site, domain, restore_point)
    return Backup("incremental" if checkpoint else "full", created, tuple(parts), consistency, why)


def _broken(site: str, domain: Any, checkpoint: str) -> str:
    """Why `checkpoint` cannot be built upon; empty where it can."""
    with told(site, domain.name(), "look for the checkpoint of the last backup"):
        names = [found.getName() for found in domain.listAllCheckpoints(0)]
    return "" if checkpoint in names else "the checkpoint of the last backup is gone"


def _forget(site: str, domain: Any) -> None:
    """Drop what libvirt remembers of checkpoints whose bitmaps are lost."""
    with told(site, domain.name(), "forget checkpoints without a bitmap"):
        for checkpoint in domain.listAllCheckpoints(0):
            with contextlib.suppress(libvirt.libvirtError):
                checkpoint.delete(libvirt.VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY)


def _prune(site: str, domain: Any, restore_point: str) -> None:
    """Keep the newest checkpoint alone: each one's bitmap costs every write of the guest."""
    with told(site, domain.name(), "drop the checkpoint of the backup before"):
        for checkpoint in domain.listAllCheckpoints(0):
            if checkpoint.getName() != f"{_PREFIX}{restore_point}" and checkpoint.getName().startswith(_PREFIX):
                checkpoint.delete(0)


def _job(
    driver: LibvirtDriver,
    domain: Any,
    disks: list[tuple[str, str, str, int]],
    restore_point: str | None,
    checkpoint: str | None,
    progress: Progress,
) -> tuple[float, str, list[tuple[str, Any, int]]]:
    """Run one block job for all disks; without a `restore_point` it leaves no checkpoint behind.

    Returns (point in time, consistency, [(disk, volume, virtual size)]).
    """
    name, site = domain.name(), driver.site
    job, point = ET.Element("domainbackup", mode="push"), ET.Element("domaincheckpoint")
    file_id = restore_point or uuids.uuid4().hex[:12]
    if checkpoint:
        ET.SubElement(job, "incremental").text = checkpoint
    ET.SubElement(point, "name").text = f"{_PREFIX}{restore_point}"
    job_disks, point_disks = ET.SubElement(job, "disks"), ET.SubElement(point, "disks")
    files = []
    root = parse(domain.XMLDesc(0))
    chosen = {target: (disk, path, size) for disk, target, path, size in disks}
    for node in root.findall("devices/disk/target"):
        target = node.get("dev", "")
        if target not in chosen:
            ET.SubElement(job_disks, "disk", name=target, backup="no")
            ET.SubElement(point_disks, "disk", name=target, checkpoint="no")
            continue
        disk, path, size = chosen[target]
        file = f"{path.rpartition('/')[0]}/{name}.{disk}.{file_id}.backup"
        entry = ET.SubElement(job_disks, "disk", name=target, type="file", backup="yes")
        ET.SubElement(entry, "driver", type="qcow2")
        ET.SubElement(entry, "target", file=file)
        ET.SubElement(point_disks, "disk", name=target, checkpoint="bitmap")
        files.append((disk, file, size))
    agent = Agent(domain, site)
    try:
        with told(site, name, "start the backup job"), frozen(agent) as freeze:
            created = time.time()
            domain.backupBegin(
                ET.tostring(job, encoding="unicode"),
                ET.tostring(point, encoding="unicode") if restore_point else None,
                0,
            )
        _await(domain, site, progress)
    except BaseException:
        with contextlib.suppress(Exception):
            domain.abortJob()
        for _disk, file, _size in files:
            with contextlib.suppress(Exception):
                driver.volumes.delete(_volume(driver.volumes, file), name)
        raise
    return (
        created,
        "filesystem" if freeze.held else "crash",
        [(disk, _volume(driver.volumes, file), size) for disk, file, size in files],
    )


def _await(domain: Any, site: str, progress: Progress) -> None:
    """Follow the job to its end. Raises Failed when it failed."""
    name = domain.name()
    with told(site, name, "follow the backup job"):
        while True:
            stats = domain.jobStats(0)
            if stats.get("type") in (None, libvirt.VIR_DOMAIN_JOB_NONE):
                break
            done, total = stats.get("disk_processed", 0), stats.get("disk_total", 0)
            progress(f"{name}: backup, {done >> 20} of {total >> 20} MiB")
            time.sleep(0.2)
        stats = domain.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
    if not stats.get("success", stats.get("type") == libvirt.VIR_DOMAIN_JOB_COMPLETED):
        raise Failed(
            f"the backup job failed: {stats.get('errmsg', 'libvirt gave no reason')}",
            site=site,
            vm=name,
            todo="Look at the space of the pool and at libvirt's log, then run again",
        )


def _volume(volumes: Volumes, path: str) -> Any:
    """The volume of a file that QEMU has just written; the pool must look again to see it."""
    found = volumes.at(path)
    if found is None:
        folder = path.rpartition("/")[0]
        for pool in volumes.connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE):
            if parse(pool.XMLDesc(0)).findtext("target/path") == folder:
                volumes.refresh(pool)
        found = volumes.at(path)
    return found


def _fetch(
    volumes: Volumes, vm: str, made: list[tuple[str, Any, int]], directory: Path, progress: Progress
) -> list[BackupDisk]:
    parts = []
    for disk, volume, size in made:
        if volume is None:
            raise Failed(
                f"the backup of the disk '{disk}' is nowhere in the pool", site=volumes.site, vm=vm, todo="Run again"
            )
        target = directory / f"{disk}.qcow2"
        digest, total = volumes.download(volume, target, vm, progress)
        parts.append(BackupDisk(disk, target, size, digest, total))
    return parts


def _offline(
    driver: LibvirtDriver, name: str, disks: list[tuple[str, str, str, int]], directory: Path, progress: Progress
) -> Backup:
    """A stopped VM: its volumes as they lie there."""
    created = time.time()
    made = [(disk, _volume(driver.volumes, path), size) for disk, _target, path, size in disks]
    return Backup(
        "full", created, tuple(_fetch(driver.volumes, name, made, directory, progress)), "offline", "the VM is off"
    )


def clone(driver: LibvirtDriver, vm: VM, desired: VM, mark: Mark, progress: Progress) -> VM:
    """`desired` as a copy of `vm`, running or not: its disks at one point in time, under a new identity."""
    with tempfile.TemporaryDirectory(prefix="muster-clone-") as folder:
        if vm.power == "off":
            backup = _offline(
                driver,
                vm.name,
                [(d["name"], *_where(vm, d["name"]), d.get("size", 0)) for d in vm["disks"]],
                Path(folder),
                progress,
            )
        else:
            domain = driver.domain(vm)
            disks = [(d["name"], *_where(vm, d["name"]), d.get("size", 0)) for d in vm["disks"]]
            created, consistency, made = _job(driver, domain, disks, None, None, progress)
            try:
                parts = _fetch(driver.volumes, vm.name, made, Path(folder), progress)
            finally:
                for _disk, volume, _size in made:
                    driver.volumes.delete(volume, vm.name)
            backup = Backup("full", created, tuple(parts), consistency)
        sizes = {disk.name: disk.virtual_size for disk in backup.disks}
        spec = spec_of_copy(vm, desired)
        spec["disks"] = [
            {**disk, "size": max(disk.get("size", 0), sizes.get(disk["name"], 0))} for disk in spec["disks"]
        ]
        twin = VM(desired.name, driver.site, spec)
        return driver.restore(twin, mark, {disk.name: disk.path for disk in backup.disks}, progress=progress)


def _where(vm: VM, disk: str) -> tuple[str, str]:
    place = vm.state["disks"][disk]
    return place["target"], place["path"]
