"""Backups: restore points of a fleet's VMs, full or incremental, sealed in the repository; and the restore of one."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..drivers import qcow2
from ..drivers.driver import Capability, Conflict, Driver, DriverError, Progress, silent
from ..model.errors import ModelError
from ..model.fleet import Fleet
from ..model.normal import normalise
from ..model.vm import VM, Mark
from . import archives, named, retention
from .repository import Damaged, Part, Repository, RestorePoint, verify
from .session import actual_of, chosen, each, list_all, new_operation, width

STAMP = "/var/lib/muster/stamp"
CHAIN_LENGTH = 7  # incrementals after which a full is taken: a chain is as strong as its weakest file
_WRITE_STAMP = (
    "umask 022 && mkdir -p /var/lib/muster && printf '%s\\n' \"$1\" > /var/lib/muster/stamp "
    "&& sync /var/lib/muster/stamp"
)


@dataclass(frozen=True)
class Outcome:
    """The backup of one VM; `error` is empty where it succeeded. `pruned` are restore points that retention removed."""

    vm: str
    site: str
    restore_point: str = ""
    kind: str = ""
    bytes: int = 0
    created: float = 0.0
    consistency: str = ""
    why: str = ""
    pruned: tuple[str, ...] = ()
    seconds: float = 0.0
    error: str = ""


def repository_of(fleet: Fleet, vm: VM) -> Repository:
    """The repository of a VM's site. Raises Conflict where the fleet file names none."""
    root = fleet.sites[vm.site]["repository"]
    if not root:
        raise Conflict(
            "its site names no repository for restore points",
            site=vm.site,
            vm=vm.name,
            todo=f"Add sites.{vm.site}.repository, a folder, to the fleet file",
        )
    return Repository(Path(root))


def backup(
    fleet: Fleet,
    drivers: Mapping[str, Driver],
    names: Iterable[str] = (),
    kind: str = "auto",
    check: bool = False,
    parallel: int | None = None,
    progress: Progress = silent,
    name: str | None = None,
) -> list[Outcome]:
    """A restore point of each VM. `kind`: ``full``, ``incremental`` (a full where none can be built upon), or ``auto``:
    incremental with a full after each `CHAIN_LENGTH`. With a `name` it is taken once: one that bears the name, or is
    the id that `name` is, is adopted."""
    listed = list_all(drivers)

    def work(vm: VM) -> Outcome:
        driver = drivers[vm.site]
        actual = actual_of(vm, driver, listed[vm.site])
        if check:
            return Outcome(vm.name, vm.site, kind=kind)
        return _one(vm, actual, driver, repository_of(fleet, vm), kind, progress, name)

    return each(
        chosen(fleet, names),
        work,
        lambda vm, error: Outcome(vm.name, vm.site, error=str(error)),
        width(fleet, drivers, parallel),
    )


def _one(
    vm: VM, actual: VM, driver: Driver, repository: Repository, kind: str, progress: Progress, name: str | None = None
) -> Outcome:
    start = time.monotonic()
    points, damaged = repository.points(vm)
    begun = named.of(repository, vm, name) if name else None
    for there in points:
        if there.id == (begun or name):
            return _taken(vm, there)
    if begun and any(begun in sentence for sentence in damaged):
        raise Damaged(next(sentence for sentence in damaged if begun in sentence))
    id_ = begun or new_operation("backup")
    parent, why = _parent(points, repository, vm, kind)
    try:
        part = repository.begin(vm, id_)
        if name and not begun:
            named.give(repository, vm, name, id_)
    except OSError as error:
        raise Conflict(
            f"the repository {repository.root} cannot be written: {error.strerror}",
            site=vm.site,
            vm=vm.name,
            todo="Give it space and rights, then run again",
        ) from error
    try:
        stamped = _stamp(driver, actual, id_)
        made, archive = archives.take(driver, actual, part, id_, parent, progress)
        if not made.disks and archive is None:  # an empty restore point would look like a backup
            raise Conflict("it has no disks, so there is nothing to back up", site=vm.site, vm=vm.name,
                           todo="Leave it out of the backup with vms")
        size = archive.bytes if archive else sum(disk.bytes for disk in made.disks)
        progress(f"{vm.name}: sealing {size >> 20} MiB as {id_}")
        point = repository.finish(
            vm,
            RestorePoint(
                id_,
                vm.owner.fleet,
                vm.site,
                vm.owner.vm,
                str(actual.uuid),
                made.kind,
                made.created,
                made.consistency,
                tuple(Part(disk.name, disk.virtual_size, disk.sha256, disk.bytes) for disk in made.disks),
                parent if made.kind == "incremental" else None,
                made.why or why,
                stamped,
                str(actual.state.get("seed") or actual.uuid),
                {**actual.spec},
                archive=archive.id if archive else "",
                archived=archive.bytes if archive else 0,
                platform=made.platform,
            ),
            part,
        )
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise Conflict(
            f"the restore point could not be written to {repository.root}: {error.strerror}; older ones are "
            "as they were",
            site=vm.site,
            vm=vm.name,
            todo="Give it space, then run again",
        ) from error
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    pruned = _prune(repository, driver, vm, [*points, point], bool(damaged))
    return _taken(vm, point, pruned, round(time.monotonic() - start, 1))


def _taken(vm: VM, point: RestorePoint, pruned: tuple[str, ...] = (), seconds: float = 0.0) -> Outcome:
    return Outcome(vm.name, vm.site, point.id, point.kind, point.bytes, point.created, point.consistency, point.why,
                   pruned, seconds)


def _parent(points: list[RestorePoint], repository: Repository, vm: VM, kind: str) -> tuple[str | None, str]:
    """The restore point to build upon, and why there is none where one was wanted."""
    if kind == "full" or not points:
        return None, "" if kind == "full" else "it is the first"
    try:
        chain = repository.chain(vm, points[-1])
    except Damaged as error:
        return None, f"the last one cannot be built upon: {error}"
    if kind == "auto" and len(chain) > CHAIN_LENGTH:
        return None, f"the chain has {len(chain)} restore points"
    return points[-1].id, ""


def _stamp(driver: Driver, actual: VM, id_: str) -> bool:
    """Leave the restore point's id inside the guest, so that a drill can prove which backup it booted."""
    if Capability.GUEST_EXEC not in driver.capabilities or actual.power != "on" or not actual["image"]:
        return False
    try:
        return driver.execute(actual, ["/bin/sh", "-c", _WRITE_STAMP, "muster", id_], timeout=30).code == 0
    except DriverError:
        return False  # the backup is taken all the same; its manifest says that it bears no stamp


def _prune(
    repository: Repository, driver: Driver, vm: VM, points: list[RestorePoint], doubt: bool
) -> tuple[str, ...]:
    """Retention, only after a backup that succeeded, which is the last of `points`, and only where every manifest
    could be read."""
    if doubt:
        return ()
    kept = retention.kept_points(points, (vm["protection"] or {}).get("keep"), points[-1].id)
    gone = [point for point in reversed(points) if point.id not in kept]
    for point in gone:
        archives.forget(driver, vm, point)  # before its manifest: what is killed in between is carried on with
        repository.remove(point)
    named.release(repository, vm, (point.id for point in gone))
    return tuple(point.id for point in gone)


@contextlib.contextmanager
def whole_disks(repository: Repository, vm: VM, point: RestorePoint, progress: Progress) -> Iterator[dict[str, Path]]:
    """The disks of a restore point as images that stand alone, every byte checked first. Raises Damaged."""
    chain = repository.chain(vm, point)
    progress(f"{vm.name}: checking {sum(link.bytes for link in chain) >> 20} MiB of {point.id}")
    verify(chain, vm)
    for link in chain:
        for part in link.disks:
            qcow2.check_image(link.file(part.name), vm.site, vm.name)
    if len(chain) == 1:
        yield {part.name: point.file(part.name) for part in point.disks}
        return
    with tempfile.TemporaryDirectory(prefix=".part-flat-", dir=point.folder.parent) as folder:
        disks = {}
        for part in point.disks:
            progress(f"{vm.name}: joining {len(chain)} restore points of the disk '{part.name}'")
            files = [link.file(part.name) for link in chain if any(one.name == part.name for one in link.disks)]
            disks[part.name] = Path(folder) / f"{part.name}.qcow2"
            qcow2.flatten(files, disks[part.name], vm.site, vm.name)
        yield disks


def find_point(repository: Repository, vm: VM, id_: str | None) -> RestorePoint | None:
    """The restore point `id_`, the newest if None; None where there is none. Raises Damaged where the newest, or the
    one that is asked for, cannot be read: an older one is never taken in its place unasked."""
    points, damaged = repository.points(vm)
    if id_ is None:
        home = repository.folder(vm)
        newest = (
            max((folder.name for folder in home.iterdir() if folder.name[:1].isdigit()), default=None)
            if home.is_dir()
            else None
        )
        if newest is not None and (not points or newest != points[-1].id):
            for sentence in damaged:
                if newest in sentence:
                    raise Damaged(sentence)
        return points[-1] if points else None
    for point in points:
        if point.id == id_:
            return point
    for sentence in damaged:
        if id_ in sentence:
            raise Damaged(sentence)
    return None


def restore(fleet: Fleet, driver: Driver, vm: VM, id_: str | None = None, progress: Progress = silent) -> VM:
    """Bring a lost VM back from its restore point, under its own identity. One that is still there is never touched:
    Conflict."""
    repository = repository_of(fleet, vm)
    for other in driver.list():
        if other.name == vm.name or (
            other.mark
            and vm.mark
            and (other.mark.fleet, other.mark.vm) == (vm.owner.fleet, vm.owner.vm)
            and other.state.get("built", True)
        ):
            raise Conflict(
                "it still exists, so nothing was restored over it",
                site=vm.site,
                vm=vm.name,
                todo="Delete it first, or drill its recovery with recovery_drill, which makes a twin",
            )
    try:
        point = find_point(repository, vm, id_)
        if point is None:
            raise ModelError(
                f"VM '{vm.name}' at site '{vm.site}' has no restore point {id_ or ''}".rstrip()
                + f" in {repository.root}; nothing was changed"
            )
        mark = Mark(vm.owner.fleet, vm.owner.vm, new_operation("restore"))
        if point.archive:
            now = archives.bring_back(driver, vm, point, as_restored(vm, point), mark, False, progress)
        else:
            with whole_disks(repository, vm, point, progress) as disks:
                now = driver.restore(as_restored(vm, point), mark, disks, progress=progress)
    except Damaged as error:
        raise ModelError(f"{error}. Nothing was restored; name an older restore point.") from error
    return driver.wait_ready(driver.power(now, "on", progress), progress)


def as_restored(vm: VM, point: RestorePoint, name: str | None = None) -> VM:
    """`vm` with the disks that a restore point holds, each at least as large as its content."""
    known = {disk["name"]: disk for disk in vm["disks"] or _disks_then(point)}
    disks = [
        {
            **known.get(part.name, {}),
            "name": part.name,
            "size": max(part.virtual_size, known.get(part.name, {}).get("size") or 0),
        }
        for part in point.disks
    ] or [dict(disk) for disk in point.spec.get("disks") or ()]
    return VM(
        name or vm.name,
        vm.site,
        {**vm.spec, "disks": disks},
        point.uuid,
        state={"seed": point.seed, "hostname": vm.name, "platform": dict(point.platform)},
    )


def _disks_then(point: RestorePoint) -> list[dict[str, Any]]:
    """The disks as they were configured when the restore point was taken; none where its manifest says what no disk
    can be. They are then made with the site's defaults."""
    try:
        return list(normalise({"disks": point.spec.get("disks") or []})["disks"])
    except ModelError:
        return []


def restore_all(
    fleet: Fleet,
    drivers: Mapping[str, Driver],
    names: Iterable[str] = (),
    id_: str | None = None,
    check: bool = False,
    parallel: int | None = None,
    progress: Progress = silent,
) -> list[Outcome]:
    """`restore` for each VM of `names`; in check mode only the restore point is looked up."""

    def work(vm: VM) -> Outcome:
        start = time.monotonic()
        if not check:
            restore(fleet, drivers[vm.site], vm, id_, progress)
        try:
            point = find_point(repository_of(fleet, vm), vm, id_)
        except Damaged as error:
            raise ModelError(str(error)) from error
        if point is None:
            raise ModelError(f"VM '{vm.name}' at site '{vm.site}' has no restore point; nothing was changed")
        return Outcome(
            vm.name,
            vm.site,
            point.id,
            point.kind,
            point.bytes,
            point.created,
            point.consistency,
            seconds=round(time.monotonic() - start, 1),
        )

    return each(
        chosen(fleet, names),
        work,
        lambda vm, error: Outcome(vm.name, vm.site, error=str(error)),
        width(fleet, drivers, parallel),
    )
