"""Restore points whose disks the platform keeps, because it hands none out: the repository has their manifests."""

from __future__ import annotations

from pathlib import Path

from ..drivers.driver import Archive, Backup, Capability, Driver, Progress
from ..model.vm import VM, Mark
from .repository import Damaged, RestorePoint


def take(
    driver: Driver, actual: VM, part: Path, id_: str, parent: str | None, progress: Progress
) -> tuple[Backup, Archive | None]:
    """A backup of `actual`: its disks brought into the folder `part`, or an archive at the site."""
    if Capability.BACKUP in driver.capabilities or Capability.ARCHIVE not in driver.capabilities:
        return driver.backup(actual, part, id_, parent, progress), None
    made = driver.archive(actual, id_, progress)
    why = "the platform keeps its backups whole" if parent else ""
    return Backup("full", made.created, (), made.consistency, why), made


def find(driver: Driver, vm: VM, point: RestorePoint) -> Archive:
    """The archive of a restore point, as large as its manifest says. Raises Damaged."""
    where = f"restore point {point.id} of VM '{vm.name}' at site '{vm.site}'"
    for archive in driver.archives(vm):
        if archive.id == point.archive:
            if archive.restore_point != point.id or archive.bytes != point.archived:
                raise Damaged(f"{where} is damaged: {archive.id} is not the backup that was taken for it")
            return archive
    raise Damaged(f"{where} is gone: the site has no backup {point.archive} any more")


def bring_back(
    driver: Driver, vm: VM, point: RestorePoint, desired: VM, mark: Mark, isolated: bool, progress: Progress
) -> VM:
    """Make `desired` from the archive of a restore point of `vm`."""
    return driver.restore_archive(desired, mark, find(driver, vm, point), isolated, progress)


def forget(driver: Driver, vm: VM, point: RestorePoint) -> None:
    """Delete the archive of a restore point; one that is gone is fine."""
    if point.archive:
        made = Archive(point.archive, point.created, point.id, point.archived, point.consistency)
        driver.delete_archive(vm, made)
