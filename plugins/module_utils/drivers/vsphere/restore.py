"""Restore: a new VM of disks that were kept. Its disks are sent while vCenter holds it under a lease; it bears its
mark, as *not built*, from its first moment, and a lease that is not completed takes the VM with it."""

from __future__ import annotations

import re
import tempfile
import uuid as uuids
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...model.units import format_size
from ...model.vm import VM, Mark
from .. import qcow2
from ..driver import Conflict, Progress
from ..ownership import Written, identity
from . import build, devices, lease
from .plan import Plan, cloudinit
from .sdk import vim
from .settings import kind_of
from .site import Cluster
from .vmdk import Stream

if TYPE_CHECKING:
    from .driver import VsphereDriver

_GUEST = re.compile(r"[A-Za-z0-9_]{1,64}")


def make(
    driver: VsphereDriver, desired: VM, mark: Mark, disks: Mapping[str, Path], isolated: bool, progress: Progress
) -> VM:
    """`desired` made of `disks`, powered off; `isolated`: under an identity of its own and without a NIC."""
    for path in disks.values():
        qcow2.check_image(path, driver.site, desired.name)
    uuid = str(uuids.uuid4()) if isolated else identity(mark, driver.site)
    seed = str(desired.state.get("seed") or desired.uuid or uuid)
    if isolated:
        desired = replace(desired, spec={**desired.spec, "nics": [], "host": None})
    guest: dict[str, str] = {}
    if desired["image"]:  # it was cloud-init that made this guest what it is, and it must see that nothing changed
        hostname = str(desired.state.get("hostname") or desired.name)
        guest = cloudinit(driver.access["ssh"] or {}, seed, hostname, driver.site, desired.name)
    was = said(desired.state.get("platform"))
    plan = Plan(desired, uuid, mark, guest=guest, contents=dict(disks), seed=seed, was=was)
    return build.earlier(driver, plan, progress) or build.make(driver, plan, progress)


def shape(driver: VsphereDriver, obj: Any, vm: str, hardware: Sequence[Any]) -> dict[str, str]:
    """What a VM is beside its fields, which its guest would miss: the kind of its guest and of its SCSI controller."""
    found = driver.session.properties([obj], ["config.guestId"], "read the VM", vm)
    controller = devices.controllers(hardware).get(0)
    kept = {
        "guest_id": str(found[0].get("config.guestId") or "") if found else "",
        "controller": kind_of(controller) if controller is not None else "",
    }
    return said(kept)


def said(kept: Any) -> dict[str, str]:
    """What `shape` says that can be: a restore point may have been written by others."""
    kept = kept if isinstance(kept, Mapping) else {}
    guest, controller = str(kept.get("guest_id") or ""), str(kept.get("controller") or "")
    return {
        **({"guest_id": guest} if _GUEST.fullmatch(guest) else {}),
        **({"controller": controller} if controller in devices.CONTROLLERS else {}),
    }


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
    folder, host = driver.places.folder(cluster), cluster.hosts.get(str(plan.desired["host"]))
    with tempfile.TemporaryDirectory(prefix="muster-restore-") as scratch:
        streams = {}
        for item, path in plan.contents.items():
            progress(f"{name}: packing the disk '{item}'")
            streams[item] = Stream(path, Path(scratch), item, driver.site, name)
        whole = vim.vm.VmImportSpec(configSpec=spec)
        doing = "import the VM"
        with lease.held(driver, doing, lambda: cluster.pool.ImportVApp(whole, folder, host), name, progress) as taken:
            urls = taken.disks(wanted, "importKey")
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


def still_isolated(written: Written, hardware: Sequence[Any], site: str, vm: str) -> None:
    """Raise Conflict for the twin of a drill that has a NIC: it must not be started."""
    if written.mark.fleet.endswith("/drill") and devices.nics(hardware):
        raise Conflict(
            "the twin has a NIC that is not isolated; it was not started",
            site=site,
            vm=vm,
            todo="Delete it; the drill makes a new one",
        )
