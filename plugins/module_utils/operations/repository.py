"""The repository: restore points in a folder, each whole or not there, each byte of it under a hash.

Layout: ``<repository>/<fleet>/<site>/<vm>/<restore point>/`` holds ``manifest.json`` and one qcow2 file for each disk.
A restore point is written under a name that begins with a dot and renamed when all of it is on the disk. Manifests are
hostile input: bounded, typed, and no path is ever read from one.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from ..model.errors import ModelError
from ..model.patterns import NAME, SHA256
from ..model.vm import VM

MANIFEST = "manifest.json"
DRILLS = "drills.jsonl"
_LIMIT = 4 << 20
_CHUNK = 1 << 20
_LATEST = 32503680000  # the year 3000, in epoch seconds: no restore point is younger
_NAME = re.compile(NAME)
_IDENTITY = re.compile(r"[A-Za-z0-9-]{0,64}")  # a UUID, or what a guest was first booted with
_LARGEST = 64 << 40  # bytes of a disk, as in the field table
_MOST_DISKS = 64
ID = re.compile(r"^[0-9]{8}-[0-9]{6}-[a-z]{1,20}-[0-9a-f]{6}$")
_ARCHIVE = re.compile(r"[!-~]{1,255}")
MAX_CHAIN = 64


class Damaged(ModelError):
    """A restore point, or a repository, that must not be used: the sentence says which part and why."""


@dataclass(frozen=True)
class Part:
    """One disk of a restore point: its file is ``<name>.qcow2``."""

    name: str
    virtual_size: int
    sha256: str
    bytes: int


@dataclass(frozen=True)
class RestorePoint:
    """What a manifest says. `created` is epoch seconds of the point in time that the disks show; `parent` is the
    restore point that an incremental builds upon; `stamped`: the guest bears the id inside. Where the
    platform keeps the disks itself, `archive` is its name of them and `archived` their size, and `disks` are none.
    `platform` is as `Backup` has it."""

    id: str
    fleet: str
    site: str
    vm: str
    uuid: str
    kind: str
    created: float
    consistency: str
    disks: tuple[Part, ...]
    parent: str | None = None
    why: str = ""
    stamped: bool = False
    seed: str = ""
    spec: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = Path()
    archive: str = ""
    archived: int = 0
    platform: Mapping[str, str] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Bytes of all its files."""
        return self.archived or sum(part.bytes for part in self.disks)

    def file(self, disk: str) -> Path:
        """The file of one disk."""
        return self.folder / f"{disk}.qcow2"


class Repository:
    """The restore points of one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, vm: VM) -> Path:
        """The folder of one VM. Raises Damaged where a link below the root leads out of it, or nobody lets us look."""
        folder = self.root
        for name in (vm.owner.fleet, vm.site, vm.owner.vm):
            if not _NAME.fullmatch(name):
                raise Damaged(f"'{name!s:.60}' is no name for a folder of the repository")
            folder /= name
            try:
                linked = folder.is_symlink()
            except OSError as error:  # what cannot be read is never "there are none"
                raise Damaged(
                    f"the restore points of VM '{vm.name}' at site '{vm.site}' in {self.root} cannot be read: "
                    f"{error.strerror}; nothing was changed. Mend that folder's rights, then run again"
                ) from error
            if linked:
                raise Damaged(
                    f"{folder} in the repository is a link and was not followed; nothing was changed. Put the folder "
                    "itself there, then run again"
                )
        return folder

    def begin(self, vm: VM, id_: str) -> Path:
        """A fresh folder to write a restore point into; what an interrupted run left of others is removed."""
        home = self.folder(vm)
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        for stale in home.glob(".part-*"):
            if stale.is_dir() and not stale.is_symlink():
                shutil.rmtree(stale)
            else:
                stale.unlink()
        part = home / f".part-{id_}"
        part.mkdir(mode=0o700)
        return part

    def finish(self, vm: VM, point: RestorePoint, part: Path) -> RestorePoint:
        """Make a restore point of the folder that `begin` gave: all of it on the disk, then one rename."""
        data = {key: value for key, value in asdict(point).items() if key != "folder"}
        with (part / MANIFEST).open("wb") as file:
            file.write(seal(data))
            file.flush()
            os.fsync(file.fileno())
        sync(part)
        final = self.folder(vm) / point.id
        part.rename(final)
        sync(final.parent)
        return RestorePoint(**{**point.__dict__, "folder": final})

    def points(self, vm: VM) -> tuple[list[RestorePoint], list[str]]:
        """The VM's restore points, oldest first, and a sentence for each folder whose manifest cannot be used."""
        points, damaged = [], []
        home = self.folder(vm)
        try:
            folders = sorted(home.iterdir())
        except FileNotFoundError:
            folders = []
        except OSError as error:  # what cannot be read is never "there are none"
            raise Damaged(
                f"the restore points of VM '{vm.name}' at site '{vm.site}' in {home} cannot be listed: {error.strerror}"
                "; nothing was changed. Mend that folder or its rights, then run again"
            ) from error
        for folder in folders:
            if ID.fullmatch(folder.name):
                try:
                    points.append(self.read(folder, vm))
                except Damaged as error:
                    damaged.append(str(error))
        return sorted(points, key=lambda point: point.created), damaged

    def read(self, folder: Path, vm: VM) -> RestorePoint:
        """The restore point in `folder`, which must be of `vm`. Raises Damaged."""
        where = f"restore point {folder.name} of VM '{vm.name}' at site '{vm.site}'"
        if folder.is_symlink():
            raise Damaged(f"{where} is a link and was not followed: it was moved or replaced")
        try:
            with open_plain(folder / MANIFEST) as file:
                raw = file.read(_LIMIT + 1)
        except OSError as error:
            raise Damaged(f"{where} has no readable manifest: {error.strerror}") from error
        data = unseal(raw, where)
        try:
            point = RestorePoint(
                str(data["id"]),
                str(data["fleet"]),
                str(data["site"]),
                str(data["vm"]),
                str(data["uuid"]),
                str(data["kind"]),
                float(data["created"]),
                str(data["consistency"]),
                tuple(
                    Part(str(part["name"]), int(part["virtual_size"]), str(part["sha256"]), int(part["bytes"]))
                    for part in data["disks"]
                ),
                None if data.get("parent") is None else str(data["parent"]),
                str(data.get("why", "")),
                data.get("stamped") is True,
                str(data.get("seed", "")),
                dict(data.get("spec") or {}),
                folder,
                str(data.get("archive", "")),
                int(data.get("archived", 0)),
                {str(name): str(text) for name, text in (data.get("platform") or {}).items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise Damaged(f"{where} has a manifest that is not one of Muster's") from error
        if (point.id, point.fleet, point.site, point.vm) != (folder.name, vm.owner.fleet, vm.site, vm.owner.vm):
            raise Damaged(f"{where} says that it is '{point.id}' of '{point.vm}': it was moved or replaced")
        if not all(_NAME.fullmatch(part.name) for part in point.disks) or (
            point.parent is not None and not ID.fullmatch(point.parent)
        ):
            raise Damaged(f"{where} names a disk or a parent that cannot be")
        if not _sound(point):
            raise Damaged(f"{where} has a manifest whose values cannot be")
        return point

    def chain(self, vm: VM, point: RestorePoint) -> list[RestorePoint]:
        """The full and the incrementals up to `point`, oldest first. Raises Damaged where one is missing."""
        chain = [point]
        while chain[-1].parent is not None:
            if len(chain) > MAX_CHAIN or chain[-1].parent in {known.id for known in chain}:
                raise Damaged(f"restore point {point.id} of VM '{vm.name}' has a chain that does not end")
            chain.append(self.read(point.folder.parent / chain[-1].parent, vm))
        return chain[::-1]

    def remove(self, point: RestorePoint) -> None:
        """Delete a restore point: out of sight first, by one rename, so that a half-deleted one is never believed."""
        gone = point.folder.with_name(f".part-gone-{point.id}")
        point.folder.rename(gone)
        shutil.rmtree(gone)

    def record_drill(self, vm: VM, record: Mapping[str, Any]) -> None:
        """Append the outcome of a drill to the VM's list of drills."""
        home = self.folder(vm)
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open_plain(home / DRILLS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, "ab") as file:
            file.write(json.dumps(dict(record), sort_keys=True).encode("ascii") + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def drills(self, vm: VM) -> list[dict[str, Any]]:
        """The recorded drills of a VM, oldest first; a line that cannot be read is left out."""
        try:
            with open_plain(self.folder(vm) / DRILLS) as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - _LIMIT))
                lines = file.read(_LIMIT).splitlines()
        except OSError:
            return []
        records = []
        for line in lines:
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict) and _is_time(record.get("time")):
                records.append(record)
        return records


def _is_time(value: object) -> bool:
    """Whether `value` can be epoch seconds of something that Muster did; NaN is never."""
    return isinstance(value, (int, float)) and 0 <= value < _LATEST


def _sound(point: RestorePoint) -> bool:
    """Whether what a manifest says can be: its hash proves only that it is whole, not that Muster wrote it."""
    names = {part.name for part in point.disks}
    if point.archive and (point.disks or not _ARCHIVE.fullmatch(point.archive) or not point.archived >= 0):
        return False
    least = 0 if point.archive else 1
    return (least <= len(names) == len(point.disks) <= _MOST_DISKS and _is_time(point.created)
            and point.kind == ("full" if point.parent is None else "incremental")
            and all(_IDENTITY.fullmatch(text) for text in (point.uuid, point.seed))
            and all(0 <= part.virtual_size <= _LARGEST and 0 <= part.bytes <= 2 * _LARGEST
                    and re.fullmatch(SHA256, part.sha256) for part in point.disks))


def open_plain(path: Path, flags: int = os.O_RDONLY, mode: str = "rb") -> BinaryIO:
    """A plain file, open for reading. Whoever can write to the repository may have put a link or a pipe there instead:
    neither is followed or waited for. Raises OSError."""
    handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is no plain file", str(path))
    return cast(BinaryIO, os.fdopen(handle, mode))


def verify(chain: Iterable[RestorePoint], vm: VM) -> None:
    """Read every byte of a chain and compare it with the manifests. Raises Damaged, naming the file."""
    for point in chain:
        for part in point.disks:
            path = point.file(part.name)
            where = f"restore point {point.id} of VM '{vm.name}' at site '{vm.site}' is damaged: {path.name}"
            digest, size = hashlib.sha256(), 0
            try:
                with open_plain(path) as file:
                    while chunk := file.read(_CHUNK):
                        digest.update(chunk)
                        size += len(chunk)
            except OSError as error:
                raise Damaged(f"{where} cannot be read: {error.strerror}") from error
            if size != part.bytes:
                raise Damaged(f"{where} has {size} bytes and should have {part.bytes}")
            if digest.hexdigest() != part.sha256:
                raise Damaged(f"{where} has the SHA-256 {digest.hexdigest()[:16]}… and should have {part.sha256[:16]}…")


def seal(data: Mapping[str, Any]) -> bytes:
    """`data` as canonical JSON with its own hash in front: any other byte is found."""
    body = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")
    return hashlib.sha256(body).hexdigest().encode("ascii") + b"\n" + body + b"\n"


def unseal(raw: bytes, where: str) -> dict[str, Any]:
    """The data of `seal`. Raises Damaged."""
    head, _sep, rest = raw.partition(b"\n")
    body = rest.removesuffix(b"\n")
    if len(raw) > _LIMIT or not rest.endswith(b"\n") or hashlib.sha256(body).hexdigest().encode("ascii") != head:
        raise Damaged(f"{where} is damaged: its manifest does not match its own hash")
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{where} is damaged: its manifest is not JSON") from error
    if not isinstance(data, dict):
        raise Damaged(f"{where} is damaged: its manifest is no mapping")
    return data


def sync(folder: Path) -> None:
    """Bring what a folder lists to the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
