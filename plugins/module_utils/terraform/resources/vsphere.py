"""``vsphere_virtual_machine``, with the rules of anti-affinity and the priorities of high availability that name it."""

from __future__ import annotations

from ...model.tags import key_of
from ..draft import Draft, Part
from ..resource import Resource
from ..shapes import Shape, Whole
from ..sizes import GIB, MIB, scaled
from ..world import World, covered

_NETWORKS = ("vsphere_network", "vsphere_distributed_port_group", "vsphere_host_port_group")
_DATASTORES = ("vsphere_datastore", "vsphere_datastore_cluster", "vsphere_vmfs_datastore", "vsphere_nas_datastore")
_POLICIES = ("vsphere_storage_policy", "vsphere_vm_storage_policy")
_DEEP = 32  # pools, one in the other
_FIRMWARE = {"efi": "uefi", "bios": "bios"}
_PRIORITIES = {"disabled": "disabled", "lowest": "low", "low": "low", "medium": "medium", "high": "high",
               "highest": "high"}


class Disk(Shape):
    """The block ``disk``. Sizes in GiB."""

    label: str | None = None
    size: Whole | None = None
    datastore_id: str | None = None
    storage_policy_id: str | None = None
    io_limit: Whole | None = None
    disk_mode: str | None = None
    disk_sharing: str | None = None
    thin_provisioned: bool | None = None
    eagerly_scrub: bool | None = None
    controller_type: str | None = None


class Nic(Shape):
    """The block ``network_interface``. Bandwidth in Mbit/s."""

    network_id: str | None = None
    adapter_type: str | None = None
    mac_address: str | None = None
    bandwidth_limit: Whole | None = None


class Clone(Shape):
    """The block ``clone``."""

    template_uuid: str | None = None
    linked_clone: bool | None = None


class Cdrom(Shape):
    """The block ``cdrom``."""

    client_device: bool | None = None


class Machine(Shape):
    """The attributes that are read. Memory in MiB, CPU in MHz."""

    name: str | None = None
    uuid: str | None = None
    power_state: str | None = None
    num_cpus: Whole | None = None
    num_cores_per_socket: Whole | None = None
    memory: Whole | None = None
    memory_reservation: Whole | None = None
    memory_reservation_locked_to_max: bool | None = None
    memory_limit: Whole | None = None
    cpu_reservation: Whole | None = None
    cpu_limit: Whole | None = None
    cpu_share_level: str | None = None
    memory_share_level: str | None = None
    disk: list[Disk] | None = None
    network_interface: list[Nic] | None = None
    clone: list[Clone] | None = None
    cdrom: list[Cdrom] | None = None
    firmware: str | None = None
    efi_secure_boot_enabled: bool | None = None
    host_system_id: str | None = None
    resource_pool_id: str | None = None
    datastore_id: str | None = None
    storage_policy_id: str | None = None
    datacenter_id: str | None = None
    folder: str | None = None
    guest_id: str | None = None
    hardware_version: Whole | None = None
    extra_config: dict[str, str | None] | None = None
    tags: list[str | None] | None = None
    enable_logging: bool | None = None
    enable_disk_uuid: bool | None = None
    nested_hv_enabled: bool | None = None
    vbs_enabled: bool | None = None
    vvtd_enabled: bool | None = None
    vtpm: list[dict[str, str | None]] | None = None
    pci_device_id: list[str | None] | None = None
    cpu_hot_add_enabled: bool | None = None
    memory_hot_add_enabled: bool | None = None
    latency_sensitivity: str | None = None
    scsi_type: str | None = None
    sync_time_with_host: bool | None = None
    sync_time_with_host_periodically: bool | None = None
    tools_upgrade_policy: str | None = None
    run_tools_scripts_after_power_on: bool | None = None
    cpu_performance_counters_enabled: bool | None = None


class Tag(Shape):
    """``vsphere_tag``, resource or data source."""

    name: str | None = None
    category_id: str | None = None


def read_vm(resource: Resource, draft: Draft, world: World) -> None:
    """The document of a ``vsphere_virtual_machine``."""
    machine = resource.read(Machine)
    root = draft.root
    draft.document["platform"] = "vsphere"
    root.copy(machine, "name", "uuid", cpus="num_cpus")
    root.put("memory", scaled(machine.memory, MIB), "memory")
    root.put("power", machine.power_state if machine.power_state in ("on", "off") else None, "power_state")
    root.put("firmware", _FIRMWARE.get(machine.firmware or ""), "firmware")
    root.put("secure_boot", machine.efi_secure_boot_enabled, "efi_secure_boot_enabled")
    root.put("host", world.name_of(machine.host_system_id, "vsphere_host"), "host_system_id")
    cluster, path = _pool(machine.resource_pool_id, world)
    root.put("zone", cluster, "resource_pool_id")
    root.put("resource_pool", path, "resource_pool_id")
    root.put("folder", _folder(machine.folder), "folder")
    root.put("site", world.name_of(machine.datacenter_id, "vsphere_datacenter"), "datacenter_id")
    if machine.memory_reservation_locked_to_max:
        root.put("memory_reservation", scaled(machine.memory, MIB), "memory")
    else:
        root.put("memory_reservation", scaled(machine.memory_reservation, MIB), "memory_reservation")
    root.put("memory_limit", scaled(machine.memory_limit, MIB), "memory_limit")
    if machine.num_cpus and machine.num_cores_per_socket and machine.num_cpus % machine.num_cores_per_socket == 0:
        topology = {"sockets": machine.num_cpus // machine.num_cores_per_socket, "cores": machine.num_cores_per_socket,
                    "threads": 1}
        root.put("cpu_topology", topology, "num_cores_per_socket")
    template = machine.clone[0].template_uuid if machine.clone else None
    root.block("clone").put("image", world.name_of(template, "vsphere_virtual_machine"), "template_uuid")
    _tags(machine, draft, world)
    _disks(machine, resource, draft, world)
    _nics(machine, draft, world)
    _advanced(machine, draft)
    _placement(resource, draft, world)


def _pool(pool: str | None, world: World) -> tuple[str | None, str | None]:
    """The cluster of a resource pool, and the path to it from the cluster's own pool; None for what this file does not
    say, and for the path of that pool. A data source may name a pool by all of it: ``cluster/Resources/gold``."""
    known, names = world.by("vsphere_resource_pool", "id"), list[str]()
    while pool in known and len(names) < _DEEP:
        found = covered(known[pool])
        names.append(str(found.value("name") or ""))
        pool = found.value("parent_resource_pool_id")
    cluster, _resources, path = "/".join(reversed(names)).rpartition("/Resources/")
    return cluster.rpartition("/")[2] or _cluster(pool, world), path or None


def _folder(folder: str | None) -> str | None:
    """The path below the datacenter's folder of VMs; it may be written from the very top, ``/dc/vm/shop``."""
    path = folder or ""
    return (path.partition("/vm/")[2] if path.startswith("/") and "/vm/" in path else path).strip("/") or None


def _cluster(pool: str | None, world: World) -> str | None:
    """The cluster whose own resource pool this is; None where it is another."""
    cluster = world.by("vsphere_compute_cluster", "resource_pool_id").get(pool or "")
    name: str | None = cluster.value("name") if cluster else None
    return name


def _tags(machine: Machine, draft: Draft, world: World) -> None:
    """Tags bear their meaning in other resources: category and name."""
    if not machine.tags and not draft.root.covers("tags"):
        return
    tags: dict[str, str] = {}
    for found in world.many(draft.resource, ("tags",), machine.tags, "vsphere_tag") or [""]:
        tag = found.read(Tag) if isinstance(found, Resource) else None
        name = tag.name if tag else None
        category = world.name_of(tag.category_id, "vsphere_tag_category") if tag else None
        if isinstance(found, Resource) and category is None:
            owner = world.one(found, ("category_id",), None, "vsphere_tag_category")
            category = covered(owner).value("name") if owner else None
        if not isinstance(found, Resource) or not name or not category:
            draft.later("tags")  # the VM bears a tag, and this file does not say which
            return
        covered(found)
        tags[key_of(category)] = name
    draft.document["tags"] = tags


def _disks(machine: Machine, resource: Resource, draft: Draft, world: World) -> None:
    for index, disk in enumerate(machine.disk or ()):
        part = draft.block("disks", "disk", index)
        part.put("name", "root" if index == 0 else disk.label or f"disk{index}", "label")
        part.put("size", scaled(disk.size, GIB), "size")
        pool = disk.datastore_id or machine.datastore_id
        part.put("pool", world.name_of(pool, *_DATASTORES), "datastore_id")
        part.put("tier", world.name_of(disk.storage_policy_id or machine.storage_policy_id, *_POLICIES),
                 "storage_policy_id")
        part.put("iops_limit", disk.io_limit if disk.io_limit and disk.io_limit > 0 else None, "io_limit")
        part.copy(disk, mode="disk_mode", bus="controller_type")
        if disk.disk_sharing:
            part.put("shared", disk.disk_sharing != "sharingNone", "disk_sharing")
        if disk.thin_provisioned is not None:
            thick = "eager" if disk.eagerly_scrub else "lazy"
            part.put("provisioning", "thin" if disk.thin_provisioned else thick, "thin_provisioned")
    draft.awaits("disks", machine.disk, "disk")


def _nics(machine: Machine, draft: Draft, world: World) -> None:
    for index, nic in enumerate(machine.network_interface or ()):
        part = draft.block("nics", "network_interface", index)
        part.values["name"] = f"nic{index}"
        network = world.name_of(nic.network_id, *_NETWORKS)
        if nic.network_id is None:
            found = world.one(draft.resource, ("network_interface", index, "network_id"), None, *_NETWORKS)
            network = found.value("name") if found else None
        if network:
            part.put("network", network)
        else:
            part.put("network", None, "network_id")
        part.copy(nic, model="adapter_type")
        part.put("mac", nic.mac_address.lower() if nic.mac_address else None, "mac_address")
        limit = nic.bandwidth_limit
        part.put("bandwidth_limit", limit * 125_000 if limit and limit > 0 else None, "bandwidth_limit")
    draft.awaits("nics", machine.network_interface, "network_interface")


def _advanced(machine: Machine, draft: Draft) -> None:
    """What hardening of vSphere asks for."""
    vsphere = draft.section("vsphere")
    vsphere.copy(
        machine, "guest_id", "hardware_version", "folder", "latency_sensitivity", "scsi_type", "tools_upgrade_policy",
        logging="enable_logging", disk_uuid="enable_disk_uuid", nested_hv="nested_hv_enabled", vbs="vbs_enabled",
        iommu="vvtd_enabled", cpu_hot_add="cpu_hot_add_enabled", memory_hot_add="memory_hot_add_enabled",
        sync_time="sync_time_with_host", sync_time_periodically="sync_time_with_host_periodically",
        performance_counters="cpu_performance_counters_enabled", cpu_shares="cpu_share_level",
        memory_shares="memory_share_level",
    )
    # vSphere does not care for the case of a setting, and an expression does.
    settings = {name.lower(): text.lower() if text else text for name, text in (machine.extra_config or {}).items()}
    vsphere.put("extra_config", settings or None)
    _limits(vsphere, machine)
    vsphere.put_whole("vtpm", None if machine.vtpm is None else bool(machine.vtpm), "vtpm")
    vsphere.put_whole("cdroms", None if machine.cdrom is None else len(machine.cdrom), "cdrom")
    if machine.pci_device_id is not None:
        vsphere.put("pci_devices", len(machine.pci_device_id), "pci_device_id")
    if machine.cdrom:
        vsphere.put_whole("cdrom_client_device", any(cdrom.client_device for cdrom in machine.cdrom), "cdrom")
    if machine.clone:
        vsphere.block("clone").put("linked_clone", machine.clone[0].linked_clone)


def _limits(vsphere: Part, machine: Machine) -> None:
    """Limits: -1 is none. vSphere reserves CPU in MHz, which no share of a CPU can be told from."""
    vsphere.put("memory_limit", scaled(machine.memory_limit, MIB), "memory_limit")
    for key, value in (("cpu_limit", machine.cpu_limit), ("cpu_reservation", machine.cpu_reservation)):
        vsphere.put(f"{key}_mhz", value if value and value > 0 else None, key)


def _placement(resource: Resource, draft: Draft, world: World) -> None:
    for rule in world.holders("vsphere_compute_cluster_vm_anti_affinity_rule", "virtual_machine_ids", resource, True):
        draft.document["anti_affinity"] = covered(rule).value("name") or rule.address
    for override in world.holders("vsphere_ha_vm_override", "virtual_machine_id", resource):
        priority = _PRIORITIES.get(covered(override).value("ha_vm_restart_priority") or "")
        if priority:
            draft.document["ha_priority"] = priority
