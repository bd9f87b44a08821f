"""``proxmox_virtual_environment_vm`` of bpg's provider."""

from __future__ import annotations

from ..draft import Draft
from ..resource import Resource
from ..shapes import Number, Shape, Whole
from ..sizes import GIB, MIB, scaled, share
from ..world import World, covered

_FIRMWARE = {"ovmf": "uefi", "seabios": "bios"}


class Speed(Shape):
    """Limits of a disk: operations per second, MB per second."""

    iops_read: Whole | None = None
    iops_write: Whole | None = None
    read: Whole | None = None
    write: Whole | None = None


class Disk(Shape):
    """The block ``disk``. Size in GiB."""

    interface: str | None = None
    size: Whole | None = None
    datastore_id: str | None = None
    file_id: str | None = None
    import_from: str | None = None
    speed: list[Speed] | None = None
    backup: bool | None = None
    cache: str | None = None
    discard: str | None = None
    ssd: bool | None = None


class Nic(Shape):
    """The block ``network_device``. Rate in MB/s; VLAN 0 is none."""

    bridge: str | None = None
    vlan_id: Whole | None = None
    mac_address: str | None = None
    model: str | None = None
    rate_limit: Number | None = None
    firewall: bool | None = None
    enabled: bool | None = None
    disconnected: bool | None = None


class Cpu(Shape):
    """The block ``cpu``. The limit is of all CPUs together, 0 is none."""

    cores: Whole | None = None
    sockets: Whole | None = None
    type: str | None = None
    affinity: str | None = None
    limit: Number | None = None
    numa: bool | None = None


class Memory(Shape):
    """The block ``memory``, in MiB."""

    dedicated: Whole | None = None
    floating: Whole | None = None


class EfiDisk(Shape):
    """The block ``efi_disk``."""

    pre_enrolled_keys: bool | None = None


class Agent(Shape):
    """The block ``agent``."""

    enabled: bool | None = None


class Clone(Shape):
    """The block ``clone``."""

    vm_id: Whole | None = None


class Account(Shape):
    """The block ``user_account``: of the password only that there is one."""

    password: str | None = None


class Initialization(Shape):
    """The block ``initialization``, cloud-init."""

    user_account: list[Account] | None = None


class Machine(Shape):
    """The attributes that are read."""

    name: str | None = None
    vm_id: Whole | None = None
    node_name: str | None = None
    bios: str | None = None
    cpu: list[Cpu] | None = None
    memory: list[Memory] | None = None
    disk: list[Disk] | None = None
    network_device: list[Nic] | None = None
    efi_disk: list[EfiDisk] | None = None
    tpm_state: list[dict[str, object]] | None = None
    agent: list[Agent] | None = None
    clone: list[Clone] | None = None
    initialization: list[Initialization] | None = None
    hostpci: list[dict[str, object]] | None = None
    started: bool | None = None
    on_boot: bool | None = None
    template: bool | None = None
    protection: bool | None = None
    tags: list[str | None] | None = None
    pool_id: str | None = None
    machine: str | None = None
    scsi_hardware: str | None = None


def read_vm(resource: Resource, draft: Draft, world: World) -> None:
    """The document of a ``proxmox_virtual_environment_vm``."""
    machine = resource.read(Machine)
    root = draft.root
    draft.document["platform"] = "proxmox"
    root.copy(machine, "name", host="node_name", resource_pool="pool_id")
    root.put("firmware", _FIRMWARE.get(machine.bios or ""), "bios")
    running = machine.started and not machine.template
    root.put("power", None if machine.started is None else "on" if running else "off", "started")
    root.put("tags", {tag: "true" for tag in machine.tags or () if tag} or None, "tags")
    draft.section("protection").put("deletion", machine.protection, "protection")
    if machine.efi_disk:
        root.block("efi_disk").put("secure_boot", machine.efi_disk[0].pre_enrolled_keys, "pre_enrolled_keys")
    _compute(machine, draft)
    _disks(machine, draft)
    _nics(machine, draft)
    _proxmox(machine, draft, resource, world)


def _compute(machine: Machine, draft: Draft) -> None:
    root = draft.root
    if machine.cpu:
        cpu, part = machine.cpu[0], root.block("cpu")
        sockets = cpu.sockets or 1
        part.put("cpus", cpu.cores * sockets if cpu.cores else None, "cores")
        part.put("cpu_topology", {"sockets": sockets, "cores": cpu.cores, "threads": 1} if cpu.cores else None, "cores")
        part.copy(cpu, cpu_pinning="affinity")
        part.put("cpu_limit", share(cpu.limit, cpu.cores * sockets) if cpu.cores else None, "limit")
    else:
        root.put("cpus", None, "cpu")
    if machine.memory:
        memory, part = machine.memory[0], root.block("memory")
        part.put("memory", scaled(memory.dedicated, MIB), "dedicated")
        if memory.floating and memory.dedicated and memory.floating < memory.dedicated:
            part.put("memory_minimum", scaled(memory.floating, MIB), "floating")
    else:
        root.put("memory", None, "memory")


def _disks(machine: Machine, draft: Draft) -> None:
    for index, disk in enumerate(machine.disk or ()):
        part = draft.block("disks", "disk", index)
        part.values["name"] = "root" if index == 0 else f"disk{index}"
        part.put("size", scaled(disk.size, GIB), "size")
        part.copy(disk, "backup", "cache", "discard", "ssd", pool="datastore_id", bus="interface")
        if disk.speed:
            speed = disk.speed[0]
            limits = part.block("speed")
            limits.put("iops_limit", (speed.iops_read or 0) + (speed.iops_write or 0) or None, "iops_read")
            limits.put("bandwidth_limit", scaled((speed.read or 0) + (speed.write or 0), MIB), "read")
    draft.awaits("disks", machine.disk, "disk")
    image = next((disk.file_id or disk.import_from for disk in machine.disk or () if disk.file_id or disk.import_from),
                 None)
    if image:
        draft.root.put_whole("image", image.rpartition("/")[2], "disk")
    elif machine.clone:
        clone = machine.clone[0].vm_id
        draft.root.block("clone").put("image", None if clone is None else str(clone), "vm_id")


def _nics(machine: Machine, draft: Draft) -> None:
    for index, nic in enumerate(machine.network_device or ()):
        part = draft.block("nics", "network_device", index)
        part.values["name"] = f"nic{index}"
        part.copy(nic, "firewall", "model", network="bridge")
        part.put("vlan", nic.vlan_id or None, "vlan_id")
        part.put("mac", nic.mac_address.lower() if nic.mac_address else None, "mac_address")
        part.put("bandwidth_limit", scaled(nic.rate_limit, 1_000_000), "rate_limit")
        if nic.disconnected is not None or nic.enabled is not None:
            part.put("connected", not nic.disconnected and nic.enabled is not False, "disconnected")
    draft.awaits("nics", machine.network_device, "network_device")


def _proxmox(machine: Machine, draft: Draft, resource: Resource, world: World) -> None:
    proxmox = draft.section("proxmox")
    proxmox.copy(machine, "vm_id", "on_boot", "template", "machine", "scsi_hardware", pool="pool_id")
    if machine.agent:
        proxmox.block("agent").put("agent", machine.agent[0].enabled, "enabled")
    elif machine.agent is not None:
        proxmox.values["agent"] = False
    if machine.cpu:
        proxmox.block("cpu").put("cpu_type", machine.cpu[0].type, "type")
    proxmox.put_whole("tpm", None if machine.tpm_state is None else bool(machine.tpm_state), "tpm_state")
    proxmox.put_whole("pci_devices", None if machine.hostpci is None else len(machine.hostpci), "hostpci")
    if machine.initialization is not None:
        # That a password is given is no secret; what it is never leaves the plan.
        accounts = [each for block in machine.initialization for each in block.user_account or ()]
        hidden = draft.root.block("initialization").block("user_account").covers("password")
        proxmox.values["cloud_init_password"] = hidden or any(account.password for account in accounts)
    ha = world.by("proxmox_virtual_environment_haresource", "resource_id").get(f"vm:{machine.vm_id}")
    if ha is not None:
        proxmox.values["ha"] = covered(ha).value("state") not in ("disabled", "ignored", "stopped")
