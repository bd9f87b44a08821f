"""How each field of a VM is changed: what Proxmox does at once, what waits for a power cycle, and the text of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...model.planner import Change
from ...model.vm import VM
from ..driver import Conflict, Failed, Progress
from . import build, listing
from . import config as text
from .plan import mac, volume
from .room import Need

if TYPE_CHECKING:
    from .driver import ProxmoxDriver

_COLD = ("cpus", "cpu_topology", "memory", "memory_minimum")
_MOST = {"scsi": 31, "net": 32}


@dataclass(frozen=True)
class Edit:
    """What to write into a configuration, what to take out of it, and the places of devices; None for one that goes."""

    values: Mapping[str, Any] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    places: Mapping[str, str | None] = field(default_factory=dict)


def refine(change: Change, actual: VM) -> str:
    """How Proxmox must do `change`: what the field table allows at best, or more."""
    how = change.how
    if actual.power != "on" or how not in ("live", "mark"):
        return how
    if change.keys[0] in _COLD:
        return "power_cycle"
    if change.keys[0] == "disks" and len(change.keys) == 2 and "disk" not in actual.state.get("hotplug", ()):
        return "power_cycle"
    if change.keys[0] == "nics" and "network" not in actual.state.get("hotplug", ()):
        return "power_cycle"
    return how


def make(driver: ProxmoxDriver, desired: VM, actual: VM, change: Change, progress: Progress) -> None:
    """Do one change of hardware or place to the VM, as it is now: running or not."""
    node, vmid, config = listing.find(driver.api, actual)
    path, name = f"nodes/{node}/qemu/{vmid}", actual.name
    running = driver.power_of.state(path, name) != "stopped"
    kind = change.keys[0]
    if kind == "host":
        driver.placement.migrate(actual, node, vmid, str(change.after), running, progress)
    elif kind == "resource_pool":
        driver.placement.put(vmid, name, str(change.after), progress)
    elif kind == "ha_priority":
        driver.placement.manage(vmid, name, change.after == "medium", running)
    elif kind == "disks" and change.keys[2:] in (("pool",), ("tier",)):
        wanted = next(disk for disk in desired["disks"] if disk["name"] == change.keys[1])
        _move(driver, actual, change.keys[1], driver.pool_of(wanted), progress)
    elif kind == "disks" and change.keys[2:] == ("size",):
        key = _place(driver, actual, "disks", change.keys[1])
        there = next((drive for drive in text.drives(config) if drive.key == key), None)
        if there is not None and there.storage:
            need = Need(name, node, there.storage, max(0, change.after - there.size))
            driver.room.space([need], [node], "the disk is as large as it was")
        build.grow(driver, path, name, key, change.after, progress)
    else:
        if kind == "disks" and len(change.keys) == 2:
            driver.room.space([Need(name, node, driver.pool_of(change.after), change.after["size"])], [node])
        edit = edit_of(driver, desired, actual, change, config)
        if edit.places:  # known before it is there: a run that is killed in between finds its own again
            driver.remember(actual, {key: value for key, value in edit.places.items() if value}, progress)
            config = driver.api.get(f"{path}/config", "read the VM", name)
        _write(driver, path, name, edit, config, change, running, progress)
        if None in edit.places.values():
            driver.remember(actual, edit.places, progress)


def _move(driver: ProxmoxDriver, actual: VM, disk: str, storage: str, progress: Progress) -> None:
    """Move a disk that is not there yet to a storage, if that has room."""
    node, vmid, config = listing.find(driver.api, actual)
    path, name, key = f"nodes/{node}/qemu/{vmid}", actual.name, _place(driver, actual, "disks", disk)
    there = next((drive for drive in text.drives(config) if drive.key == key), None)
    if there is None or there.storage == storage:
        return
    driver.room.space([Need(name, node, storage, there.size)], [node], "the disk stays where it is")
    build.move(driver, path, name, key, disk, storage, config, progress)


def _write(
    driver: ProxmoxDriver,
    path: str,
    name: str,
    edit: Edit,
    config: text.Config,
    change: Change,
    running: bool,
    progress: Progress,
) -> None:
    """Write an edit, provided that the configuration is still the one that it was made from; and see it in effect."""
    doing = f"change {change.field}"
    values = {**edit.values, **({"delete": ",".join(edit.gone)} if edit.gone else {})}

    def act() -> None:
        upid = driver.api.post(f"{path}/config", doing, name, digest=config.get("digest"), **values)
        driver.tasks.finish(upid, doing, name, progress)

    driver.tasks.patiently(act, name, progress, path)
    if not running:
        return
    keys = {*edit.values, *edit.gone}
    left = [
        str(item.get("key"))
        for item in driver.api.get(f"{path}/pending", doing, name)
        if item.get("key") in keys and ("pending" in item or item.get("delete"))
    ]
    if left:
        raise Failed(
            f"Proxmox keeps the change of {change.field} ({', '.join(sorted(left))}) for the next start of the VM",
            site=driver.site,
            vm=name,
            todo="Restart the VM, or allow hotplug for it (qm set --hotplug disk,network,usb)",
        )


def edit_of(driver: ProxmoxDriver, desired: VM, actual: VM, change: Change, config: text.Config) -> Edit:
    """What `change` writes."""
    kind = change.keys[0]
    if kind in ("cpus", "cpu_topology"):
        return _processor(desired, change, config)
    if kind == "cpu_limit":
        return Edit({"cpulimit": text.cpu_limit(change.after, text.cpus_of(config))})
    if kind == "memory":
        return Edit({"memory": change.after // text.MIB})
    if kind == "memory_minimum":
        return Edit({"balloon": change.after // text.MIB})
    if kind == "disks":
        return _disk(driver, actual, change, config)
    if kind == "nics":
        return _nic(driver, desired, actual, change, config)
    raise AssertionError(f"no change of {change.field}")


def _processor(desired: VM, change: Change, config: text.Config) -> Edit:
    """Number and topology together, and with the number the limit, which is a share of it. A topology that nobody
    manages stays as long as its sockets divide the number."""
    topology = desired["cpu_topology"]
    cpus = int(desired["cpus"] or text.cpus_of(config))
    sockets = int(topology["sockets"] if topology else config.get("sockets") or 1)
    if not topology and cpus % sockets:
        sockets = 1
    cores = int(topology["cores"]) if topology else cpus // sockets
    limit = {"cpulimit": text.cpu_limit(desired["cpu_limit"], cpus)} if desired["cpu_limit"] is not None else {}
    return Edit({"sockets": sockets, "cores": cores, **limit}, ("vcpus",) if "vcpus" in config else ())


def _disk(driver: ProxmoxDriver, actual: VM, change: Change, config: text.Config) -> Edit:
    name = change.keys[1]
    if len(change.keys) == 2:
        key = _free(driver, actual, "scsi", config, name)
        return Edit({key: volume(driver, change.after)}, places={name: key})
    key = _place(driver, actual, "disks", name)
    drive = next(drive for drive in text.drives(config) if drive.key == key)
    options = text.disk_options({change.keys[2]: change.after})
    mine = {"iops_limit": ("iops",), "bandwidth_limit": ("bps", "mbps")}[change.keys[2]]
    return Edit({key: text.join(drive.volume, {**drive.options, **{option: options[option] for option in mine}})})


def _nic(driver: ProxmoxDriver, desired: VM, actual: VM, change: Change, config: text.Config) -> Edit:
    name = change.keys[1]
    if len(change.keys) == 2 and change.after is None:
        return Edit(gone=(_place(driver, actual, "nics", name),), places={name: None})
    if len(change.keys) == 2:
        key = _free(driver, actual, "net", config, name)
        return Edit({key: text.nic_value(change.after, mac(str(actual.uuid), change.after))}, places={name: key})
    key = _place(driver, actual, "nics", name)
    there = next(nic for nic in text.nics(config) if nic.key == key)
    nic = {**text.read_nic(there, name), change.keys[2]: change.after}
    address = nic.get("mac") or mac(str(actual.uuid), nic)
    return Edit({key: text.nic_value(nic, address, there.model, there.options)})


def _place(driver: ProxmoxDriver, actual: VM, kind: str, name: str) -> str:
    """The place of a disk or NIC that the VM has."""
    found = actual.state.get(kind, {}).get(name)
    if found is None:
        raise Conflict(
            f"it has no {kind[:-1]} '{name}' any more; nothing was changed",
            site=driver.site,
            vm=actual.name,
            todo="Run again; somebody else changes this VM",
        )
    return str(found["key"])


def _free(driver: ProxmoxDriver, actual: VM, prefix: str, config: text.Config, name: str) -> str:
    """A place for a new device: the one that an interrupted run chose for it, else the first that nobody has."""
    chosen = driver.places(actual, config)
    if name in chosen and chosen[name] not in config and chosen[name].startswith(prefix):
        return chosen[name]
    key = text.free_key({**config, **dict.fromkeys(chosen.values())}, prefix, _MOST[prefix])
    if key is None:
        raise Conflict(
            f"there is no place left for '{name}'; nothing was changed",
            site=driver.site,
            vm=actual.name,
            todo="Remove a device first",
        )
    return key
