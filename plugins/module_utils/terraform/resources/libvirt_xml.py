"""``libvirt_domain`` of provider 0.9 and later, whose attributes repeat libvirt's XML."""

from __future__ import annotations

from typing import Any

from ..draft import Draft
from ..resource import Resource
from ..shadow import under
from ..shapes import Shape, Whole
from ..world import World
from . import libvirt_volume

_YES = ("yes", "on", "true")


class VolumeSource(Shape):
    """``source.volume``."""

    pool: str | None = None
    volume: str | None = None


class FileSource(Shape):
    """``source.file``."""

    file: str | None = None


class BlockSource(Shape):
    """``source.block``."""

    dev: str | None = None


class DiskSource(Shape):
    """``source`` of a disk: one of its kinds."""

    volume: VolumeSource | None = None
    file: FileSource | None = None
    block: BlockSource | None = None
    network: dict[str, Any] | None = None
    encryption: dict[str, Any] | None = None


class IoTune(Shape):
    """``io_tune`` of a disk."""

    total_bytes_sec: Whole | None = None
    total_iops_sec: Whole | None = None


class DiskTarget(Shape):
    """``target`` of a disk."""

    bus: str | None = None


class DiskDriver(Shape):
    """``driver`` of a disk."""

    cache: str | None = None


class Disk(Shape):
    """A disk; `device` is ``disk`` if unset."""

    device: str | None = None
    source: DiskSource | None = None
    target: DiskTarget | None = None
    driver: DiskDriver | None = None
    io_tune: IoTune | None = None
    encryption: dict[str, Any] | None = None


class NetworkSource(Shape):
    """``source.network``."""

    network: str | None = None


class BridgeSource(Shape):
    """``source.bridge``."""

    bridge: str | None = None


class NicSource(Shape):
    """``source`` of a NIC: one of its kinds."""

    network: NetworkSource | None = None
    bridge: BridgeSource | None = None
    direct: BlockSource | None = None
    user: dict[str, Any] | None = None


class Named(Shape):
    """A part of which one word counts."""

    type: str | None = None
    address: str | None = None
    state: str | None = None


class VlanTag(Shape):
    """A tag of a VLAN."""

    id: Whole | None = None


class Vlan(Shape):
    """``vlan`` of a NIC."""

    tags: list[VlanTag] | None = None


class Nic(Shape):
    """A NIC."""

    source: NicSource | None = None
    model: Named | None = None
    mac: Named | None = None
    link: Named | None = None
    vlan: Vlan | None = None


class Devices(Shape):
    """The attribute ``devices``."""

    disks: list[Disk] | None = None
    interfaces: list[Nic] | None = None
    tpms: list[dict[str, Any]] | None = None
    host_devs: list[dict[str, Any]] | None = None


class Feature(Shape):
    """A feature of the firmware."""

    name: str | None = None
    enabled: str | None = None


class FirmwareInfo(Shape):
    """``firmware_info``."""

    features: list[Feature] | None = None


class OperatingSystem(Shape):
    """The attribute ``os``."""

    firmware: str | None = None
    loader: str | None = None
    loader_type: str | None = None
    loader_secure: str | bool | None = None
    type_machine: str | None = None
    firmware_info: FirmwareInfo | None = None


class Topology(Shape):
    """``topology`` of the attribute ``cpu``."""

    sockets: Whole | None = None
    cores: Whole | None = None
    threads: Whole | None = None


class Cpu(Shape):
    """The attribute ``cpu``."""

    topology: Topology | None = None


def put(machine: Any, draft: Draft, world: World) -> None:
    """What a domain of provider 0.9 has beside name, CPUs and memory. `machine` is a `libvirt_domain.Machine`."""
    root, section = draft.root, draft.section("libvirt")
    system = machine.os
    if system is not None:
        part = root.down("os")
        efi = system.firmware == "efi" or system.loader_type == "pflash"
        part.put("firmware", "uefi" if efi else "bios" if system.firmware == "bios" else None, "firmware")
        part.put("secure_boot", _secure_boot(system), "loader_secure")
        section.down("os").put("machine", system.type_machine, "type_machine")
    topology = machine.cpu.topology if isinstance(machine.cpu, Cpu) else None
    if topology is not None and topology.cores:
        shape = {"sockets": topology.sockets or 1, "cores": topology.cores, "threads": topology.threads or 1}
        root.put_whole("cpu_topology", shape, "cpu")
    devices = machine.devices
    if devices is None:
        for key in ("disks", "nics"):
            root.put(key, None, "devices")
        return
    if devices.tpms is not None:
        section.values["tpm"] = bool(devices.tpms)
    if devices.host_devs is not None:
        section.values["pci_devices"] = len(devices.host_devs)
    _disks(devices, draft, world)
    _nics(devices, draft)


def _secure_boot(system: OperatingSystem) -> bool | None:
    features = system.firmware_info.features if system.firmware_info else None
    for feature in features or ():
        if feature.name == "secure-boot" and feature.enabled is not None:
            return feature.enabled in _YES
    if system.loader_secure is None:
        return None
    return system.loader_secure is True or system.loader_secure in _YES


def _disks(devices: Devices, draft: Draft, world: World) -> None:
    later = under(under(draft.resource.later, "devices"), "disks")
    hidden = under(under(draft.resource.hidden, "devices"), "disks")
    if devices.disks is None and later is True:
        draft.later("disks")
    for index, disk in enumerate(devices.disks or ()):
        source = disk.source or DiskSource()
        volume = _volume(source.volume, world)
        if disk.device in ("cdrom", "floppy"):
            if volume is not None:
                libvirt_volume.put_cloud_init_volume(draft, volume, world)
            continue
        if volume is not None:
            part = libvirt_volume.put_disk(draft, volume, world)
        else:
            part = draft.item("disks", under(later, index), under(hidden, index))
            part.values["name"] = libvirt_volume.disk_name(draft)
            part.later("size")  # the size of what another made stands in no plan
            named = source.volume.pool if source.volume else None
            part.put_whole("pool", named, "source")
            device = source.file.file if source.file else source.block.dev if source.block else None
            part.put_whole("device", device, "source")
        if disk.encryption or source.encryption:
            part.values["encrypted"] = True
        part.put_whole("bus", disk.target.bus if disk.target else None, "target")
        part.put_whole("cache", disk.driver.cache if disk.driver else None, "driver")
        if disk.io_tune:
            part.put_whole("iops_limit", disk.io_tune.total_iops_sec, "io_tune")
            part.put_whole("bandwidth_limit", disk.io_tune.total_bytes_sec, "io_tune")


def _volume(source: VolumeSource | None, world: World) -> Resource | None:
    """The volume of that name in that pool, where this file makes it."""
    if source is None or source.volume is None:
        return None
    return libvirt_volume.by_name(world, source.volume, source.pool)


def _nics(devices: Devices, draft: Draft) -> None:
    later = under(under(draft.resource.later, "devices"), "interfaces")
    hidden = under(under(draft.resource.hidden, "devices"), "interfaces")
    if devices.interfaces is None and later is True:
        draft.later("nics")
    for index, nic in enumerate(devices.interfaces or ()):
        part = draft.item("nics", under(later, index), under(hidden, index))
        part.values["name"] = f"nic{index}"
        part.put_whole("network", _network(nic.source), "source")
        part.put_whole("model", nic.model.type if nic.model else None, "model")
        part.put_whole("mac", nic.mac.address.lower() if nic.mac and nic.mac.address else None, "mac")
        if nic.link and nic.link.state:
            part.put_whole("connected", nic.link.state != "down", "link")
        if nic.vlan and nic.vlan.tags and len(nic.vlan.tags) == 1:
            part.put_whole("vlan", nic.vlan.tags[0].id, "vlan")


def _network(source: NicSource | None) -> str | None:
    if source is None:
        return None
    if source.user is not None:
        return "user"
    if source.network:
        return source.network.network
    return source.bridge.bridge if source.bridge else source.direct.dev if source.direct else None
