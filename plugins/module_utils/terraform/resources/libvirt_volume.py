"""``libvirt_volume`` and ``libvirt_cloudinit_disk``, parts of a ``libvirt_domain``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..draft import Draft, Part
from ..resource import Resource
from ..shapes import Shape, Whole
from ..sizes import scaled, with_unit
from ..user_data import put_user_data
from ..world import World, covered


class BackingStore(Shape):
    """``backing_store``, from provider 0.9 on."""

    path: str | None = None


class Content(Shape):
    """``create.content``."""

    url: str | None = None


class Create(Shape):
    """``create``, from provider 0.9 on."""

    content: Content | None = None


class Target(Shape):
    """``target``, from provider 0.9 on."""

    encryption: dict[str, Any] | None = None


class Volume(Shape):
    """The attributes that are read. Size in bytes, capacity in `capacity_unit` (bytes if unset)."""

    name: str | None = None
    pool: str | None = None
    size: Whole | None = None
    source: str | None = None
    base_volume_id: str | None = None
    base_volume_name: str | None = None
    capacity: Whole | None = None
    capacity_unit: str | None = None
    backing_store: BackingStore | None = None
    create: Create | None = None
    target: Target | None = None


class CloudInit(Shape):
    """``libvirt_cloudinit_disk``."""

    user_data: str | None = None


def by_name(world: World, name: str, pool: str | None) -> Resource | None:
    """The one volume of that name in that pool (in any, if None) that this file makes."""
    if "libvirt_volume" not in world.cache:
        index: dict[tuple[str, str | None], Resource | None] = {}
        for each in world.of("libvirt_volume"):
            volume = each.read(Volume)
            if volume.name is not None:
                for key in dict.fromkeys(((volume.name, volume.pool), (volume.name, None))):
                    index[key] = None if key in index else each
        world.cache["libvirt_volume"] = index
    found: Resource | None = world.cache["libvirt_volume"].get((name, pool))
    return found


def disk_name(draft: Draft) -> str:
    """The name of the disk that was put last, as the field table names them."""
    number = len(draft.document["disks"]) - 1
    return "root" if number == 0 else f"disk{number}"


def put_disk(draft: Draft, resource: Resource, world: World) -> Part:
    """A disk of the VM that is the volume `resource`."""
    volume = covered(resource).read(Volume)
    part = draft.of("disks", resource)
    part.values["name"] = disk_name(draft)
    part.values["terraform_address"] = resource.address
    size = with_unit(volume.capacity, volume.capacity_unit, "b") or scaled(volume.size, 1)
    base = _base(resource, volume, world)
    if size is None and base is not None and not part.covers("capacity"):
        # A volume without a size of its own takes that of its base; a size of 0 is shown as unknown.
        own = base.read(Volume)
        size = with_unit(own.capacity, own.capacity_unit, "b") or scaled(own.size, 1)
    if size is not None:
        part.put("size", size, "size" if volume.capacity is None else "capacity")
    else:
        part.later("size")
    part.copy(volume, "pool")
    if volume.target is not None:
        part.put_whole("encrypted", volume.target.encryption is not None, "target")
    image = _image(base.read(Volume) if base else volume) or volume.base_volume_name
    if image and "image" not in draft.document and len(draft.document["disks"]) == 1:
        draft.document["image"] = image
    return part


def _base(resource: Resource, volume: Volume, world: World) -> Resource | None:
    """The volume that this one was made from, where this file makes it."""
    base = world.one(resource, ("base_volume_id",), volume.base_volume_id, "libvirt_volume")
    if base is None and volume.base_volume_name:
        base = by_name(world, volume.base_volume_name, None)
    if base is None and volume.backing_store is not None:
        base = world.one(resource, ("backing_store",), None, "libvirt_volume")
    return covered(base) if base else None


def _image(volume: Volume) -> str | None:
    url = volume.create.content.url if volume.create and volume.create.content else None
    source = url or volume.source or (volume.backing_store.path if volume.backing_store else None)
    return source.rpartition("/")[2] if source else volume.name if volume.source else None


def put_cloud_init(draft: Draft, world: World, value: str | None, path: Sequence[str | int]) -> None:
    """``user_data`` of the cloud-init disk that the attribute at `path` names."""
    disk = world.one(draft.resource, path, value, "libvirt_cloudinit_disk")
    if disk is not None:
        _put(draft, disk)
    elif value or draft.root.covers(str(path[0])):
        draft.later("user_data")


def put_cloud_init_volume(draft: Draft, volume: Resource, world: World) -> None:
    """``user_data`` of a CD-ROM of provider 0.9: a volume whose content is the path of a cloud-init disk."""
    own = covered(volume).read(Volume)
    url = own.create.content.url if own.create and own.create.content else None
    disk = world.one(volume, ("create",), url, "libvirt_cloudinit_disk")
    if disk is not None:
        _put(draft, disk)


def _put(draft: Draft, disk: Resource) -> None:
    part = Part(draft, draft.document, "", disk.later, disk.hidden)
    put_user_data(part, covered(disk).read(CloudInit).user_data, "user_data")
