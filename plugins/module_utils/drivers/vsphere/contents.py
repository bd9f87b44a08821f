"""The disks of a VM that is made of an image, or of what was kept: sent to its host while vCenter holds the VM under a
lease. A lease that is not completed takes the VM with it."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...model.units import format_size
from ...model.vm import VM
from .. import qcow2
from ..driver import Conflict, Image, Progress
from . import devices, lease
from .plan import Plan
from .sdk import vim
from .site import Cluster
from .vmdk import Stream

if TYPE_CHECKING:
    from .driver import VsphereDriver


def disk_of(desired: VM, image: Image, site: str) -> str:
    """The name of the disk that an image becomes: the first. Raises Conflict for a VM without one, and for a file that
    is no image that stands alone."""
    qcow2.check_image(image.path, site, desired.name)
    disks = desired["disks"] or ()
    if not disks:
        raise Conflict(
            f"it has no disk that the image '{image.name}' could become; nothing was made",
            site=site,
            vm=desired.name,
            todo="Give the VM a disk",
        )
    return str(disks[0]["name"])


def sized(plan: Plan, site: str) -> Plan:
    """The plan with disks as large as what they hold: the content is sent first. Raises Conflict for one that is
    smaller."""
    disks = []
    for disk in plan.desired["disks"] or ():
        path = plan.contents.get(disk["name"])
        size = qcow2.virtual_size(path) if path else disk["size"]
        if size > disk["size"]:
            raise Conflict(
                f"the content of the disk '{disk['name']}' has {format_size(size)} and does not fit into "
                f"{format_size(disk['size'])}; nothing was made",
                site=site,
                vm=plan.desired.name,
                todo=f"Give the disk at least {format_size(size)}",
            )
        disks.append({**disk, "size": size})
    return replace(plan, desired=replace(plan.desired, spec={**plan.desired.spec, "disks": disks}))


def bring(driver: VsphereDriver, plan: Plan, cluster: Cluster, spec: Any, progress: Progress) -> Any:
    """Make the VM of `spec`, and its disks of what the plan holds for them. Returns vCenter's reference."""
    name = plan.desired.name
    added = [change.device for change in spec.deviceChange]
    drives = {disk.place: disk for disk in devices.disks(added)}
    wanted = [
        (item, lease.place_of(drives[place].device, added)) for item, place in plan.devices.items() if place in drives
    ]
    folder, host = driver.places.folder(cluster, plan.desired), driver.places.host(cluster, plan.desired)
    with tempfile.TemporaryDirectory(prefix="muster-restore-") as scratch:
        streams = {}
        for item, path in plan.contents.items():
            progress(f"{name}: packing the disk '{item}'")
            streams[item] = Stream(path, Path(scratch), item, driver.site, name)
        whole = vim.vm.VmImportSpec(configSpec=spec)
        doing = "import the VM"
        with lease.held(driver, doing, lambda: cluster.pool.ImportVApp(whole, folder, host), name, progress) as taken:
            urls = taken.disks(wanted)
            taken.total = sum(stream.length for stream in streams.values()) or 1
            for item, stream in streams.items():
                progress(f"{name}: uploading the disk '{item}'")
                taken.upload(urls[item], item, stream, progress)
            return taken.entity


def growth(driver: VsphereDriver, plan: Plan, made: Any) -> list[Any]:
    """What gives the disks the sizes that were asked for, where their content is smaller."""
    named = {place: disk for disk in plan.desired["disks"] or () if (place := plan.devices.get(disk["name"]))}
    (one,) = driver.session.properties([made], ["config.hardware.device"], "read the VM", plan.desired.name)
    return [
        devices.change("edit", devices.grown(disk, named[disk.place]["size"]))
        for disk in devices.disks(one.get("config.hardware.device") or ())
        if disk.place in named and disk.size < named[disk.place]["size"]
    ]
