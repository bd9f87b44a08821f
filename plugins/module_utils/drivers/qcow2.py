"""qcow2 files on the controller: looked at with their format named, refused unless they stand alone, joined."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..model.units import format_size
from .driver import BackupDisk, Conflict, Failed


def check_image(path: Path, site: str, vm: str) -> None:
    """Refuse a file that is not a qcow2 image standing alone: a backing or data file reads any file of the host."""
    info = _info(path)
    if info is None:
        raise Conflict(
            f"{path} is not a complete qcow2 image; nothing was made",
            site=site,
            vm=vm,
            todo="Build or fetch the image again (make image)",
        )
    for key, what in (("backing-filename", "backing file"), ("full-backing-filename", "backing file")):
        if info.get(key):
            raise Conflict(
                f"{path} has the {what} '{info[key]!s:.80}' and was refused: an image must stand alone",
                site=site,
                vm=vm,
                todo="Flatten it with qemu-img convert on a machine that trusts it",
            )
    data = (info.get("format-specific") or {}).get("data") or {}
    if data.get("data-file"):
        raise Conflict(
            f"{path} has the data file '{data['data-file']!s:.80}' and was refused: an image must stand alone",
            site=site,
            vm=vm,
            todo="Flatten it with qemu-img convert on a machine that trusts it",
        )
    if not _complete(path):
        raise Conflict(
            f"{path} is not a complete qcow2 image: its end is missing or its tables are broken; nothing was made",
            site=site,
            vm=vm,
            todo="Build or fetch the image again (make image)",
        )
    if int(info.get("virtual-size") or 0) > 64 << 40:
        raise Conflict(
            f"{path} claims a size of {format_size(int(info['virtual-size']))} and was refused",
            site=site,
            vm=vm,
            todo="Use an image of at most 64 TiB",
        )


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
