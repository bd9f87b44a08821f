"""``proxmox_vm_qemu`` of Telmate's provider: versions 2 (blocks ``disk``) and 3 (``disks``, ``disk`` with slots)."""

from __future__ import annotations

import re
from typing import Any, Union

from ..draft import Draft, Part
from ..resource import Resource
from ..shadow import Shadow, under
from ..shapes import Number, Shape, Whole
from ..sizes import MIB, proxmox, scaled
from ..world import World

_FIRMWARE = {"ovmf": "uefi", "seabios": "bios"}
_SLOT = re.compile(r"(?:ide|sata|scsi|virtio)\d{1,2}")
_NO_DISK = ("cdrom", "cloudinit")

Path = tuple[Union[str, int], ...]  # noqa: UP007 - ansible-test reads it as an older Python


class Disk(Shape):
    """The block ``disk``, and ``disk`` within a slot of ``disks``. MB/s; older versions write 0 and 1 for bools."""

    type: str | None = None
    slot: str | Whole | None = None
    storage: str | None = None
    size: str | Whole | None = None
    media: str | None = None
    backup: bool | Whole | None = None
    cache: str | None = None
    discard: str | bool | None = None
    ssd: bool | Whole | None = None
    emulatessd: bool | None = None
    mbps: Number | None = None
    mbps_rd: Number | None = None
    mbps_wr: Number | None = None
    mbps_r_concurrent: Number | None = None
    mbps_wr_concurrent: Number | None = None
    iops: Whole | None = None
    iops_rd: Whole | None = None
    iops_wr: Whole | None = None
    iops_r_concurrent: Whole | None = None
    iops_wr_concurrent: Whole | None = None


class Nic(Shape):
    """The block ``network``."""

    model: str | None = None
    bridge: str | None = None
    tag: Whole | None = None
    macaddr: str | None = None
    rate: Number | None = None
    firewall: bool | None = None
    link_down: bool | None = None


class Cpu(Shape):
    """The block ``cpu`` of version 3.0.2 and later."""

    cores: Whole | None = None
    sockets: Whole | None = None
    type: str | None = None
    affinity: str | None = None


class EfiDisk(Shape):
    """The block ``efidisk``."""

    pre_enrolled_keys: bool | None = None


class Machine(Shape):
    """The attributes that are read. Memory in MiB."""

    name: str | None = None
    vmid: Whole | None = None
    target_node: str | None = None
    bios: str | None = None
    cores: Whole | None = None
    sockets: Whole | None = None
    cpu: str | list[Cpu] | None = None
    cpu_type: str | None = None
    memory: Whole | None = None
    balloon: Whole | None = None
    disk: list[Disk] | None = None
    disks: list[dict[str, Any]] | None = None
    network: list[Nic] | None = None
    efidisk: list[EfiDisk] | None = None
    clone: str | None = None
    vm_state: str | None = None
    oncreate: bool | None = None
    onboot: bool | None = None
    start_at_node_boot: bool | None = None
    protection: bool | None = None
    agent: Whole | None = None
    hastate: str | None = None
    pool: str | None = None
    scsihw: str | None = None
    tags: str | None = None
    cipassword: str | None = None


def read_vm(resource: Resource, draft: Draft, world: World) -> None:
    """The document of a ``proxmox_vm_qemu``."""
    machine = resource.read(Machine)
    root = draft.root
    draft.document["platform"] = "proxmox"
    root.copy(machine, "name", host="target_node", image="clone", resource_pool="pool")
    root.put("firmware", _FIRMWARE.get(machine.bios or ""), "bios")
    root.put("memory", scaled(machine.memory, MIB), "memory")
    if machine.balloon and machine.memory and machine.balloon < machine.memory:
        root.put("memory_minimum", scaled(machine.balloon, MIB), "balloon")
    if machine.vm_state:
        root.put("power", "on" if machine.vm_state in ("running", "started") else "off", "vm_state")
    names = [tag for tag in re.split(r"[;, ]+", machine.tags or "") if tag]
    root.put("tags", dict.fromkeys(names, "true") or None, "tags")
    draft.section("protection").put("deletion", machine.protection, "protection")
    if machine.efidisk:
        root.block("efidisk").put("secure_boot", machine.efidisk[0].pre_enrolled_keys, "pre_enrolled_keys")
    _cpus(machine, draft)
    _disks(machine, draft, resource)
    _nics(machine, draft)
    section = draft.section("proxmox")
    section.copy(machine, "pool", vm_id="vmid", scsi_hardware="scsihw")
    boot = "onboot" if machine.onboot is not None else "start_at_node_boot"
    section.put("on_boot", getattr(machine, boot), boot)
    section.put("agent", None if machine.agent is None else machine.agent == 1, "agent")
    section.put("ha", machine.hastate in ("started", "enabled") if machine.hastate is not None else None, "hastate")
    # That a password is given is no secret; what it is never leaves the plan.
    section.values["cloud_init_password"] = bool(machine.cipassword) or root.covers("cipassword")


def _cpus(machine: Machine, draft: Draft) -> None:
    block = machine.cpu[0] if isinstance(machine.cpu, list) and machine.cpu else None
    root, section = draft.root, draft.section("proxmox")
    if block:
        root, cores, sockets = root.block("cpu"), block.cores, block.sockets
        root.copy(block, cpu_pinning="affinity")
        section.block("cpu").put("cpu_type", block.type, "type")
    else:
        cores, sockets = machine.cores, machine.sockets
        if isinstance(machine.cpu, str):
            section.put("cpu_type", machine.cpu, "cpu")
        else:
            section.copy(machine, "cpu_type")
    root.put("cpus", cores * (sockets or 1) if cores else None, "cores")
    root.put("cpu_topology", {"sockets": sockets or 1, "cores": cores, "threads": 1} if cores else None, "cores")


def _disks(machine: Machine, draft: Draft, resource: Resource) -> None:
    if machine.disks:
        later, hidden = under(resource.later, "disks"), under(resource.hidden, "disks")
        for path, disk in _slots(resource.value("disks", list[_Buses]) or []):
            _disk(draft.item("disks", _down(later, path), _down(hidden, path)), disk, draft)
        return
    for index, disk in enumerate(machine.disk or ()):
        if (disk.media or disk.type) not in _NO_DISK:
            _disk(draft.block("disks", "disk", index), disk, draft)
    draft.awaits("disks", machine.disk, "disk", "disks")


def _down(shadow: Shadow, path: Path) -> Shadow:
    for step in path:
        shadow = under(shadow, step)
    return shadow


class _Slot(Shape):
    """A slot of ``disks``, such as ``scsi0``: a disk, or a drive that is none."""

    disk: list[Disk] | None = None


class _Buses(Shape):
    """The block ``disks``: for each bus the slots that are taken."""

    ide: list[dict[str, list[_Slot] | None]] | None = None
    sata: list[dict[str, list[_Slot] | None]] | None = None
    scsi: list[dict[str, list[_Slot] | None]] | None = None
    virtio: list[dict[str, list[_Slot] | None]] | None = None


def _slots(disks: list[_Buses]) -> list[tuple[Path, Disk]]:
    """The disks with their paths, in the order in which Proxmox boots them: virtio, SCSI, SATA, IDE, each by number."""
    found: list[tuple[int, int, Path, Disk]] = []
    for order, bus in enumerate(("virtio", "scsi", "sata", "ide")):
        for index, slots in enumerate(getattr(disks[0], bus) or ()):
            for name, taken in slots.items():
                slot = taken[0] if taken and _SLOT.fullmatch(name) else None
                if slot is not None and slot.disk:
                    number = int(re.sub(r"\D", "", name))
                    found.append((order, number, (0, bus, index, name, 0, "disk", 0), slot.disk[0]))
    return [(path, disk) for _order, _number, path, disk in sorted(found, key=lambda each: each[:2])]


def _disk(part: Part, disk: Disk, draft: Draft) -> None:
    number = len(draft.document["disks"]) - 1
    part.values["name"] = "root" if number == 0 else f"disk{number}"
    part.put("size", proxmox(disk.size), "size")
    part.copy(disk, "cache", pool="storage")
    if disk.backup is not None:
        part.put("backup", bool(disk.backup), "backup")
    if disk.discard is not None:
        part.put("discard", "on" if disk.discard in (True, "on") else "ignore", "discard")
    if disk.ssd is not None or disk.emulatessd is not None:
        part.put("ssd", bool(disk.ssd or disk.emulatessd), "ssd")
    operations = disk.iops or sum(
        each or 0 for each in (disk.iops_rd, disk.iops_wr, disk.iops_r_concurrent, disk.iops_wr_concurrent))
    part.put("iops_limit", operations or None, "iops")
    rate = disk.mbps or sum(
        each or 0 for each in (disk.mbps_rd, disk.mbps_wr, disk.mbps_r_concurrent, disk.mbps_wr_concurrent))
    part.put("bandwidth_limit", scaled(rate, MIB), "mbps")


def _nics(machine: Machine, draft: Draft) -> None:
    for index, nic in enumerate(machine.network or ()):
        part = draft.block("nics", "network", index)
        part.values["name"] = f"nic{index}"
        part.copy(nic, "model", "firewall", network="bridge")
        part.put("vlan", nic.tag if nic.tag and nic.tag > 0 else None, "tag")
        part.put("mac", nic.macaddr.lower() if nic.macaddr else None, "macaddr")
        part.put("bandwidth_limit", scaled(nic.rate, 1_000_000), "rate")
        if nic.link_down is not None:
            part.put("connected", not nic.link_down, "link_down")
    draft.awaits("nics", machine.network, "network")
