"""Reading a site: one question for all VMs, then each one's configuration, several at the same time."""

from __future__ import annotations

import contextlib
import uuid as uuids
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from ...model.vm import VM
from .. import ownership, usage
from ..driver import DriverError, Failed, NotFound, Snapshot, Unreachable
from . import config as text
from . import guest, rights
from . import mark as marks
from .connection import WIDTH, Api
from .snapshots import every as every_snapshot

_POWER = {"running": "on", "stopped": "off", "paused": "paused", "suspended": "paused", "prelaunch": "paused",
          "io-error": "paused", "internal-error": "crashed", "guest-panicked": "crashed"}
Resource = Mapping[str, Any]


def resources(api: Api) -> list[dict[str, Any]]:
    """The QEMU VMs of the cluster as ``cluster/resources`` tells them, without its templates."""
    return [one for one in _known(api) if not one.get("template")]


def templates(api: Api) -> list[dict[str, Any]]:
    """The templates among them."""
    return [one for one in _known(api) if one.get("template")]


def _known(api: Api) -> list[dict[str, Any]]:
    rights.of(api)  # else nobody may count on the list
    found = api.get("cluster/resources", "list the VMs", type="vm")
    try:
        return [
            {**one, "vmid": int(one["vmid"]), "node": str(one["node"]), "pool": str(one.get("pool") or "")}
            for one in found if one["type"] == "qemu"
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable(api, "the list of the VMs", None, error) from error


def _unreadable(api: Api, what: str, vm: str | None, error: Exception) -> Failed:
    return Failed(
        f"what Proxmox says of {what} cannot be read: {type(error).__name__} {error}",
        site=api.site,
        vm=vm,
        todo="Look at it with 'pvesh get /cluster/resources' and 'qm config'",
    )


def every(api: Api, wanted: Callable[[Resource], bool], strict: bool = True) -> list[VM]:
    """The VMs of the site that are `wanted`. Raises Unreachable where a VM of Muster lies on a node that does not
    answer: nobody may take it for absent."""
    vms = [one for one in resources(api) if wanted(one)]
    with ThreadPoolExecutor(max_workers=WIDTH) as pool:
        read = list(pool.map(lambda one: _one(api, one, strict), vms))
    gone = [one for one, found in zip(vms, read, strict=True) if found is None]
    if gone:  # they moved, or are gone since the list was made: the list is asked again, for these alone
        numbers = {one["vmid"] for one in gone}
        again = [one for one in resources(api) if one["vmid"] in numbers]
        read += [found for found in (_one(api, one, strict) for one in again) if found is not None]
    return _hazy([found for found in read if found is not None])


def _hazy(vms: list[VM]) -> list[VM]:
    """The VMs. Where no VM of others has a tag that names its owner, owners are written down elsewhere: unknown."""
    others = [vm for vm in vms if vm.mark is None]
    if any("owner" in vm["tags"] for vm in others):
        return vms
    return [replace(vm, state={**vm.state, "unknown": ["tags.owner"]}) if vm.mark is None else vm for vm in vms]


def _one(api: Api, resource: Resource, strict: bool) -> VM | None:
    """One VM; None where it is not on that node any more. One of others on a node that is down is told by name alone,
    and so is one of Muster where nobody is `strict`."""
    node, vmid = resource["node"], resource["vmid"]
    path = f"nodes/{node}/qemu/{vmid}"
    name = str(resource.get("name") or f"VM {vmid}")
    try:
        config = api.get(f"{path}/config", "read the VM", name)
        status = api.get(f"{path}/status/current", "read the VM", name) if _unclear(resource) else resource
    except NotFound:
        return None
    except Unreachable:
        if resource.get("status") != "unknown":  # the cluster holds the node for alive: that is an error like others
            raise
        if strict and marks.TAG in str(resource.get("tags") or "").split(";"):
            raise Unreachable(
                f"it is on node '{node}', which does not answer, so nothing is known of it; nothing was changed",
                site=api.site,
                vm=name,
                todo="Bring the node back, or take it out of the cluster (pvecm delnode) and recover its VMs",
            ) from None
        tags = {"tags": marks.told(resource.get("tags"))}
        return VM(name, api.site, tags, foreign_uuid(api.site, vmid), None, {"power": "unknown", "vmid": vmid})
    return read(api, resource, config, status)


def _unclear(resource: Resource) -> bool:
    """Whether the list does not tell the power: it knows running and stopped alone."""
    return resource.get("status") not in ("running", "stopped") or bool(resource.get("lock"))


def read(api: Api, resource: Resource, config: Mapping[str, Any], status: Resource) -> VM:
    """One VM of what Proxmox says of it. Raises Failed for what is no configuration."""
    try:
        return _read(api, resource, config, status)
    except (KeyError, TypeError, ValueError, AttributeError) as error:  # never one VM less
        name = str(resource.get("name"))
        raise _unreadable(api, f"the VM '{name}'", name, error) from error


def _read(api: Api, resource: Resource, config: Mapping[str, Any], status: Resource) -> VM:
    vmid = resource["vmid"]
    written = marks.read(config, vmid)
    devices = (written.platform.get("devices") or {}) if written else {}
    names = {str(key): str(name) for name, key in devices.items()}
    drives, nics = text.drives(config), text.nics(config)
    power = _POWER.get(str(status.get("qmpstatus") or status.get("status")), "unknown")
    sockets = int(config.get("sockets") or 1)
    spec: dict[str, Any] = {
        "cpus": text.cpus_of(config),
        "cpu_topology": {"sockets": sockets, "cores": int(config.get("cores") or 1), "threads": 1},
        "cpu_limit": text.cpu_limit_of(config),
        "memory": text.memory_of(config),
        "disks": [text.read_disk(drive, names.get(drive.key, drive.key)) for drive in drives],
        "nics": [text.read_nic(nic, names.get(nic.key, nic.key)) for nic in nics],
        "firmware": "uefi" if config.get("bios") == "ovmf" else "bios",
        "secure_boot": text.split(config.get("efidisk0", ""))[1].get("pre-enrolled-keys") == "1",
        "host": resource["node"],
        "ha_priority": "medium" if resource.get("hastate") else "disabled",
        "power": "on" if power == "on" else "off",
    }
    if "pool" in resource:
        spec["resource_pool"] = resource["pool"]
    if config.get("balloon"):
        spec["memory_minimum"] = int(config["balloon"]) * text.MIB
    state: dict[str, Any] = {
        "power": power,
        "built": written is None or written.built,
        "vmid": vmid,
        "node": resource["node"],
        "lock": str(resource.get("lock") or config.get("lock") or ""),
        "hotplug": _hotplug(config),
        "disks": {names.get(drive.key, drive.key): {
            "key": drive.key, "volume": drive.volume, "bus": drive.key.rstrip("0123456789")} for drive in drives},
        "nics": {names.get(nic.key, nic.key): {
            "key": nic.key, "model": nic.model, "firewall": nic.options.get("firewall") == "1"} for nic in nics},
        "proxmox": text.facts(config),
    }
    if "uptime" in resource:  # a node that is down tells none
        state |= usage.of(power, float(resource.get("cpu") or 0), int(resource.get("mem") or 0),
                          int(resource.get("maxmem") or 0), int(resource["uptime"] or 0))
    if power == "on" and written is not None and str(config.get("agent", "0")).startswith(("1", "enabled=1")):
        addresses = guest.addresses(api, f"nodes/{resource['node']}/qemu/{vmid}", str(resource.get("name")))
        if addresses:
            state["addresses"], state["address"] = addresses, addresses[0]
    if written is None:
        spec["tags"] = marks.told(config.get("tags"))
    else:
        spec.update({key: value for key, value in written.fields.items() if key in marks.FIELDS and value is not None})
        state["seed"], state["ready"] = written.seed, written.ready
        kept = {disk["name"]: disk for disk in written.fields.get("disks") or ()}
        for disk in spec["disks"]:
            if disk["name"] in kept:
                marks.disk(disk, kept[disk["name"]])
    name = str(config.get("name") or resource.get("name") or f"VM {vmid}")
    return VM(
        name, api.site, spec, marks.uuid(config, vmid) or foreign_uuid(api.site, vmid),
        written.mark if written else None, state,
    )


def _hotplug(config: Mapping[str, Any]) -> list[str]:
    """What of a running VM can be changed at once."""
    said = str(config.get("hotplug", "network,disk,usb"))
    return {"1": ["network", "disk", "usb"], "0": []}.get(said, [part for part in said.split(",") if part])


def foreign_uuid(site: str, vmid: int) -> str:
    """An identity for a VM of others that has none: its number, which is all that Proxmox itself has."""
    return str(uuids.uuid5(uuids.NAMESPACE_URL, f"{ownership.NAMESPACE}/{site}/qemu/{vmid}"))


Found = tuple[str, int, dict[str, Any]]


def find(api: Api, vm: VM) -> Found:
    """Node, number and configuration of the VM that bears the UUID of `vm`, wherever it was moved and however it is
    called now. Raises NotFound, and Unreachable where a node that may hold it does not answer.

    Nearly always it is where it was: there it is looked for first, and the cluster is asked only where it is not.
    """
    known, node = vm.state.get("vmid"), vm.state.get("node")
    if known is not None and node:
        with contextlib.suppress(DriverError):  # it was moved, that node is down: then the list is asked, and says so
            found = _at(api, vm, str(node), int(known))
            if found is not None:
                return found
    moved: set[int] | None = None
    while moved is None or moved:
        listed = [one for one in resources(api) if moved is None or one["vmid"] in moved]
        again = set[int]()
        for part in ([one for one in listed if one["vmid"] == known], [one for one in listed if one["vmid"] != known]):
            found = _among(api, vm, part, again)
            if found is not None:
                return found
        moved = again if moved is None else set()  # what moved between the two is looked for once more
    raise NotFound(
        f"unable to find the VM: no VM of the cluster has the UUID {vm.uuid}",
        site=api.site,
        vm=vm.name,
        todo="List the VMs of the site with muster.fleet.vm_info",
    )


def _at(api: Api, vm: VM, node: str, vmid: int) -> Found | None:
    """The VM of this number on `node`, where it bears the UUID of `vm`. Raises NotFound where there is none."""
    config = api.get(f"nodes/{node}/qemu/{vmid}/config", "find the VM", vm.name)
    same = (marks.uuid(config, vmid) or foreign_uuid(api.site, vmid)) == vm.uuid and not config.get("template")
    return (node, vmid, config) if same else None


def _among(api: Api, vm: VM, listed: Sequence[Resource], gone: set[int]) -> Found | None:
    """The one of `listed` that is `vm`; the numbers of those that are not there any more go to `gone`."""

    def read(one: Resource) -> Found | DriverError | None:
        try:
            return _at(api, vm, one["node"], one["vmid"])
        except NotFound:
            gone.add(one["vmid"])
            return None
        except DriverError as error:
            return error

    with ThreadPoolExecutor(max_workers=WIDTH) as pool:
        read_ = list(pool.map(read, listed))
    found = next((one for one in read_ if isinstance(one, tuple)), None)
    for error in read_ if found is None else ():
        if isinstance(error, DriverError):
            raise error
    return found


def resource(api: Api, node: str, vmid: int, name: str) -> Resource:
    """One VM as ``cluster/resources`` tells it, and QEMU's own word for its power beside."""
    status = api.get(f"nodes/{node}/qemu/{vmid}/status/current", "read the VM", name)
    care = status.get("ha") or {}
    managed = {"hastate": care.get("state") or "started"} if care.get("managed") else {}
    return {**status, **managed, "vmid": vmid, "node": node}


def current(api: Api, vm: VM) -> VM:
    """The VM as it is now, in the pool that `vm` says: Proxmox tells that with the whole cluster alone."""
    node, vmid, config = find(api, vm)
    pool = {} if vm["resource_pool"] is None else {"pool": vm["resource_pool"]}
    now = {**resource(api, node, vmid, vm.name), **pool}
    return read(api, now, config, now)


def pooled(api: Api, vm: VM) -> VM:
    """`vm`, in the pool that it is in now."""
    found = [one["pool"] for one in resources(api) if one["vmid"] == vm.state.get("vmid")]
    return into(vm, found[0]) if found else vm


def into(vm: VM, pool: str) -> VM:
    """`vm`, said to be in this pool."""
    return replace(vm, spec={**vm.spec, "resource_pool": pool})


def snapshots(api: Api, vms: Sequence[VM]) -> dict[str, list[Snapshot]]:
    """The snapshots of those VMs that are where they were listed, by UUID, several asked at the same time."""

    def ask(vm: VM) -> list[Snapshot] | None:
        try:
            return every_snapshot(api, f"nodes/{vm.state['node']}/qemu/{vm.state['vmid']}", vm.name)
        except DriverError:  # whoever asks for this one alone learns why
            return None

    there = [vm for vm in vms if vm.state.get("node")]
    with ThreadPoolExecutor(max_workers=WIDTH) as pool:
        told = zip(there, pool.map(ask, there), strict=True)
        return {str(vm.uuid): found for vm, found in told if found is not None}
