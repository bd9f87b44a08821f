"""Moving a VM to another host or cluster, and its disks to other datastores, while it runs."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from ...model.vm import VM
from ..driver import Conflict, Failed, Progress
from . import devices, listing
from .sdk import vim
from .site import Cluster, Places

if TYPE_CHECKING:
    from .driver import VsphereDriver
    from .plan import Plan

PLACES = (("pool",), ("tier",))  # keys of a disk's change, below its name, that move it


def reaches(places: Places, actual: VM, wanted: VM) -> bool:
    """Whether a VM can be moved, with nothing of it changed, to the cluster of what is `wanted`: one that shares its
    datacenter, its datastores and its networks. One that is not known is for the driver's `check` to refuse."""
    there = next((one for one in places.clusters() if one.fits(wanted)), None)
    here = next((one for one in places.clusters() if actual["host"] in one.hosts), None)
    if there is None or there is here:
        return True
    needed = [(disk["pool"], there.datastores) for disk in actual["disks"] or ()]
    needed += [(nic["network"], there.networks) for nic in actual["nics"] or ()]
    return (here is None or here.datacenter == there.datacenter) and all(name in known for name, known in needed)


def move(driver: VsphereDriver, desired: VM, actual: VM, progress: Progress) -> bool:
    """Move the VM to the host and the cluster that it names now. Whether it left its cluster, and with it what that
    promised of it."""
    obj, one, written = driver.owned(actual, "move the VM")
    cluster = driver.places.cluster(desired)
    left = one.get("runtime.host") not in cluster.hosts.values()
    if left:
        driver.placement.leave(obj, one.get("runtime.host"), actual.name, written.mark, progress)
    host = driver.places.host(cluster, desired)
    where = f"the host '{desired['host']}'" if desired["host"] else f"the cluster '{cluster.name}'"
    progress(f"{actual.name}: moving to {where}")
    # Within its cluster it stays in its resource pool or vApp, and has the shares, limits and reservations of that.
    location = vim.vm.RelocateSpec(host=host, pool=cluster.pool if left else None)
    doing = f"move the VM to {where}"
    driver.tasks.run(doing, lambda: obj.RelocateVM_Task(location, "defaultPriority"), actual.name, progress)
    found = driver.session.properties([obj], ["runtime.host"], "move the VM", actual.name)
    if not found or found[0].get("runtime.host") not in ([host] if host else cluster.hosts.values()):
        raise Failed(
            f"unable to {doing}: vCenter reported it as done, yet it is elsewhere",
            site=driver.site,
            vm=actual.name,
            todo="Run again; if it stays, look at the rules of DRS",
        )
    return left


def here(driver: VsphereDriver, actual: VM, pool: str | None = None) -> Cluster:
    """The cluster that a VM is in, whatever its file says, with this resource pool of it."""
    return driver.places.cluster(VM(actual.name, actual.site, {"host": actual["host"], "resource_pool": pool}))


def move_into_pool(driver: VsphereDriver, desired: VM, actual: VM, progress: Progress) -> None:
    """Move the VM to the resource pool that it names, on the host that it is on."""
    obj, one, _written = driver.owned(actual, "move the VM")
    path = str(desired["resource_pool"])
    wanted = here(driver, listing.now(driver.session, obj, one), path).pool
    if one.get("resourcePool") == wanted:
        return
    doing = f"move the VM into the resource pool '{path}'"
    if isinstance(one.get("resourcePool"), vim.VirtualApp):
        raise Conflict(
            f"unable to {doing}: it is in a vApp, which it would leave; it was left there",
            site=driver.site,
            vm=actual.name,
            todo="Take it out of the vApp in vCenter, or take resource_pool out of the fleet file",
        )
    progress(f"{actual.name}: moving into the resource pool '{path}'")
    driver.session.do(doing, lambda: wanted.MoveIntoResourcePool([obj]), actual.name)
    _arrived(driver, actual, "resourcePool", wanted, doing)


def move_into_folder(driver: VsphereDriver, desired: VM, actual: VM, progress: Progress) -> None:
    """Move the VM to the folder that it names."""
    obj, one, _written = driver.owned(actual, "move the VM")
    wanted = driver.places.folder(here(driver, listing.now(driver.session, obj, one)), desired)
    if one.get("parent") == wanted:
        return
    doing = f"move the VM into the folder '{desired['folder']}'"
    progress(f"{actual.name}: moving into the folder '{desired['folder']}'")
    driver.tasks.run(doing, lambda: wanted.MoveIntoFolder_Task([obj]), actual.name, progress)
    _arrived(driver, actual, "parent", wanted, doing)


def _arrived(driver: VsphereDriver, actual: VM, path: str, wanted: Any, doing: str) -> None:
    """Raise Failed where the VM is not where it was moved to."""
    _obj, one, _written = driver.owned(actual, "move the VM")
    if one.get(path) != wanted:
        raise Failed(
            f"unable to {doing}: vCenter reported it as done, yet it is elsewhere",
            site=driver.site,
            vm=actual.name,
            todo="Look at the VM's tasks in vCenter, then run again",
        )


def move_disks(
    driver: VsphereDriver, desired: VM, actual: VM, names: Collection[str], progress: Progress
) -> None:
    """Move the disks of these names to the datastores that they name now, all in one task. The VM's own files follow
    its first disk, as they lay with it from the beginning."""
    if not names:
        return
    obj, one, _written = driver.owned(actual, "move its disks")
    hardware, places = one.get("config.hardware.device") or (), driver.places
    cluster = here(driver, listing.now(driver.session, obj, one))
    drives = {disk.place: disk for disk in devices.disks(hardware)}
    wanted = {
        str(actual.state["disks"][disk["name"]]["place"]): driver.pool_of(disk, actual.name)
        for disk in desired["disks"] or () if disk["name"] in names
    }
    wanted = {place: pool for place, pool in wanted.items() if place in drives and drives[place].datastore != pool}
    if not wanted:
        return
    location = vim.vm.RelocateSpec(disk=[
        vim.vm.RelocateSpec.DiskLocator(
            diskId=disk.device.key,
            datastore=places.datastore(cluster, wanted.get(place, disk.datastore), actual.name),
        )
        for place, disk in drives.items()
    ])
    first = next(iter(drives))
    if first in wanted:
        location.datastore = places.datastore(cluster, wanted[first], actual.name)
    doing = f"move its disks to {', '.join(sorted(set(wanted.values())))}"
    progress(f"{actual.name}: moving {', '.join(sorted(names))} to {', '.join(sorted(set(wanted.values())))}")
    driver.tasks.run(doing, lambda: obj.RelocateVM_Task(location, "defaultPriority"), actual.name, progress)
    _obj, one, _written = driver.owned(actual, "move its disks")
    there = {disk.place: disk.datastore for disk in devices.disks(one.get("config.hardware.device") or ())}
    if any(there.get(place) != pool for place, pool in wanted.items()):
        raise Failed(
            f"unable to {doing}: vCenter reported it as done, yet they are elsewhere",
            site=driver.site,
            vm=actual.name,
            todo="Look at the VM's tasks in vCenter, then run again",
        )


def _pools(driver: VsphereDriver, plan: Plan) -> dict[str, str]:
    """The datastore that each disk asks for, by its place; {} where they all lie with the first."""
    desired = plan.desired
    found = {plan.devices[disk["name"]]: driver.pool_of(disk, desired.name) for disk in desired["disks"] or ()}
    return found if len(set(found.values())) > 1 else {}


def located(driver: VsphereDriver, plan: Plan, cluster: Cluster) -> list[Any]:
    """Where each disk of a copy goes, where not all of them go to the datastore of the first."""
    pools, name = _pools(driver, plan), plan.desired.name
    (one,) = driver.session.properties([plan.source], listing.PATHS, "read its source", name) if pools else ({},)
    return [
        vim.vm.RelocateSpec.DiskLocator(
            diskId=disk.device.key, datastore=driver.places.datastore(cluster, pools[disk.place], name)
        )
        for disk in devices.disks(one.get("config.hardware.device") or ()) if disk.place in pools
    ]


def spread(driver: VsphereDriver, plan: Plan, made: Any, progress: Progress) -> None:
    """Move a disk of the copy that is not where it was to go: vCenter was asked for that, and is not believed."""
    if _pools(driver, plan):
        (one,) = driver.session.properties([made], listing.PATHS, "read the VM", plan.desired.name)
        now = listing.now(driver.session, made, one)
        move_disks(driver, plan.desired, now, [disk["name"] for disk in plan.desired["disks"]], progress)
