"""EBS volumes of an ``aws_instance``: its own blocks, those of its template, and attached ``aws_ebs_volume``."""

from __future__ import annotations

from typing import Any

from ..draft import Draft, Part
from ..resource import Resource
from ..shapes import Shape, Whole
from ..sizes import GIB, MIB, scaled
from ..world import World, covered
from .aws_template import Inherited, truth


class Block(Shape):
    """The blocks ``root_block_device`` and ``ebs_block_device``. Size in GiB, throughput in MiB/s."""

    device_name: str | None = None
    volume_size: Whole | None = None
    volume_type: str | None = None
    encrypted: bool | None = None
    kms_key_id: str | None = None
    iops: Whole | None = None
    throughput: Whole | None = None
    delete_on_termination: bool | None = None
    volume_id: str | None = None


class Volume(Shape):
    """``aws_ebs_volume``."""

    id: str | None = None
    size: Whole | None = None
    type: str | None = None
    encrypted: bool | None = None
    kms_key_id: str | None = None
    iops: Whole | None = None
    throughput: Whole | None = None
    multi_attach_enabled: bool | None = None


def put_disks(instance: Any, draft: Draft, template: Inherited, world: World) -> None:
    """The disks: the root first, then the instance's own, then what is attached."""
    resource = draft.resource
    inherited = [device.ebs[0] for device in template.devices if device.ebs]
    if instance.root_block_device:
        _block(draft, draft.block("disks", "root_block_device", 0), instance.root_block_device[0], "root_block_device",
               world)
    else:
        root = inherited.pop(0) if inherited else None
        _inherited(draft.block("disks", "root_block_device", 0), root)
    draft.document["disks"][0]["name"] = "root"
    for index, block in enumerate(instance.ebs_block_device or ()):
        _block(draft, draft.block("disks", "ebs_block_device", index), block, "ebs_block_device", world)
    if instance.ebs_block_device is None:
        for ebs in inherited:
            _inherited(draft.item("disks"), ebs)
        # Computed where nobody wrote a block: it then holds what the image brings.
        if draft.root.covers("ebs_block_device") and world.references.written(resource, "ebs_block_device"):
            draft.later("disks")
    own = {block.volume_id for block in instance.ebs_block_device or () if block.volume_id}
    for attachment in world.holders("aws_volume_attachment", "instance_id", resource):
        covered(attachment)
        value = attachment.value("volume_id")
        volume = world.one(attachment, ("volume_id",), value, "aws_ebs_volume")
        if value is not None and value in own:
            continue  # a state lists an attached volume among the instance's own blocks as well
        if volume is not None:
            _volume(draft, volume, world)
        else:
            part = draft.item("disks")
            for key in ("size", "encrypted", "tier"):
                part.later(key)  # a volume that this file does not hold
    for number, disk in enumerate(draft.document["disks"]):
        disk.setdefault("name", f"disk{number}")


def _block(draft: Draft, part: Part, block: Block, attribute: str, world: World) -> None:
    part.put("size", scaled(block.volume_size, GIB), "volume_size")
    part.copy(block, "encrypted", "delete_on_termination", tier="volume_type", device="device_name")
    _limits(part, block.iops, block.throughput)
    if block.kms_key_id or _written(draft, attribute, "kms_key_id", world) is not False:
        part.put("kms_key", block.kms_key_id, "kms_key_id")
    volume = world.named(block.volume_id, ("aws_ebs_volume",))
    if volume is not None:
        part.values["terraform_address"] = covered(volume).address


def _written(draft: Draft, attribute: str, name: str, world: World) -> bool | None:
    """Whether the configuration sets `name` in the block; None where it does not tell."""
    expression = world.references.expression(draft.resource, (attribute,))
    return any(name in each for each in expression if isinstance(each, dict)) if isinstance(expression, list) else None


def _inherited(part: Part, ebs: Any) -> None:
    """A disk of a template, or one of which nothing is known but that it is there."""
    part.put("size", scaled(ebs.volume_size, GIB) if ebs else None, "volume_size")
    part.put("tier", ebs.volume_type if ebs else None, "volume_type")
    part.put("encrypted", truth(ebs.encrypted) if ebs else None)
    part.put("kms_key", ebs.kms_key_id if ebs else None, "kms_key_id")
    if ebs:
        _limits(part, ebs.iops, ebs.throughput)


def _limits(part: Part, iops: int | None, throughput: int | None) -> None:
    """What is provisioned is the most that the volume gives."""
    part.put("iops_limit", iops or None, "iops")
    part.put("bandwidth_limit", scaled(throughput, MIB), "throughput")


def _volume(draft: Draft, resource: Resource, world: World) -> None:
    volume = covered(resource).read(Volume)
    part = draft.of("disks", resource)
    part.values["terraform_address"] = resource.address
    part.put("size", scaled(volume.size, GIB), "size")
    part.copy(volume, "encrypted", tier="type")
    _limits(part, volume.iops, volume.throughput)
    if volume.kms_key_id or world.references.written(resource, "kms_key_id") is not False:
        part.put("kms_key", volume.kms_key_id, "kms_key_id")
    if volume.multi_attach_enabled is not None:
        part.put("shared", volume.multi_attach_enabled, "multi_attach_enabled")
