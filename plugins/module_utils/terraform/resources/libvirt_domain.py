"""``libvirt_domain``: of provider 0.8 and before (blocks ``disk``, ``network_interface``), of 0.9 (libvirt's XML)."""

from __future__ import annotations

from typing import Any

from ..draft import Draft, Part
from ..resource import Resource
from ..shapes import Shape, Whole
from ..sizes import MIB, scaled, with_unit
from ..world import World
from . import libvirt_volume, libvirt_xml


class Disk(Shape):
    """The block ``disk``."""

    volume_id: str | None = None
    file: str | None = None
    block_device: str | None = None
    url: str | None = None
    scsi: bool | None = None


class Nic(Shape):
    """The block ``network_interface``."""

    network_name: str | None = None
    network_id: str | None = None
    bridge: str | None = None
    macvtap: str | None = None
    mac: str | None = None


class Machine(Shape):
    """The attributes that are read. Memory in MiB before 0.9, in `memory_unit` (KiB if unset) from there on."""

    id: str | Whole | None = None
    name: str | None = None
    uuid: str | None = None
    vcpu: Whole | None = None
    memory: Whole | None = None
    memory_unit: str | None = None
    running: bool | None = None
    autostart: bool | None = None
    firmware: str | None = None
    machine: str | None = None
    type: str | None = None
    qemu_agent: bool | None = None
    cloudinit: str | None = None
    disk: list[Disk] | None = None
    network_interface: list[Nic] | None = None
    graphics: list[dict[str, Any]] | None = None
    vcpu_cpuset: str | None = None
    devices: libvirt_xml.Devices | None = None
    os: libvirt_xml.OperatingSystem | None = None
    cpu: libvirt_xml.Cpu | list[dict[str, Any]] | None = None


def read_vm(resource: Resource, draft: Draft, world: World) -> None:
    """The document of a ``libvirt_domain``."""
    machine = resource.read(Machine)
    root = draft.root
    draft.document["platform"] = "libvirt"
    root.copy(machine, "name", cpus="vcpu", cpu_pinning="vcpu_cpuset")
    root.put("power", None if machine.running is None else "on" if machine.running else "off", "running")
    section = draft.section("libvirt")
    section.copy(machine, "autostart")
    # `type` is an attribute of provider 0.9 alone, where it is required.
    if machine.type is not None or machine.devices is not None or machine.os is not None:
        root.put("memory", with_unit(machine.memory, machine.memory_unit), "memory")
        root.copy(machine, "uuid")
        libvirt_xml.put(machine, draft, world)
        return
    root.put("uuid", machine.id if isinstance(machine.id, str) else None, "id")
    root.put("memory", scaled(machine.memory, MIB), "memory")
    section.copy(machine, "machine", agent="qemu_agent")
    if machine.firmware:
        root.put("firmware", "uefi", "firmware")  # the path of UEFI images is the one thing that it can hold
    if machine.graphics:
        section.put_whole("graphics_listen", machine.graphics[0].get("listen_address"), "graphics")
    _disks(machine, draft, world)
    _nics(machine, draft, world)
    libvirt_volume.put_cloud_init(draft, world, machine.cloudinit, ("cloudinit",))


def _disks(machine: Machine, draft: Draft, world: World) -> None:
    for index, disk in enumerate(machine.disk or ()):
        volume = world.one(draft.resource, ("disk", index, "volume_id"), disk.volume_id, "libvirt_volume")
        if volume is not None:
            libvirt_volume.put_disk(draft, volume, world)
            continue
        if disk.url or (disk.file and disk.file.endswith(".iso")):
            continue  # a medium to install from, no disk
        part = draft.block("disks", "disk", index)
        part.values["name"] = libvirt_volume.disk_name(draft)
        part.later("size")  # the size of what another made stands in no plan
        part.put("device", disk.file or disk.block_device, "file" if disk.file else "block_device")
    draft.awaits("disks", machine.disk, "disk")


def _nics(machine: Machine, draft: Draft, world: World) -> None:
    for index, nic in enumerate(machine.network_interface or ()):
        part = draft.block("nics", "network_interface", index)
        part.values["name"] = f"nic{index}"
        _network(part, nic, index, draft, world)
        part.put("mac", nic.mac.lower() if nic.mac else None, "mac")
    draft.awaits("nics", machine.network_interface, "network_interface")


def _network(part: Part, nic: Nic, index: int, draft: Draft, world: World) -> None:
    plain = nic.network_name or nic.bridge or nic.macvtap
    network = None if plain else world.one(
        draft.resource, ("network_interface", index, "network_id"), nic.network_id, "libvirt_network")
    if plain:
        part.put("network", plain)
    else:
        part.put("network", (network.value("name") if network else None) or nic.network_id, "network_id")
