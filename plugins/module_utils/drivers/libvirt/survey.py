"""What a libvirt host has beside its VMs: its capacity, that of its storage pools, and disks that no VM uses."""

from __future__ import annotations

import contextlib
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ...model.vm import VM
from ..driver import HostCapacity, LooseDisk, PoolCapacity, Survey
from . import domain as xml
from .connection import code_is, libvirt, told

_FORMATS = {"qcow2", "raw", "qed", "vmdk", "vdi", "vpc"}
_LEAST = 1 << 20  # a raw "volume" may be any file; what is smaller than the smallest disk is none
_WORKING = ".backup"  # what a backup that runs right now copies its disk into


def take(connection: Any, site: str, hostname: str, pools: Iterable[str], vms: Sequence[VM]) -> Survey:
    """Survey the host. `pools` are the names of those that Muster uses there; none of them is started for it."""
    with told(site, None, "survey the host and its storage pools"):
        # Volumes first: a VM is defined before its disks are made, so none that is being made looks unused.
        found, whole = _pools(connection, pools)
        volumes = [(pool, volume) for pool in found for volume in pool.listAllVolumes()]
        used = _used(connection)
        node = connection.getInfo()
        return Survey(
            hosts=(HostCapacity(hostname, cpus=int(node[2]), memory=int(node[1]) << 20),),
            pools=tuple(_capacity(pool, vms) for pool in found),
            placed={str(vm.uuid): hostname for vm in vms},
            loose=tuple(_loose(volumes, used)) if whole else None,
            notes=(f"Not seen at site '{site}': backups. libvirt does not know of them; a VM counts as backed up where "
                   "Muster did it.",),
        )


def _pools(connection: Any, names: Iterable[str]) -> tuple[list[Any], bool]:
    """The pools that run, and whether that is all of them."""
    found, whole = [], True
    for name in dict.fromkeys(names):
        try:
            pool = connection.storagePoolLookupByName(name)
        except libvirt.libvirtError as error:
            if not code_is(error, "VIR_ERR_NO_STORAGE_POOL"):
                raise
            continue  # proven not to be there: it holds nothing
        if pool.isActive():
            found.append(pool)
        else:
            whole = False
    return found, whole


def _capacity(pool: Any, vms: Sequence[VM]) -> PoolCapacity:
    _state, size, _allocated, free = pool.info()
    folder = (xml.parse(pool.XMLDesc(0)).findtext("target/path") or "\n").rstrip("/") + "/"
    promised = 0
    for vm in vms:
        for disk in vm["disks"] or ():
            path = str(vm.state.get("disks", {}).get(disk["name"], {}).get("path") or "")
            if path.startswith(folder):
                promised += int(disk.get("size") or 0)
    return PoolCapacity(pool.name(), int(size), int(free), promised)


def _used(connection: Any) -> set[str]:
    """Every file that a VM's configuration names, running or stopped: the name alone, without its folder, so that a
    disk that is reached by another path never looks unused."""
    used: set[str] = set()
    for domain in connection.listAllDomains():
        try:
            for flags in (0, libvirt.VIR_DOMAIN_XML_INACTIVE):
                used.update(file.rpartition("/")[2] for file in _files(xml.parse(domain.XMLDesc(flags))))
        except libvirt.libvirtError as error:
            if not code_is(error, "VIR_ERR_NO_DOMAIN"):  # gone since the listing
                raise
    return used


def _files(root: ET.Element) -> Iterator[str]:
    """The files of a domain: sources of its devices and of what they build upon, firmware and kernel."""
    for node in root.iter():
        if node.tag in ("source", "backingStore", "mirror"):
            yield from (node.get(key, "") for key in ("file", "dev", "dir", "volume"))
        elif node.tag in ("nvram", "loader", "kernel", "initrd"):
            yield node.text or ""


def _loose(volumes: Sequence[tuple[Any, Any]], used: set[str]) -> Iterator[LooseDisk]:
    """The disks among `volumes` that neither a VM nor another volume uses. One that goes meanwhile is left out."""
    if all(volume.name() in used for _pool, volume in volumes):
        return
    read = []
    for pool, volume in volumes:
        with contextlib.suppress(libvirt.libvirtError):
            read.append((pool.name(), volume.name(), xml.parse(volume.XMLDesc(0))))
    used = used | {(root.findtext("backingStore/path") or "").rpartition("/")[2] for _pool, _name, root in read}
    for pool, name, root in read:
        size, kind = int(root.findtext("capacity") or 0), root.find("target/format")
        if name in used or name.endswith(_WORKING) or size < _LEAST:
            continue
        if kind is None or kind.get("type") in _FORMATS:
            yield LooseDisk(name, pool, size)
