"""qcow2 files on the controller: looked at with their format named, refused unless they stand alone, joined."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..model.units import format_size
from .driver import BackupDisk, Conflict, Failed

_MAGIC = b"QFI\xfb"
_HEADER = struct.Struct(">4sIQIIQI")  # magic, version, backing file (offset, length), cluster bits, size, encryption
_FEATURES = struct.Struct(">Q")
_FEATURES_AT = 72
_LARGEST = 64 << 40
# Features that a reader must know, of version 3: left dirty, compressed otherwise, large tables. What is not among them
# is a corrupt image, one whose data lies in another file, or one of a QEMU to come.
_HARMLESS = 1 << 0 | 1 << 3 | 1 << 4
_DATA_FILE = 1 << 2


def check_image(path: Path, site: str, vm: str) -> None:
    """Refuse a file that is not a qcow2 image standing alone: a backing or data file reads any file of the host.

    The header is read first, by us: QEMU's tools open what a header names before they say so.
    """

    def refused(why: str, todo: str = "Build or fetch the image again (make image)") -> Conflict:
        return Conflict(f"{path} {why}", site=site, vm=vm, todo=todo)

    alone = "and was refused: an image must stand alone"
    flatten = "Flatten it with qemu-img convert on a machine that trusts it"
    broken = "is not a complete qcow2 image"
    header = _header(path)
    if header is None:
        raise refused(f"{broken}; nothing was made")
    version, backing, length, size, encryption, features, named = header
    if backing or length:
        raise refused(f"has the backing file '{named}' {alone}", flatten)
    if features & _DATA_FILE:
        raise refused(f"has a data file {alone}", flatten)
    if encryption:
        raise refused("is encrypted and was refused: nobody here has its key", "Decrypt it with qemu-img convert")
    if version not in (2, 3) or features & ~_HARMLESS:
        raise refused(f"{broken}: it says that it is corrupt, or of a version that is not known; nothing was made")
    if size > _LARGEST:
        raise refused(f"claims a size of {format_size(size)} and was refused", "Use an image of at most 64 TiB")
    info = _info(path)
    if info is None:
        raise refused(f"{broken}; nothing was made")
    data = (info.get("format-specific") or {}).get("data") or {}
    if any(info.get(key) for key in ("backing-filename", "full-backing-filename")) or data.get("data-file"):
        raise refused(f"names another file {alone}", flatten)
    if not _complete(path):
        raise refused(f"{broken}: its end is missing or its tables are broken; nothing was made")


def _header(path: Path) -> tuple[int, int, int, int, int, int, str] | None:
    """(version, offset and length of the backing file's name, virtual size, encryption, features, that name) of a
    qcow2 file; None where it is none. A pipe or a device is not waited for."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return None
            head = file.read(_FEATURES_AT + _FEATURES.size)
            magic, version, backing, length, _bits, size, encryption = _HEADER.unpack_from(head)
            features = _FEATURES.unpack_from(head, _FEATURES_AT)[0] if version > 2 else 0
            if magic != _MAGIC:
                return None
            file.seek(min(backing, 1 << 30))
            named = file.read(min(length, 1023)) if backing else b""
    except (OSError, struct.error):
        return None
    shown = "".join(one if one.isprintable() else "?" for one in named.decode("utf-8", "replace"))
    return version, backing, length, size, encryption, features, shown[:80]


def _info(path: Path) -> dict[str, Any] | None:
    """What qemu-img says of a qcow2 file; None where it is none. The format is named, and no chain is followed."""
    try:
        result = subprocess.run(
            ["qemu-img", "info", "--output=json", "-f", "qcow2", str(path)],
            capture_output=True,
            timeout=60,
            check=False,
        )
        data = json.loads(result.stdout) if result.returncode == 0 else None
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return data if isinstance(data, dict) else None


def _complete(path: Path) -> bool:
    """Whether the tables of a qcow2 file that stands alone hold together: QEMU reads zeros where its end is missing.
    Clusters that nobody uses (exit code 3) do no harm."""
    argv = ["qemu-img", "check", "-U", "-f", "qcow2", str(path)]
    try:
        result = subprocess.run(argv, capture_output=True, timeout=600, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode in (0, 3)


def is_blank(path: Path, site: str, vm: str) -> bool:
    """Whether an image stands alone, has no snapshot, and not one cluster of data: nobody has ever written to it."""
    try:
        check_image(path, site, vm)
        argv = ["qemu-img", "map", "--output=json", "-f", "qcow2", str(path)]
        result = subprocess.run(argv, capture_output=True, timeout=60, check=False)
        parts = json.loads(result.stdout) if result.returncode == 0 else None
        told = _info(path)
    except (Conflict, OSError, ValueError, subprocess.TimeoutExpired):
        return False
    if not isinstance(parts, list) or not parts or told is None or told.get("snapshots"):
        return False
    return all(part.get("data") is False and part.get("present", True) is False for part in parts)


def virtual_size(path: Path) -> int:
    """Virtual size in bytes of a qcow2 file that `check_image` let through."""
    return int((_info(path) or {}).get("virtual-size") or 0)


def orphaned(disk: BackupDisk, site: str, vm: str) -> BackupDisk:
    """`disk` without the backing file that its header names; what it holds stays, and its hash is taken anew."""
    result = subprocess.run(
        ["qemu-img", "rebase", "-u", "-f", "qcow2", "-b", "", str(disk.path)],
        capture_output=True,
        timeout=60,
        check=False,
    )
    if result.returncode != 0:
        words = " ".join(result.stderr.decode("utf-8", "replace").split())[:300]
        raise Failed(
            f"unable to seal the backup of the disk '{disk.name}': {words}", site=site, vm=vm, todo="Run again"
        )
    with disk.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    return replace(disk, sha256=digest, bytes=disk.path.stat().st_size)


def flatten(chain: Sequence[Path], target: Path, site: str, vm: str) -> None:
    """One image of a chain of backups, oldest first. Formats and files are named one by one: no header is believed.

    Raises Failed with qemu-img's words.
    """
    options = []
    for depth, path in enumerate(reversed(chain)):
        prefix = "backing." * depth
        options += [
            f"{prefix}driver=qcow2",
            f"{prefix}file.driver=file",
            f"{prefix}file.filename={str(path).replace(',', ',,')}",
        ]
    result = subprocess.run(
        ["qemu-img", "convert", "--image-opts", ",".join(options), "-O", "qcow2", str(target)],
        capture_output=True,
        timeout=3600,
        check=False,
    )
    if result.returncode != 0:
        words = " ".join(result.stderr.decode("utf-8", "replace").split())[:300]
        raise Failed(f"unable to join its restore points: {words}", site=site, vm=vm, todo="Free space, then run again")
