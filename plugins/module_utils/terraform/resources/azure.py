"""``azurerm_linux_virtual_machine`` and ``azurerm_windows_virtual_machine``, with managed disks and NICs."""

from __future__ import annotations

from typing import Any

from .. import sizes
from ..draft import Draft
from ..resource import Resource
from ..shapes import Shape, Whole
from ..sizes import GIB, scaled
from ..user_data import put_user_data
from ..world import World, covered


class OsDisk(Shape):
    """The block ``os_disk``. Size in GiB."""

    disk_size_gb: Whole | None = None
    storage_account_type: str | None = None
    disk_encryption_set_id: str | None = None
    caching: str | None = None


class ImageReference(Shape):
    """The block ``source_image_reference``."""

    publisher: str | None = None
    offer: str | None = None
    sku: str | None = None
    version: str | None = None


class Listener(Shape):
    """The block ``winrm_listener``."""

    protocol: str | None = None


class Machine(Shape):
    """The attributes that are read, of Linux and Windows."""

    name: str | None = None
    virtual_machine_id: str | None = None
    location: str | None = None
    size: str | None = None
    zone: str | None = None
    network_interface_ids: list[str | None] | None = None
    os_disk: list[OsDisk] | None = None
    source_image_id: str | None = None
    source_image_reference: list[ImageReference] | None = None
    disable_password_authentication: bool | None = None
    encryption_at_host_enabled: bool | None = None
    secure_boot_enabled: bool | None = None
    vtpm_enabled: bool | None = None
    availability_set_id: str | None = None
    dedicated_host_id: str | None = None
    boot_diagnostics: list[dict[str, Any]] | None = None
    identity: list[dict[str, Any]] | None = None
    patch_mode: str | None = None
    patch_assessment_mode: str | None = None
    allow_extension_operations: bool | None = None
    provision_vm_agent: bool | None = None
    priority: str | None = None
    custom_data: str | None = None
    user_data: str | None = None
    automatic_updates_enabled: bool | None = None
    enable_automatic_updates: bool | None = None
    hotpatching_enabled: bool | None = None
    winrm_listener: list[Listener] | None = None
    tags: dict[str, str | None] | None = None


class ManagedDisk(Shape):
    """``azurerm_managed_disk``. Size in GiB, throughput in MB/s."""

    disk_size_gb: Whole | None = None
    storage_account_type: str | None = None
    disk_encryption_set_id: str | None = None
    disk_iops_read_write: Whole | None = None
    disk_mbps_read_write: Whole | None = None
    public_network_access_enabled: bool | None = None
    network_access_policy: str | None = None
    max_shares: Whole | None = None


class IpConfiguration(Shape):
    """The block ``ip_configuration``."""

    subnet_id: str | None = None
    public_ip_address_id: str | None = None


class Nic(Shape):
    """``azurerm_network_interface``."""

    ip_configuration: list[IpConfiguration] | None = None
    accelerated_networking_enabled: bool | None = None
    enable_accelerated_networking: bool | None = None
    ip_forwarding_enabled: bool | None = None
    enable_ip_forwarding: bool | None = None
    mac_address: str | None = None


def read_vm(resource: Resource, draft: Draft, world: World) -> None:
    """The document of an ``azurerm_linux_virtual_machine`` or ``azurerm_windows_virtual_machine``."""
    machine = resource.read(Machine)
    root = draft.root
    draft.document["platform"] = "azure"
    cpus, memory = sizes.azure(machine.size)
    root.copy(machine, "name", "zone", site="location", uuid="virtual_machine_id", host="dedicated_host_id")
    root.put("cpus", cpus, "size")
    root.put("memory", memory, "size")
    root.put("secure_boot", machine.secure_boot_enabled, "secure_boot_enabled")
    if machine.secure_boot_enabled or machine.vtpm_enabled:
        root.values["firmware"] = "uefi"  # trusted launch needs generation 2
    root.texts("tags", machine.tags)
    if resource.action in ("create", "replace"):
        root.values["power"] = "on"  # a VM runs once it is made
    group = world.one(resource, ("availability_set_id",), machine.availability_set_id, "azurerm_availability_set")
    named = covered(group).value("name") if group else (machine.availability_set_id or "").rpartition("/")[2]
    root.put("anti_affinity", named or None, "availability_set_id")
    _image(machine, draft)
    _azure(machine, draft)
    _disks(machine, draft, world)
    _nics(machine, draft, world)
    attribute = "custom_data" if machine.custom_data or root.covers("custom_data") else "user_data"
    put_user_data(root, getattr(machine, attribute), attribute, encoded=True)


def _image(machine: Machine, draft: Draft) -> None:
    if machine.source_image_reference:
        image = machine.source_image_reference[0]
        parts = [image.publisher, image.offer, image.sku, image.version]
        draft.root.put("image", ":".join(each or "" for each in parts), "source_image_reference")
    else:
        draft.root.put("image", (machine.source_image_id or "").rpartition("/")[2], "source_image_id")


def _azure(machine: Machine, draft: Draft) -> None:
    azure = draft.section("azure")
    azure.copy(machine, "size", "patch_mode", "patch_assessment_mode", "priority",
               encryption_at_host="encryption_at_host_enabled", vtpm="vtpm_enabled",
               password_disabled="disable_password_authentication",  # noqa: S106 - the name of an attribute
               extensions="allow_extension_operations", agent="provision_vm_agent", hotpatching="hotpatching_enabled")
    updates = ("automatic_updates_enabled" if machine.automatic_updates_enabled is not None
               else "enable_automatic_updates")
    azure.put("automatic_updates", getattr(machine, updates), updates)
    azure.put_whole("boot_diagnostics", _given(machine.boot_diagnostics), "boot_diagnostics")
    azure.put_whole("identity", _given(machine.identity), "identity")
    if machine.winrm_listener:
        listeners = [listener.protocol for listener in machine.winrm_listener if listener.protocol]
        azure.put_whole("winrm", listeners, "winrm_listener")


def _given(blocks: list[dict[str, Any]] | None) -> bool | None:
    return None if blocks is None else bool(blocks)


def _disks(machine: Machine, draft: Draft, world: World) -> None:
    """Azure encrypts every managed disk at rest; `kms_key` is set where the key is the customer's own."""
    if machine.os_disk:
        disk = machine.os_disk[0]
        part = draft.block("disks", "os_disk", 0)
        part.values.update(name="root", encrypted=True)
        part.put("size", scaled(disk.disk_size_gb, GIB), "disk_size_gb")
        part.copy(disk, tier="storage_account_type", kms_key="disk_encryption_set_id", cache="caching")
    elif draft.root.covers("os_disk"):
        draft.later("disks")
        return
    for attachment in world.holders("azurerm_virtual_machine_data_disk_attachment", "virtual_machine_id",
                                    draft.resource):
        value = covered(attachment).value("managed_disk_id")
        found = world.one(attachment, ("managed_disk_id",), value, "azurerm_managed_disk")
        if found is None:
            part = draft.item("disks")
            part.later("size")  # a disk that this file does not hold
        else:
            own = covered(found).read(ManagedDisk)
            part = draft.of("disks", found)
            part.values["terraform_address"] = found.address
            part.put("size", scaled(own.disk_size_gb, GIB), "disk_size_gb")
            part.copy(own, tier="storage_account_type", kms_key="disk_encryption_set_id",
                      public_access="public_network_access_enabled", network_policy="network_access_policy")
            part.put("iops_limit", own.disk_iops_read_write or None, "disk_iops_read_write")
            part.put("bandwidth_limit", scaled(own.disk_mbps_read_write, 1_000_000), "disk_mbps_read_write")
            if own.max_shares:
                part.put("shared", own.max_shares > 1, "max_shares")
        part.values.update(name=f"disk{len(draft.document['disks']) - 1}", encrypted=True)


def _nics(machine: Machine, draft: Draft, world: World) -> None:
    found = world.many(draft.resource, ("network_interface_ids",), machine.network_interface_ids,
                       "azurerm_network_interface")
    if found is None:
        draft.later("nics")
        return
    for index, resource in enumerate(found):
        if not isinstance(resource, Resource):
            part = draft.item("nics")
            part.values["name"] = f"nic{index}"
            part.later("network")  # a NIC that this file does not hold
            continue
        nic = covered(resource).read(Nic)
        part = draft.of("nics", resource)
        part.values.update(name=f"nic{index}", terraform_address=resource.address)
        fast = "accelerated_networking_enabled" if nic.accelerated_networking_enabled is not None else (
            "enable_accelerated_networking")
        forwarding = "ip_forwarding_enabled" if nic.ip_forwarding_enabled is not None else "enable_ip_forwarding"
        part.put("accelerated", getattr(nic, fast), fast)
        part.put("ip_forwarding", getattr(nic, forwarding), forwarding)
        part.put("mac", nic.mac_address.replace("-", ":").lower() if nic.mac_address else None, "mac_address")
        _addresses(nic, resource, part, world)


def _addresses(nic: Nic, resource: Resource, part: Any, world: World) -> None:
    if not nic.ip_configuration:
        part.put("network", None, "ip_configuration")
        return
    first = nic.ip_configuration[0]
    subnet = world.one(resource, ("ip_configuration", 0, "subnet_id"), first.subnet_id, "azurerm_subnet")
    network = subnet.value("name") if subnet else (first.subnet_id or "").rpartition("/")[2]
    block = part.block("ip_configuration")
    if network:
        block.put("network", network)
    else:
        block.put("network", None, "subnet_id")
    # An address that is made by this plan has no id yet; that the block names one is enough.
    public = any(each.public_ip_address_id for each in nic.ip_configuration) or any(
        world.references.targets(resource, ("ip_configuration", index, "public_ip_address_id"), ("azurerm_public_ip",))
        for index in range(len(nic.ip_configuration)))
    block.put("public_ip", True if public else None, "public_ip_address_id")
    if not public and not block.covers("public_ip_address_id"):
        part.values["public_ip"] = False
