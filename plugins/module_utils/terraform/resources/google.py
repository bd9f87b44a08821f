"""``google_compute_instance``, with its disks."""

from __future__ import annotations

from .. import sizes
from ..draft import Draft, Part
from ..resource import Resource
from ..shapes import Shape, Whole
from ..sizes import GIB, MIB, scaled
from ..user_data import put_user_data
from ..world import World, covered

_OFF = ("TERMINATED", "STOPPED", "SUSPENDED")


class InitializeParams(Shape):
    """The block ``initialize_params``. Size in GB, which are GiB."""

    size: Whole | None = None
    type: str | None = None
    image: str | None = None
    provisioned_iops: Whole | None = None
    provisioned_throughput: Whole | None = None


class BootDisk(Shape):
    """The block ``boot_disk``."""

    initialize_params: list[InitializeParams] | None = None
    source: str | None = None
    kms_key_self_link: str | None = None
    auto_delete: bool | None = None


class AttachedDisk(Shape):
    """The block ``attached_disk``."""

    source: str | None = None
    kms_key_self_link: str | None = None


class AccessConfig(Shape):
    """The block ``access_config``: a public address."""

    nat_ip: str | None = None


class Nic(Shape):
    """The block ``network_interface``."""

    network: str | None = None
    subnetwork: str | None = None
    nic_type: str | None = None
    access_config: list[AccessConfig] | None = None
    ipv6_access_config: list[dict[str, object]] | None = None


class Shielded(Shape):
    """The block ``shielded_instance_config``."""

    enable_secure_boot: bool | None = None
    enable_vtpm: bool | None = None
    enable_integrity_monitoring: bool | None = None


class Confidential(Shape):
    """The block ``confidential_instance_config``."""

    enable_confidential_compute: bool | None = None


class Account(Shape):
    """The block ``service_account``."""

    email: str | None = None
    scopes: list[str | None] | None = None


class Scheduling(Shape):
    """The block ``scheduling``."""

    preemptible: bool | None = None
    automatic_restart: bool | None = None
    on_host_maintenance: str | None = None


class Instance(Shape):
    """The attributes that are read."""

    name: str | None = None
    machine_type: str | None = None
    zone: str | None = None
    project: str | None = None
    instance_id: str | None = None
    boot_disk: list[BootDisk] | None = None
    attached_disk: list[AttachedDisk] | None = None
    scratch_disk: list[dict[str, object]] | None = None
    network_interface: list[Nic] | None = None
    metadata: dict[str, str | None] | None = None
    metadata_startup_script: str | None = None
    shielded_instance_config: list[Shielded] | None = None
    confidential_instance_config: list[Confidential] | None = None
    service_account: list[Account] | None = None
    scheduling: list[Scheduling] | None = None
    can_ip_forward: bool | None = None
    deletion_protection: bool | None = None
    labels: dict[str, str | None] | None = None
    tags: list[str | None] | None = None
    current_status: str | None = None
    desired_status: str | None = None


class DiskKey(Shape):
    """The block ``disk_encryption_key``."""

    kms_key_self_link: str | None = None


class Disk(Shape):
    """``google_compute_disk``. Size in GB, which are GiB; throughput in MB/s."""

    size: Whole | None = None
    type: str | None = None
    image: str | None = None
    provisioned_iops: Whole | None = None
    provisioned_throughput: Whole | None = None
    disk_encryption_key: list[DiskKey] | None = None


def read_vm(resource: Resource, draft: Draft, world: World) -> None:
    """The document of a ``google_compute_instance``."""
    instance = resource.read(Instance)
    root = draft.root
    draft.document["platform"] = "google"
    cpus, memory = sizes.google(_last(instance.machine_type))
    zone = _last(instance.zone)
    root.copy(instance, "name")
    root.put("zone", zone, "zone")
    root.put("site", zone.rpartition("-")[0] if zone else None, "zone")
    root.put("cpus", cpus, "machine_type")
    root.put("memory", memory, "machine_type")
    root.texts("tags", instance.labels, "labels")
    status = instance.desired_status or instance.current_status
    created = resource.action in ("create", "replace")  # an instance runs once it is made
    root.put("power", ("off" if status in _OFF else "on") if status else "on" if created else None, "current_status")
    draft.section("protection").put("deletion", instance.deletion_protection, "deletion_protection")
    shielded = instance.shielded_instance_config[0] if instance.shielded_instance_config else None
    if shielded:
        root.block("shielded_instance_config").put("secure_boot", shielded.enable_secure_boot, "enable_secure_boot")
    _disks(instance, draft, world)
    _nics(instance, draft)
    _google(instance, draft, shielded)
    script = "startup-script" in (instance.metadata or {})
    text = (instance.metadata or {}).get("startup-script") if script else instance.metadata_startup_script
    put_user_data(root.down("metadata") if script else root, text,
                  "startup-script" if script else "metadata_startup_script")


def _last(link: str | None) -> str | None:
    """The name at the end of a link."""
    return link.rpartition("/")[2] if link else None


def _disks(instance: Instance, draft: Draft, world: World) -> None:
    """Google encrypts every disk at rest; `kms_key` is set where the key is the customer's own."""
    if instance.boot_disk:
        boot = instance.boot_disk[0]
        found = world.one(draft.resource, ("boot_disk", 0, "source"), boot.source, "google_compute_disk")
        if found is not None:
            _disk(draft, found)
        else:
            part = draft.block("disks", "boot_disk", 0)
            part.put("kms_key", boot.kms_key_self_link, "kms_key_self_link")
            params = boot.initialize_params[0] if boot.initialize_params else InitializeParams()
            inner = part.block("initialize_params")
            _fill(inner, params)
            image = draft.root.block("boot_disk").block("initialize_params")
            image.put("image", _last(params.image), "image")
        draft.document["disks"][0].update(name="root", encrypted=True)
    for index, attached in enumerate(instance.attached_disk or ()):
        found = world.one(draft.resource, ("attached_disk", index, "source"), attached.source, "google_compute_disk")
        _attached(draft, found, draft.resource)
    for holder in world.holders("google_compute_attached_disk", "instance", draft.resource):
        value = covered(holder).value("disk")
        _attached(draft, world.one(holder, ("disk",), value, "google_compute_disk"), holder)


def _attached(draft: Draft, found: Resource | None, holder: Resource) -> None:
    if found is not None:
        _disk(draft, found)
    else:
        draft.item("disks").later("size")  # a disk that this file does not hold
    disks = draft.document["disks"]
    disks[-1].update(name=f"disk{len(disks) - 1}", encrypted=True)


def _disk(draft: Draft, resource: Resource) -> None:
    disk = covered(resource).read(Disk)
    part = draft.of("disks", resource)
    part.values["terraform_address"] = resource.address
    _fill(part, disk)
    if disk.disk_encryption_key:
        part.block("disk_encryption_key").put("kms_key", disk.disk_encryption_key[0].kms_key_self_link,
                                              "kms_key_self_link")


def _fill(part: Part, disk: Disk | InitializeParams) -> None:
    part.put("size", scaled(disk.size, GIB), "size")
    part.put("tier", _last(disk.type), "type")
    part.put("iops_limit", disk.provisioned_iops or None, "provisioned_iops")
    part.put("bandwidth_limit", scaled(disk.provisioned_throughput, MIB), "provisioned_throughput")


def _nics(instance: Instance, draft: Draft) -> None:
    for index, nic in enumerate(instance.network_interface or ()):
        part = draft.block("nics", "network_interface", index)
        part.values["name"] = f"nic{index}"
        attribute = "subnetwork" if nic.subnetwork or not nic.network else "network"
        part.put("network", _last(nic.subnetwork or nic.network), attribute)
        part.copy(nic, model="nic_type")
        public = nic.access_config or nic.ipv6_access_config
        part.put_whole("public_ip", None if nic.access_config is None else bool(public), "access_config")


def _google(instance: Instance, draft: Draft, shielded: Shielded | None) -> None:
    google = draft.section("google")
    google.copy(instance, "project", "machine_type", "can_ip_forward")
    google.texts("metadata", {key: value for key, value in (instance.metadata or {}).items()
                              if key in _METADATA} or None, "metadata")
    google.put("network_tags", [tag for tag in instance.tags or () if tag] or None, "tags")
    if shielded:
        google.block("shielded_instance_config").copy(
            shielded, vtpm="enable_vtpm", integrity_monitoring="enable_integrity_monitoring")
    if instance.confidential_instance_config:
        google.block("confidential_instance_config").copy(
            instance.confidential_instance_config[0], confidential="enable_confidential_compute")
    if instance.service_account:
        account = instance.service_account[0]
        google.block("service_account").put("service_account", account.email, "email")
        google.block("service_account").put("scopes", [each for each in account.scopes or () if each], "scopes")
    if instance.scheduling:
        google.block("scheduling").copy(instance.scheduling[0], "preemptible", "automatic_restart",
                                        "on_host_maintenance")


# What hardening asks for. Other metadata may hold scripts and keys, and stays in the plan.
_METADATA = ("block-project-ssh-keys", "enable-oslogin", "serial-port-enable", "disable-legacy-endpoints")
