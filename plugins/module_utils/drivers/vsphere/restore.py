"""Restore: a new VM of disks that were kept, or a twin of it that reaches nothing; and what is kept beside them."""

from __future__ import annotations

import re
import uuid as uuids
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...model.vm import VM, Mark
from .. import qcow2
from ..driver import Conflict, Progress
from ..ownership import Written, identity
from . import build, devices
from .plan import Plan, cloudinit
from .settings import kind_of

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


def still_isolated(written: Written, hardware: Sequence[Any], site: str, vm: str) -> None:
    """Raise Conflict for the twin of a drill that has a NIC: it must not be started."""
    if written.mark.fleet.endswith("/drill") and devices.nics(hardware):
        raise Conflict(
            "the twin has a NIC that is not isolated; it was not started",
            site=site,
            vm=vm,
            todo="Delete it; the drill makes a new one",
        )
