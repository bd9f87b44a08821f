"""Volumes of a storage pool: made, filled from the controller, brought home, deleted.

All goes through libvirt's streams, so that a remote site works as a local one and no path of the host need be
readable by the user that runs Muster.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import threading
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from ...model.units import format_size
from .. import qcow2
from ..driver import Conflict, Failed, Progress
from .connection import code_is, libvirt, told

_CHUNK = 1 << 20
_STEP = 64 << 20
_TAIL = 4096  # bytes of an upload that are read back
_BLANK = 16 << 20  # bytes that the tables of an empty volume take at most
_PATIENCE = 120.0  # seconds for another volume of the pool to be finished


class Volumes:
    """The storage pools of one site."""

    def __init__(self, connection: Any, site: str, default_pool: str) -> None:
        self.connection, self.site, self.default_pool = connection, site, default_pool
        self._creating = threading.Lock()  # between looking whether a name is free and taking it

    def refresh(self, pool: Any) -> None:
        """Have libvirt look at the pool's files again; while it works on a volume it refuses, for a moment."""
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                pool.refresh()
                return
            except libvirt.libvirtError as error:
                if "asynchronous jobs" not in str(error) or time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def pool(self, name: str | None) -> Any:
        """The pool `name` (the site's default if None), running. Raises NotFound with what to do."""
        name = name or self.default_pool
        with told(self.site, None, f"open the storage pool '{name}'"):
            pool = self.connection.storagePoolLookupByName(name)
            if not pool.isActive():
                pool.create()
            return pool

    def create(self, pool: str | None, name: str, capacity: int, vm: str, format_: str = "qcow2") -> Any:
        """A new volume. One of the same name is in the way: Conflict, as it may hold somebody's data."""
        owner = self.pool(pool)
        root = ET.Element("volume")
        ET.SubElement(root, "name").text = name
        ET.SubElement(root, "capacity", unit="bytes").text = str(capacity)
        ET.SubElement(root, "allocation", unit="bytes").text = "0"
        target = ET.SubElement(root, "target")
        ET.SubElement(target, "format", type=format_)
        if format_ == "qcow2":
            ET.SubElement(target, "compat").text = "1.1"  # version 3: bitmaps and lazy refcounts need it
        with self._creating, told(self.site, vm, f"create the volume '{name}' in the pool '{owner.name()}'"):
            self.refresh(owner)
            available = owner.info()[3]
            try:
                return owner.createXML(ET.tostring(root, encoding="unicode"))
            except libvirt.libvirtError as error:
                if code_is(error, "VIR_ERR_STORAGE_VOL_EXIST"):
                    raise self._in_the_way(owner.name(), name, vm) from error
                if available < 64 << 20:
                    raise Failed(
                        f"the pool '{owner.name()}' has only {format_size(available)} left",
                        site=self.site,
                        vm=vm,
                        todo="Free space, then run again",
                    ) from error
                raise

    def absent(self, pool: str | None, name: str, vm: str) -> None:
        """Raise Conflict where there is a volume of this name."""
        if self.find(pool, name) is not None:
            raise self._in_the_way(pool or self.default_pool, name, vm)

    def _in_the_way(self, pool: str, name: str, vm: str) -> Conflict:
        return Conflict(
            f"the volume '{name}' exists already in the pool '{pool}' though no VM uses it; "
            "it may hold data, so nothing was changed",
            site=self.site,
            vm=vm,
            todo=f"Look at it, then remove it (virsh vol-delete --pool {pool} {name}) or give the VM another name",
        )

    def find(self, pool: str | None, name: str) -> Any | None:
        """The volume, or None where it is proven not to be there."""
        owner = self.pool(pool)
        with told(self.site, None, f"look for the volume '{name}'"):
            self.refresh(owner)
            try:
                return owner.storageVolLookupByName(name)
            except libvirt.libvirtError as error:
                if code_is(error, "VIR_ERR_NO_STORAGE_VOL"):
                    return None
                raise

    def at(self, path: str) -> Any | None:
        """The volume of a path on the host; None where no pool holds it: then it is not Muster's to touch."""
        with told(self.site, None, f"look for the volume at '{path}'"):
            try:
                return self.connection.storageVolLookupByPath(path)
            except libvirt.libvirtError as error:
                if code_is(error, "VIR_ERR_NO_STORAGE_VOL"):
                    return None
                raise

    def clear(self, pool: str | None, name: str, vm: str, progress: Progress) -> None:
        """Delete the volume `name` where it is surely what a run that was killed left: no VM uses it, and it is proven
        to hold nothing. Another one stays; making ours then says that it is in the way."""
        volume = self.find(pool, name)
        if volume is None or not self._loose(volume, vm) or not self._blank(volume, vm, progress):
            return
        progress(f"{vm}: the empty volume {name} of an interrupted run is made again")
        self.delete(volume, vm)

    def _loose(self, volume: Any, vm: str) -> bool:
        """Whether no VM of the host has the volume among its disks, or below one of them."""
        with told(self.site, vm, f"look who uses the volume '{volume.name()}'"):
            path = volume.path()
            texts = [domain.XMLDesc(0) for domain in self.connection.listAllDomains()]
        return not any(path in text or volume.name() in text for text in texts)

    def _blank(self, volume: Any, vm: str, progress: Progress) -> bool:
        """Whether a volume is a qcow2 file that stands alone and has no cluster of data, as one just made has none."""
        if volume.info()[2] > _BLANK or self.connection.getType() == "Test":
            return False
        with tempfile.TemporaryDirectory(prefix="muster-blank-") as folder:
            copy = Path(folder) / "volume"
            self.download(volume, copy, vm, progress)
            return qcow2.is_blank(copy, self.site, vm)

    def upload(self, volume: Any, source: Path, vm: str, progress: Progress) -> None:
        """Fill `volume` with the bytes of `source`. Raises Failed; the caller removes what is half made."""
        size = source.stat().st_size
        pool = volume.storagePoolLookupByVolume()
        with told(self.site, vm, f"upload {source.name} into the volume '{volume.name()}'"), source.open("rb") as file:
            available = pool.info()[3]
            if available < size:
                raise Failed(
                    f"{source.name} needs {format_size(size)}, and the pool '{pool.name()}' has only "
                    f"{format_size(available)} left",
                    site=self.site,
                    vm=vm,
                    todo="Free space or name another pool, then run again",
                )
            stream = self.connection.newStream()
            try:
                volume.upload(stream, 0, size)
                done = told_at = end = 0
                tail = b""  # the last bytes that are not zero
                while chunk := file.read(_CHUNK):
                    if said := chunk.rstrip(b"\0"):
                        end, tail = done + len(said), said[-_TAIL:]
                    while chunk:
                        sent = stream.send(chunk)
                        chunk = chunk[sent:]
                        done += sent
                    if done >= told_at + _STEP:
                        told_at = done
                        progress(f"{vm}: uploading {source.name}, {done >> 20} of {size >> 20} MiB")
                stream.finish()
            except BaseException:
                with contextlib.suppress(libvirt.libvirtError):
                    stream.abort()
                raise
            # An upload is written in order: where its last bytes are there, all of it is. libvirt now and then loses
            # the error of a write for which there was no space.
            if volume.infoFlags(libvirt.VIR_STORAGE_VOL_GET_PHYSICAL)[2] < size or self._part(
                    volume, end - len(tail), len(tail)) != tail:
                raise Failed(
                    f"libvirt reported the upload of {source.name} into the volume '{volume.name()}' as done, yet it "
                    "is not all there",
                    site=self.site,
                    vm=vm,
                    todo=f"Free space in the storage pool '{pool.name()}', or look at its disks, then run again",
                )

    def _part(self, volume: Any, start: int, length: int) -> bytes:
        """`length` bytes of `volume`."""
        found = b""
        if length:
            stream = self.connection.newStream()
            try:
                volume.download(stream, start, length)
                while more := stream.recv(length):
                    found += more
                stream.finish()
            except BaseException:
                with contextlib.suppress(libvirt.libvirtError):
                    stream.abort()
                raise
        return found

    def download(self, volume: Any, target: Path, vm: str, progress: Progress) -> tuple[str, int]:
        """Bring `volume` home into `target`, fsynced. Returns (SHA-256, bytes) of what was received."""
        digest, total, told_at = hashlib.sha256(), 0, 0
        with told(self.site, vm, f"download the volume '{volume.name()}'"), target.open("wb") as file:
            stream = self.connection.newStream()
            try:
                volume.download(stream, 0, 0)
                while chunk := stream.recv(_CHUNK):
                    file.write(chunk)
                    digest.update(chunk)
                    total += len(chunk)
                    if total >= told_at + _STEP:
                        told_at = total
                        progress(f"{vm}: downloading {volume.name()}, {total >> 20} MiB")
                stream.finish()
            except BaseException:
                with contextlib.suppress(libvirt.libvirtError):
                    stream.abort()
                raise
            file.flush()
            os.fsync(file.fileno())
        return digest.hexdigest(), total

    def delete(self, volume: Any | None, vm: str) -> None:
        """Delete `volume`; one that is gone already is fine."""
        if volume is None:
            return
        with told(self.site, vm, "delete a volume"):
            try:
                volume.delete()
            except libvirt.libvirtError as error:
                if not code_is(error, "VIR_ERR_NO_STORAGE_VOL"):
                    raise
