"""Making a domain with its volumes, and taking it down again.

The order is what makes it safe to be killed at any moment. The domain is defined first, marked as not built; then its
disks are made; then it is marked as built. What is not marked as built nobody has ever booted, so a retry may throw it
away. Taking down goes the other way round: unmark, delete the disks, undefine last.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...model.units import format_size
from ...model.vm import VM, Mark
from .. import qcow2
from ..driver import Conflict, Progress, Unsupported, silent
from ..guest_key import public_key
from . import domain as xml
from . import mark as marks
from . import seed as seeds
from .connection import libvirt, told

if TYPE_CHECKING:
    from .driver import LibvirtDriver

_MARKED = ("image", "profile", "cpu_pinning", "tags", "protection", "schedule", "health", "host")


def volume_name(vm: str, uuid: str, disk: str) -> str:
    """The volume of a VM's disk: the name for people, a part of the UUID so that twins by name never share one."""
    return f"{vm}.{disk}.{uuid[:8]}.qcow2"


def mark_fields(desired: VM) -> dict[str, Any]:
    """The fields that the mark keeps because no hardware holds them."""
    fields = {key: desired[key] for key in _MARKED if desired[key] is not None}
    for key in ("nics", "disks"):
        if desired[key] is not None:
            fields[key] = desired[key]
    return json.loads(json.dumps(fields))  # type: ignore[no-any-return]


def known_ports(written: marks.Written) -> dict[str, dict[int, int]]:
    """The loopback ports that the VM had before; JSON has made text of their numbers."""
    return {
        nic: {int(guest): int(host) for guest, host in rules.items()}
        for nic, rules in (written.fields.get("ports") or {}).items()
    }


def write_mark(domain: Any, written: marks.Written) -> None:
    """Write the mark into the configuration, and into the running domain."""
    flags = libvirt.VIR_DOMAIN_AFFECT_CONFIG
    if domain.isActive():
        flags |= libvirt.VIR_DOMAIN_AFFECT_LIVE
    node = ET.Element("vm")
    node.text = marks.element(written).text
    domain.setMetadata(
        libvirt.VIR_DOMAIN_METADATA_ELEMENT, ET.tostring(node, encoding="unicode"), marks.PREFIX, marks.NAMESPACE, flags
    )


def make(
    driver: LibvirtDriver,
    desired: VM,
    uuid: str,
    mark: Mark,
    contents: Mapping[str, Path],
    *,
    seed: str,
    isolation: xml.Isolation | None,
    progress: Progress,
) -> VM:
    """Define the VM, make its disks (from `contents` where given, else empty), and mark it as built; powered off."""
    name, volumes = desired.name, driver.volumes
    written = marks.Written(mark, mark_fields(desired), built=False, ready=not contents, seed=seed)
    sources = []
    for disk in desired["disks"] or ():
        if disk.get("name") in contents:
            _check_content(contents[disk["name"]], disk, driver.site, name)
        pool = volumes.pool(driver.pool_of(disk))
        file = volume_name(name, uuid, disk["name"])
        # Asked before the VM is defined: from then on, all that bears its names is known to be its own.
        volumes.absent(driver.pool_of(disk), file, name)
        sources.append(xml.DiskSource(disk["name"], _path(pool, file), disk))
    iso = f"{name}.seed.{uuid[:8]}.iso"
    with_seed = bool(seed) and driver.type != "test"
    text = xml.build(
        desired,
        uuid,
        written,
        sources,
        accelerator=driver.accelerator,
        isolation=isolation,
        seed=_path(volumes.pool(None), iso) if with_seed else None,
    )
    with told(driver.site, name, "define the VM"):
        domain = driver.connection.defineXML(text)
    made: list[Any] = []
    try:
        for disk, source in zip(desired["disks"] or (), sources, strict=True):
            content = contents.get(disk["name"])
            size = max(disk["size"], qcow2.virtual_size(content) if content else 0)
            progress(f"{name}: making the disk '{disk['name']}' of {format_size(size)}")
            volume = volumes.create(driver.pool_of(disk), source.path.rpartition("/")[2], size, name)
            made.append(volume)
            if content:
                volumes.upload(volume, content, name, progress)
                if disk["size"] > qcow2.virtual_size(content):
                    with told(driver.site, name, f"grow the disk '{disk['name']}'"):
                        volume.resize(disk["size"])
        if with_seed:
            _make_seed(driver, desired, iso, seed, progress)
        with told(driver.site, name, "mark the VM as built"):
            write_mark(domain, replace(written, built=True))
    except BaseException:
        with contextlib.suppress(Exception):  # the first error is the one to tell; a retry cleans up what stays
            for volume in made:
                volumes.delete(volume, name)
            if with_seed:
                volumes.delete(volumes.find(None, iso), name)
            domain.undefine()
        raise
    return driver.reread(domain)


def _check_content(content: Path, disk: Mapping[str, Any], site: str, vm: str) -> None:
    """Refuse an image that cannot be the content of `disk`."""
    qcow2.check_image(content, site, vm)
    size = qcow2.virtual_size(content)
    if size > disk["size"]:
        raise Conflict(
            f"{content} has {format_size(size)} and does not fit into the disk '{disk['name']}' of "
            f"{format_size(disk['size'])}; nothing was made",
            site=site,
            vm=vm,
            todo=f"Give the disk at least {format_size(size)}",
        )


def _path(pool: Any, name: str) -> str:
    return f"{xml.parse(pool.XMLDesc(0)).findtext('target/path')}/{name}"


def _make_seed(driver: LibvirtDriver, desired: VM, iso: str, instance: str, progress: Progress) -> None:
    ssh = driver.access.options.get("ssh") or {}
    key = public_key(ssh, driver.site, desired.name) if ssh.get("key") else None
    hostname = str(desired.state.get("hostname") or desired.name)
    data = seeds.build(instance, hostname, str(ssh.get("user") or "muster"), key)
    with tempfile.NamedTemporaryFile(suffix=".iso") as file:
        file.write(data)
        file.flush()
        driver.volumes.delete(driver.volumes.find(None, iso), desired.name)  # it holds nothing that is not made anew
        volume = driver.volumes.create(None, iso, len(data), desired.name, format_="raw")
        driver.volumes.upload(volume, Path(file.name), desired.name, progress)


def demolish(driver: LibvirtDriver, domain: Any) -> None:
    """Stop the domain, delete the volumes that are its own, and undefine it last."""
    name, uuid = domain.name(), domain.UUIDString()
    with told(driver.site, name, "delete the VM"):
        root = xml.parse(domain.XMLDesc(0))
        written = marks.read(root)
        if domain.isActive():
            domain.destroy()
        if written is not None and written.built:
            write_mark(domain, replace(written, built=False))
        own = f".{uuid[:8]}."
        for node in root.findall("devices/disk/source"):
            path = node.get("file") or ""
            base = path.rpartition("/")[2]
            if own in base and base.endswith((".qcow2", ".iso")):
                volume = driver.volumes.at(path)
                if volume is None:
                    volume = driver.volumes.find(None, base)
                driver.volumes.delete(volume, name)
        flags = 0
        for flag in ("MANAGED_SAVE", "SNAPSHOTS_METADATA", "CHECKPOINTS_METADATA", "NVRAM"):
            flags |= getattr(libvirt, f"VIR_DOMAIN_UNDEFINE_{flag}")
        if driver.type == "test":
            flags = libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
        domain.undefineFlags(flags)


def add_disk(
    driver: LibvirtDriver, domain: Any, desired: VM, disk: Mapping[str, Any], live: bool, progress: Progress = silent
) -> None:
    """Make a volume and attach it. A volume that cannot be attached is deleted again: nobody has written to it.

    A run that is killed between the two leaves an empty volume; the next one knows it by that and makes it again.
    """
    name = desired.name
    with told(driver.site, name, f"attach the disk '{disk['name']}'"):
        root = xml.parse(domain.XMLDesc(0))
        taken = {node.get("dev") for node in root.findall("devices/disk/target")}
        target = next(dev for letter in "bcdefghijklmnopqrstuvwxy" if (dev := f"vd{letter}") not in taken)
        pool = driver.volumes.pool(driver.pool_of(disk))
        file = volume_name(name, domain.UUIDString(), disk["name"])
        driver.volumes.clear(driver.pool_of(disk), file, name, progress)
        volume = driver.volumes.create(driver.pool_of(disk), file, disk["size"], name)
        node = xml.disk_element(xml.DiskSource(disk["name"], _path(pool, file), disk), target)
        try:
            if live:
                both = libvirt.VIR_DOMAIN_AFFECT_CONFIG | libvirt.VIR_DOMAIN_AFFECT_LIVE
                domain.attachDeviceFlags(ET.tostring(node, encoding="unicode"), both)
            else:
                root.find("devices").append(node)  # type: ignore[union-attr]
                driver.connection.defineXML(ET.tostring(root, encoding="unicode"))
        except BaseException:
            driver.volumes.delete(volume, name)
            raise


def grow_stopped(driver: LibvirtDriver, domain: Any, disk: str, size: int) -> None:
    """Grow a disk of a stopped VM, through its volume."""
    found = driver.reread(domain).state["disks"][disk]
    volume = driver.volumes.at(found["path"])
    if volume is None:
        raise Unsupported(
            f"the disk '{disk}' lies in no storage pool and cannot be grown while the VM is off",
            site=driver.site,
            vm=domain.name(),
            todo="Start the VM, then run again",
        )
    with told(driver.site, domain.name(), f"grow the disk '{disk}'"):
        volume.resize(size)
