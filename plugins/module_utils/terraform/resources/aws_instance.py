"""``aws_instance``, with its volumes, its launch template and its security groups."""

from __future__ import annotations

from typing import Any

from .. import sizes
from ..draft import Draft
from ..resource import Resource
from ..shadow import touched, under
from ..shapes import Shape, Whole
from ..user_data import put_user_data
from ..world import World, covered
from . import aws_network, aws_storage
from .aws_template import Inherited, Metadata


class TemplateLink(Shape):
    """The block ``launch_template``."""

    id: str | None = None
    name: str | None = None


class CpuOptions(Shape):
    """The block ``cpu_options``."""

    core_count: Whole | None = None
    threads_per_core: Whole | None = None


class Instance(Shape):
    """The attributes that are read."""

    id: str | None = None
    ami: str | None = None
    instance_type: str | None = None
    availability_zone: str | None = None
    region: str | None = None
    tags: dict[str, str | None] | None = None
    tags_all: dict[str, str | None] | None = None
    ebs_optimized: bool | None = None
    monitoring: bool | None = None
    associate_public_ip_address: bool | None = None
    public_ip: str | None = None
    iam_instance_profile: str | None = None
    key_name: str | None = None
    disable_api_termination: bool | None = None
    disable_api_stop: bool | None = None
    user_data: str | None = None
    user_data_base64: str | None = None
    subnet_id: str | None = None
    vpc_security_group_ids: list[str | None] | None = None
    source_dest_check: bool | None = None
    metadata_options: list[Metadata] | None = None
    root_block_device: list[aws_storage.Block] | None = None
    ebs_block_device: list[aws_storage.Block] | None = None
    launch_template: list[TemplateLink] | None = None
    cpu_core_count: Whole | None = None
    cpu_threads_per_core: Whole | None = None
    cpu_options: list[CpuOptions] | None = None
    placement_group: str | None = None
    host_id: str | None = None
    tenancy: str | None = None
    instance_state: str | None = None


def read_vm(resource: Resource, draft: Draft, world: World) -> None:
    """The document of an ``aws_instance``."""
    instance = resource.read(Instance)
    template = Inherited.find(resource, instance.launch_template, world)
    draft.document["platform"] = "aws"
    _tags(instance, draft, template)
    _compute(instance, draft, template)
    _place(instance, draft, world)
    draft.section("protection").put(
        "deletion", _first(instance.disable_api_termination, template.given("disable_api_termination"),
                           _default(resource, "disable_api_termination", world, False)), "disable_api_termination")
    _exposure(instance, draft, template, world)
    _metadata(instance, draft, template)
    encoded = instance.user_data is None and instance.user_data_base64 is not None
    text = instance.user_data_base64 if encoded else instance.user_data
    if text is None and template.given("user_data") is not None:
        put_user_data(draft.root, template.given("user_data"), "user_data", encoded=True)
    else:
        _user_data(draft, world, text, encoded)
    aws_storage.put_disks(instance, draft, template, world)
    subnet = world.one(resource, ("subnet_id",), instance.subnet_id, "aws_subnet")
    nic = draft.of("nics", resource)
    nic.values["name"] = "nic0"
    nic.put("network", instance.subnet_id or (subnet.address if subnet else None), "subnet_id")
    aws_network.put_groups(instance.vpc_security_group_ids, draft, template, world)


def _tags(instance: Instance, draft: Draft, template: Inherited) -> None:
    """``tags_all`` holds the provider's default tags too; before version 3.38 there is none."""
    resource = draft.resource
    all_known = instance.tags_all is not None and not touched(under(resource.later, "tags_all"))
    tags = instance.tags_all if all_known else instance.tags
    attribute = "tags_all" if all_known else "tags"
    if template.tags:
        tags = {**template.tags, **(tags or {})}
    draft.root.texts("tags", tags, attribute)
    name = draft.document.get("tags", {}).get("Name")
    if name:
        draft.document["name"] = name


def _compute(instance: Instance, draft: Draft, template: Inherited) -> None:
    root = draft.root
    kind = instance.instance_type or template.given("instance_type")
    cpus, memory = sizes.aws(kind)
    options = instance.cpu_options[0] if instance.cpu_options else CpuOptions()
    cores = options.core_count or instance.cpu_core_count
    threads = options.threads_per_core or instance.cpu_threads_per_core
    root.put("cpus", cores * threads if cores and threads else cpus, "instance_type")
    root.put("memory", memory, "instance_type")
    root.put("image", instance.ami or template.given("image_id"), "ami")
    state = {"running": "on", "pending": "on", "stopped": "off", "stopping": "off"}.get(instance.instance_state or "")
    created = draft.resource.action in ("create", "replace")  # an instance runs once it is made
    root.put("power", state or ("on" if created else None), "instance_state")


def _place(instance: Instance, draft: Draft, world: World) -> None:
    root = draft.root
    zone = instance.availability_zone
    root.copy(instance, zone="availability_zone", host="host_id")
    region = instance.region or (zone[:-1] if zone else None)
    root.put("site", region or world.references.constant(draft.resource, "region"), "region")
    group = world.one(draft.resource, ("placement_group",), instance.placement_group, "aws_placement_group")
    if group is not None and covered(group).value("strategy") == "spread":
        root.put("anti_affinity", group.value("name"), "placement_group")


def _exposure(instance: Instance, draft: Draft, template: Inherited, world: World) -> None:
    aws = draft.section("aws")
    resource = draft.resource
    aws.values.update({"id": instance.id} if instance.id else {})
    aws.copy(instance, "disable_api_stop", "source_dest_check", "tenancy")
    aws.put("instance_type", instance.instance_type or template.given("instance_type"), "instance_type")
    aws.put("key_name", instance.key_name or template.given("key_name"), "key_name")
    aws.put("ebs_optimized", _first(instance.ebs_optimized, template.given("ebs_optimized")), "ebs_optimized")
    aws.put("monitoring", _first(instance.monitoring, template.monitoring, _default(resource, "monitoring", world,
                                                                                    False)), "monitoring")
    public = True if instance.public_ip else instance.associate_public_ip_address
    aws.put("public_ip", _first(public, template.public_ip), "associate_public_ip_address")
    aws.put("instance_profile", _profile(instance, draft, template, world), "iam_instance_profile")


def _profile(instance: Instance, draft: Draft, template: Inherited, world: World) -> bool | None:
    """Whether the instance has an instance profile, even where its name comes later; None where nothing tells."""
    written = world.references.written(draft.resource, "iam_instance_profile")
    if instance.iam_instance_profile or written or template.block("iam_instance_profile"):
        return True
    unset = written is False or instance.iam_instance_profile is not None
    return False if not template.missing and (unset or not draft.root.covers("iam_instance_profile")) else None


def _metadata(instance: Instance, draft: Draft, template: Inherited) -> None:
    """The instance metadata service. `metadata_tokens` is ``required`` for version 2 alone."""
    options = instance.metadata_options[0] if instance.metadata_options else template.block("metadata_options")
    part = draft.section("aws").block("metadata_options")
    for key, attribute in (("metadata_endpoint", "http_endpoint"), ("metadata_tokens", "http_tokens"),
                           ("metadata_hop_limit", "http_put_response_hop_limit"),
                           ("metadata_tags", "instance_metadata_tags")):
        part.put(key, getattr(options, attribute) if options else None, attribute)


def _user_data(draft: Draft, world: World, text: str | None, encoded: bool) -> None:
    unset = text is None and not any(
        world.references.written(draft.resource, name) for name in ("user_data", "user_data_base64"))
    if unset and world.references.written(draft.resource, "user_data") is not None:
        return  # computed, and nothing was given
    put_user_data(draft.root, text, "user_data_base64" if encoded else "user_data", encoded)


def _default(resource: Resource, attribute: str, world: World, value: Any) -> Any:
    """What AWS takes where nobody set `attribute`; None where this file cannot tell whether somebody did."""
    return value if world.references.written(resource, attribute) is False else None


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)
