"""``aws_launch_template``: what an instance takes from it where it says nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..resource import Resource
from ..shadow import touched, under
from ..shapes import Shape, Whole
from ..world import World, covered


class Metadata(Shape):
    """The block ``metadata_options``, the same for an instance."""

    http_endpoint: str | None = None
    http_tokens: str | None = None
    http_put_response_hop_limit: Whole | None = None
    instance_metadata_tags: str | None = None


class Ebs(Shape):
    """The block ``ebs`` of a device. `encrypted` is text in this resource."""

    volume_size: Whole | None = None
    volume_type: str | None = None
    encrypted: str | bool | None = None
    kms_key_id: str | None = None
    iops: Whole | None = None
    throughput: Whole | None = None
    delete_on_termination: str | bool | None = None


class Device(Shape):
    """The block ``block_device_mappings``."""

    device_name: str | None = None
    ebs: list[Ebs] | None = None


class Interface(Shape):
    """The block ``network_interfaces``. Text for a bool, as the provider has it."""

    associate_public_ip_address: str | bool | None = None
    security_groups: list[str | None] | None = None


class NamedProfile(Shape):
    """The block ``iam_instance_profile``."""

    name: str | None = None
    arn: str | None = None


class Monitoring(Shape):
    """The block ``monitoring``."""

    enabled: bool | None = None


class TagSpecification(Shape):
    """The block ``tag_specifications``."""

    resource_type: str | None = None
    tags: dict[str, str | None] | None = None


class Template(Shape):
    """The attributes that are read."""

    image_id: str | None = None
    instance_type: str | None = None
    key_name: str | None = None
    ebs_optimized: str | bool | None = None
    disable_api_termination: bool | None = None
    user_data: str | None = None
    vpc_security_group_ids: list[str | None] | None = None
    metadata_options: list[Metadata] | None = None
    block_device_mappings: list[Device] | None = None
    network_interfaces: list[Interface] | None = None
    iam_instance_profile: list[NamedProfile] | None = None
    monitoring: list[Monitoring] | None = None
    tag_specifications: list[TagSpecification] | None = None


class Inherited:
    """A launch template as an instance inherits from it. What is sensitive or known later is not inherited."""

    def __init__(self, resource: Resource | None, missing: bool) -> None:
        self.resource = resource
        self.missing = missing  # the instance names a template that this file does not hold
        self._template = resource.read(Template) if resource else Template()

    @classmethod
    def find(cls, holder: Resource, links: Sequence[Any] | None, world: World) -> Inherited:
        """The template that the block ``launch_template`` of `holder` names."""
        if not links:
            return cls(None, False)
        link, path = links[0], ("launch_template", 0)
        named = link.id or link.name
        found = world.named(named, ("aws_launch_template",)) or (
            world.one(holder, (*path, "id"), None, "aws_launch_template")
            or world.one(holder, (*path, "name"), None, "aws_launch_template"))
        return cls(covered(found) if found else None, found is None)

    def given(self, attribute: str) -> Any:
        """The value of `attribute`, None where it gives none that may be shown."""
        if self.resource is None or touched(under(self.resource.hidden, attribute)):
            return None
        value = getattr(self._template, attribute)
        return value == "true" if attribute == "ebs_optimized" and isinstance(value, str) else value

    def block(self, attribute: str) -> Any:
        """The one block of that name."""
        blocks = self.given(attribute)
        return blocks[0] if blocks else None

    @property
    def tags(self) -> dict[str, str | None]:
        """Tags of instances."""
        for block in self.given("tag_specifications") or ():
            if block.resource_type == "instance" and block.tags:
                found: dict[str, str | None] = block.tags
                return found
        return {}

    @property
    def monitoring(self) -> bool | None:
        """Detailed monitoring."""
        block = self.block("monitoring")
        return block.enabled if block else None

    @property
    def public_ip(self) -> bool | None:
        """Whether the first network interface gets a public address."""
        block = self.block("network_interfaces")
        return truth(block.associate_public_ip_address) if block else None

    @property
    def groups(self) -> list[str | None] | None:
        """Security groups, of the template or of its first network interface."""
        block = self.block("network_interfaces")
        own: list[str | None] | None = self.given("vpc_security_group_ids")
        return own or (block.security_groups if block else None)

    @property
    def devices(self) -> list[Device]:
        """The block devices."""
        return self.given("block_device_mappings") or []


def truth(value: str | bool | None) -> bool | None:
    """A bool that the provider writes as text, ``"true"``."""
    return value if value is None or isinstance(value, bool) else {"true": True, "false": False}.get(value)
