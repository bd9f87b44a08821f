"""Stream-optimised VMDKs, the form in which vCenter hands disks out and takes them in ("Virtual Disk Format 5.0").

What comes in is looked at before qemu-img opens it: a VMDK can name other files of the host as its data or its parent.
What goes out is packed by qemu-img and given the tables and the end that ESXi reads, which qemu-img leaves out.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import struct
import subprocess
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from .. import qcow2
from ..driver import BackupDisk, Failed

_SECTOR = 512
_MAGIC = b"KDMV"
# magic, version, flags, capacity, grain size, descriptor (place, size), entries of a table, redundant directory,
# directory, overhead, unclean, line ends, compression
_HEADER = struct.Struct("<4sIIQQQQIQQQB4sH")
_MARKER = struct.Struct("<QI")
_FLAGS = 1 << 16 | 1 << 17  # compressed grains, with markers
_AT_END = (1 << 64) - 1
_DESCRIPTOR = 20  # sectors, from the first on
_OVERHEAD = 128  # sectors before the first grain
_GRAIN = 128  # sectors
_ENTRIES = 512  # grains of a table
_TABLE, _DIRECTORY, _FOOTER = 1, 2, 3  # kinds of markers
_PATIENCE = 4 * 3600  # seconds for qemu-img, with a large disk


def largest(size: int) -> int:
    """Bytes that the stream of a disk of `size` bytes can have at most: each grain packed badly, and all tables."""
    return size + size // 64 + (1 << 20)


def check(path: Path, size: int, whole: bool) -> str:
    """Why a file cannot be the stream of a disk of `size` bytes; empty where it can. `whole`: it must show its own end,
    for nobody else says how long it is."""
    with path.open("rb") as file:
        head = file.read(_HEADER.size)
        file.seek(_SECTOR)
        descriptor = file.read(_DESCRIPTOR * _SECTOR)
        length = file.seek(0, os.SEEK_END)
        file.seek(max(0, length - 2 * _SECTOR))
        tail = file.read()
    if len(head) < _HEADER.size or not head.startswith(_MAGIC):
        return "it is no VMDK"
    flags, capacity, directory = (_HEADER.unpack(head)[n] for n in (2, 3, 9))
    if flags & _FLAGS != _FLAGS:
        return "it is not stream-optimised"
    if capacity * _SECTOR != size:  # 0 would have the text beside it name files
        return f"it is of a disk of {capacity * _SECTOR} bytes, and the VM's has {size}"
    if b"parentFileNameHint" in descriptor:
        return "it needs another file"
    if directory == _AT_END:
        end = len(tail) == 2 * _SECTOR and tail.startswith(_MAGIC) and not any(tail[_SECTOR:])
        return "" if end and length % _SECTOR == 0 else "its end is missing"
    return "it does not show its end" if whole else ""


def to_qcow2(source: Path, name: str, target: Path, size: int, site: str, vm: str) -> BackupDisk:
    """The qcow2 image of a stream that `check` let through. Raises Failed with qemu-img's words."""
    file = {"driver": "file", "filename": str(source)}
    alone = "json:" + json.dumps({"driver": "vmdk", "backing": None, "file": file})
    _qemu_img(["convert", "-O", "qcow2", alone, str(target)], f"read the disk '{name}' that vCenter sent", site, vm)
    if qcow2.virtual_size(target) != size:
        raise Failed(
            f"the disk '{name}' has {size} bytes and came as {qcow2.virtual_size(target)}", site=site, vm=vm,
            todo="Run again; if it stays, look at the VM's disks in vCenter",
        )
    with target.open("rb") as image:
        digest = hashlib.file_digest(image, "sha256").hexdigest()
        os.fsync(image.fileno())
    return BackupDisk(name, target, size, digest, target.stat().st_size)


def _qemu_img(argv: Sequence[str], doing: str, site: str, vm: str) -> None:
    try:
        result = subprocess.run(["qemu-img", *argv], capture_output=True, timeout=_PATIENCE, check=False)
        words = " ".join(result.stderr.decode("utf-8", "replace").split())[:300] if result.returncode else ""
    except FileNotFoundError:
        words = "qemu-img is not installed on the controller"
    except subprocess.TimeoutExpired:
        words = f"qemu-img did not end within {_PATIENCE} s"
    if words:
        raise Failed(f"unable to {doing}: {words}", site=site, vm=vm, todo="Free space or mend that, then run again")


class Stream:
    """A qcow2 image as the stream that ESXi reads. Iterated it gives the bytes, `length` says how many.

    `folder` holds the packed grains until the stream is closed: at most a little more than the image itself.
    """

    def __init__(self, image: Path, folder: Path, name: str, site: str, vm: str) -> None:
        self.capacity = qcow2.virtual_size(image)
        self._packed = folder / f"{name}.vmdk"
        doing = f"pack the disk '{name}' in {folder} (TMPDIR names another folder)"
        argv = ["convert", "-f", "qcow2", "-O", "vmdk", "-o", "subformat=streamOptimized"]
        _qemu_img([*argv, str(image), str(self._packed)], doing, site, vm)
        self.length = sum(len(block) for block in self._blocks(content=False))

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks(content=True)

    def close(self) -> None:
        """Delete what was packed."""
        self._packed.unlink(missing_ok=True)

    def _blocks(self, content: bool) -> Iterator[bytes]:
        """The stream, block by block; without `content` each grain is as long, and empty."""
        sectors = -(-self.capacity // _SECTOR)
        yield _padded(self._head(_AT_END)) + _padded(_descriptor(sectors), _OVERHEAD - 1)
        at = _OVERHEAD
        directory = [0] * -(-sectors // (_GRAIN * _ENTRIES))
        table, number = [0] * _ENTRIES, 0
        with self._packed.open("rb") as file:
            for place, block in itertools.chain(_grains(file, content, sectors), [(-1, b"")]):
                if place // (_GRAIN * _ENTRIES) != number:  # the grains of a table come before it
                    directory[number], ended = _table(table, at)
                    yield ended
                    at += len(ended) // _SECTOR
                    table, number = [0] * _ENTRIES, place // (_GRAIN * _ENTRIES)
                if block:
                    table[place // _GRAIN % _ENTRIES] = at
                    yield block
                    at += len(block) // _SECTOR
        listed = _padded(struct.pack(f"<{len(directory)}I", *directory))
        yield _metadata(_DIRECTORY, listed) + _metadata(_FOOTER, _padded(self._head(at + 1))) + bytes(_SECTOR)

    def _head(self, directory: int) -> bytes:
        return _HEADER.pack(
            _MAGIC, 3, _FLAGS | 1, -(-self.capacity // _SECTOR), _GRAIN, 1, _DESCRIPTOR, _ENTRIES, 0, directory,
            _OVERHEAD, 0, b"\n \r\n", 1,
        )  # fmt: skip


def _grains(file: BinaryIO, content: bool, sectors: int) -> Iterator[tuple[int, bytes]]:
    """The grains that qemu-img wrote, in order: the place in the disk in sectors, and marker and data, padded. The last
    one of a disk of `sectors` is made whole: qemu-img cuts it where the disk ends."""
    head = _HEADER.unpack(file.read(_HEADER.size))
    file.seek(head[10] * _SECTOR)
    while len(start := file.read(_MARKER.size)) == _MARKER.size:
        place, size = _MARKER.unpack(start)
        length = -(-(_MARKER.size + size) // _SECTOR) * _SECTOR
        if not size:
            return
        if place + _GRAIN > sectors:
            data = zlib.compress(zlib.decompress(file.read(size)).ljust(_GRAIN * _SECTOR, b"\0"))
            yield place, _padded(_MARKER.pack(place, len(data)) + data)
            file.seek(length - _MARKER.size - size, os.SEEK_CUR)
        elif content:
            yield place, (start + file.read(size)).ljust(length, b"\0")
            file.seek(length - _MARKER.size - size, os.SEEK_CUR)
        else:
            yield place, bytes(length)
            file.seek(length - _MARKER.size, os.SEEK_CUR)


def _table(table: Sequence[int], at: int) -> tuple[int, bytes]:
    """Place and bytes of a table whose marker is at sector `at`; of an empty one nothing."""
    if not any(table):
        return 0, b""
    return at + 1, _metadata(_TABLE, struct.pack(f"<{_ENTRIES}I", *table))


def _metadata(kind: int, content: bytes) -> bytes:
    return _padded(_MARKER.pack(len(content) // _SECTOR, 0) + struct.pack("<I", kind)) + content


def _padded(data: bytes, sectors: int = 0) -> bytes:
    return data.ljust(max(sectors, -(-len(data) // _SECTOR)) * _SECTOR, b"\0")


def _descriptor(sectors: int) -> bytes:
    cylinders = min(65535, max(1, sectors // (255 * 63)))
    lines = [
        "# Disk DescriptorFile", "version=1", "CID=fffffffe", "parentCID=ffffffff", 'createType="streamOptimized"', "",
        "# Extent description", f'RDONLY {sectors} SPARSE "disk.vmdk"', "", "# The Disk Data Base", "#DDB", "",
        'ddb.virtualHWVersion = "4"', 'ddb.adapterType = "lsilogic"', f'ddb.geometry.cylinders = "{cylinders}"',
        'ddb.geometry.heads = "255"', 'ddb.geometry.sectors = "63"', "",
    ]  # fmt: skip
    return "\n".join(lines).encode("ascii")
