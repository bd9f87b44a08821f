"""Reading a site: all VMs with their hosts, clusters and networks in one conversation, page by page."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from ...model.vm import VM
from .. import ownership, usage
from ..driver import Failed, NotFound, Unreachable
from . import addresses, devices, placement, settings, tags
from . import mark as marks
from .connection import Session
from .reading import Found, Reader
from .sdk import vim
from .site import Places, folders, kinds, pools, slowest

_POWER = {"poweredOn": "on", "poweredOff": "off", "suspended": "paused"}
PATHS = (
    "name",
    "config.changeVersion",
    "config.cpuHotAddEnabled",
    "config.extraConfig",
    "config.bootOptions.efiSecureBootEnabled",
    "config.firmware",
    "config.hardware.device",
    "config.hardware.memoryMB",
    "config.hardware.numCPU",
    "config.hardware.numCoresPerSocket",
    "config.instanceUuid",
    "config.memoryAllocation.reservation",
    "config.memoryHotAddEnabled",
    "config.template",
    "customValue",
    "guest.ipAddress",
    "guest.net",
    "guest.toolsRunningStatus",
    "parent",
    "resourcePool",
    "runtime.connectionState",
    "runtime.host",
    "runtime.powerState",
    *(_USE := ("summary.quickStats.overallCpuUsage", "summary.quickStats.hostMemoryUsage",
               "summary.quickStats.uptimeSeconds")),
    *settings.PATHS,
)
_LIGHT = ("name", "config.instanceUuid", "config.template")
Properties = Mapping[str, Any]


@dataclass(frozen=True)
class Around:
    """What VMs refer to: names of hosts, of their clusters, and of distributed port groups by key; and what their
    clusters promise of them."""

    hosts: Mapping[Any, str]
    clusters: Mapping[Any, str]  # by host
    networks: Mapping[str, str]
    care: Mapping[Any, placement.Care]  # by host
    mhz: Mapping[Any, int]  # by host: of a CPU of the slowest host of its cluster
    pools: Mapping[Any, str]  # paths of resource pools, "" for a cluster's own
    folders: Mapping[Any, str]  # paths of folders of VMs, "" for a datacenter's own


def _around(found: Iterable[tuple[Any, Properties]]) -> Around:
    known = dict(found)
    hosts = {obj: one for obj, one in known.items() if isinstance(obj, vim.HostSystem)}
    clusters = {obj: one for obj, one in known.items() if isinstance(obj, vim.ComputeResource)}
    cares = {obj: placement.care_of(one.get("configurationEx")) for obj, one in clusters.items()}
    beside: dict[Any, list[Properties]] = {}
    for one in hosts.values():
        beside.setdefault(one.get("parent"), []).append(one)
    mhz = {parent: slowest(several) for parent, several in beside.items()}
    return Around(
        {obj: str(one.get("name")) for obj, one in hosts.items()},
        {obj: str(known.get(one.get("parent"), {}).get("name", "")) for obj, one in hosts.items()},
        {
            str(one.get("key")): unquote(str(one.get("name")))
            for obj, one in known.items()
            if isinstance(obj, vim.dvs.DistributedVirtualPortgroup)
        },
        {obj: cares[one["parent"]] for obj, one in hosts.items() if one.get("parent") in cares},
        {obj: mhz[one.get("parent")] for obj, one in hosts.items()},
        pools(known),
        folders(known),
    )


def every(session: Session, places: Places) -> list[VM]:
    """All VMs of the site; no templates."""

    def reader(around: Around) -> Reader[Any]:
        def made(obj: Any, one: Properties) -> Any:
            if one.get("config.template"):
                return None
            vm = read(session, obj, one, around)
            return (vm, one.get("customValue")) if places.hold(one) or _ours(vm, one) else None

        return made

    found, vms = _walk(session, places, _paths(session), "list the VMs", reader)
    return _tagged(session, found, [vm for vm in vms if vm is not None])


def some(session: Session, places: Places, wanted: Iterable[str]) -> list[VM]:
    """The VMs that bear one of these names or UUIDs: their names are asked first, then all of those alone. One that is
    asked for by its UUID may be anywhere in vCenter. `unreadable` tells afterwards which may bear it besides."""
    words = set(wanted)
    session.memory["unreadable"] = unread = list[str]()

    def chosen_of(obj: Any, one: Properties) -> Any:
        if not one.get("config.template") and not one.get("config.instanceUuid"):
            unread.append(name_of(one))
        return None if one.get("config.template") or not words & {name_of(one), _uuid(session, obj, one)} else obj

    def reader(_around: Around) -> Reader[Any]:
        return chosen_of

    found, chosen = _walk(session, places, _LIGHT, "look for the VM", reader)
    read_ = [
        (read(session, obj, one, session.memory["around"]), one)
        for obj in chosen if obj is not None
        for one in session.properties([obj], _paths(session), "read the VM")
    ]
    kept = [(vm, one) for vm, one in read_ if vm.uuid in words or places.hold(one) or _ours(vm, one)]
    return _tagged(session, found, [(vm, one.get("customValue")) for vm, one in kept])


def _paths(session: Session) -> tuple[str, ...]:
    """What is read of a VM: what this vCenter knows."""
    return (*PATHS, *(settings.MODERN_PATHS if session.modern else ()))


def _ours(vm: VM, one: Properties) -> bool:
    """Whether a VM that is elsewhere now was made or adopted at this site, and so moved since."""
    if vm.mark is None:
        return False
    written = marks.read(one.get("config.extraConfig") or (), one.get("config.instanceUuid"))
    adopted_at = written.platform.get("site") if written else None
    return vm.uuid == ownership.identity(vm.mark, vm.site) or adopted_at == vm.site


def _walk(
    session: Session, places: Places, paths: Sequence[str], doing: str, reader: Callable[[Around], Reader[Any]]
) -> tuple[list[Found], list[Any]]:
    """What the site has around its VMs, which is remembered, and of each VM what `reader` makes of these paths."""

    def remembered(found: list[Found]) -> Reader[Any]:
        places.learn(found)
        places.see_all()
        session.memory["around"] = around = _around(found)
        return reader(around)

    asked = {**kinds(), vim.CustomFieldsManager: ["field"]}
    return session.walk(asked, {vim.VirtualMachine: paths}, doing, session.content.customFieldsManager, remembered)


def _tagged(session: Session, found: Iterable[Found], vms: list[tuple[VM, Any]]) -> list[VM]:
    """The VMs, those of others with their tags, where the service that keeps those answers. Beside each are the values
    of its custom attributes."""
    hazy = [vm for vm, _values in vms if "tags" in vm.state.get("unknown", ())]
    known = tags.attached(session, [str(vm.state["moid"]) for vm in hazy])
    if not known:
        return [vm for vm, _values in vms]
    names = {field.key: str(field.name) for obj, its in found if isinstance(obj, vim.CustomFieldsManager)
             for field in its.get("field") or ()}  # fmt: skip

    def tagged(vm: VM, values: Any) -> VM:
        if "tags" not in vm.state.get("unknown", ()):
            return vm
        its = {**tags.attributes(values, names), **known[str(vm.state["moid"])]}
        state = {key: value for key, value in vm.state.items() if key != "unknown"}
        return replace(vm, spec={**vm.spec, "tags": its}, state=state)

    return [tagged(vm, values) for vm, values in vms]


def unreadable(session: Session) -> list[str]:
    """The names of the VMs whose configuration vCenter could not read when it was last asked for some by name: each may
    bear any identity."""
    return sorted(session.memory.get("unreadable") or ())


def templates(session: Session) -> list[tuple[Any, Properties]]:
    """The templates: reference, and name with UUID."""
    found = session.survey({vim.VirtualMachine: [*_LIGHT, "runtime.host"]}, "list the templates")
    return [(obj, one) for obj, one in found if one.get("config.template")]


def name_of(one: Properties) -> str:
    """The name of a VM; vCenter writes a slash in one as %2f."""
    return unquote(str(one.get("name") or ""))


def _uuid(session: Session, obj: Any, one: Properties) -> str:
    """The instance UUID; for a VM whose configuration vCenter cannot read, or is about to write, one of its own."""
    known = one.get("config.instanceUuid")
    if known:
        return str(known).lower()
    return str(uuids.uuid5(uuids.NAMESPACE_URL, f"{ownership.NAMESPACE}/{session.site}/{obj._moId}"))


def find(session: Session, vm: VM) -> tuple[Any, Properties]:
    """Reference and properties of the VM that bears the UUID of `vm`, wherever it was moved and however it is called
    now. Raises NotFound."""
    index = session.content.searchIndex
    obj = session.ask("find the VM", lambda: index.FindByUuid(None, str(vm.uuid), True, True), vm.name)
    found = session.properties([obj], _paths(session), "find the VM", vm.name) if obj is not None else []
    if found and not found[0].get("config.instanceUuid"):
        raise Unreachable(
            "vCenter has it, and cannot read its configuration now; nothing was changed",
            site=session.site,
            vm=vm.name,
            todo="Look at its host and its datastore in vCenter, then run again",
        )
    if not found or _uuid(session, obj, found[0]) != vm.uuid:
        raise NotFound(
            f"unable to find the VM: no VM of this vCenter has the instance UUID {vm.uuid}",
            site=session.site,
            vm=vm.name,
            todo="List the VMs of the site with muster.fleet.vm_info",
        )
    return obj, found[0]


def current(session: Session, vm: VM) -> VM:
    """The VM as it is now."""
    obj, one = find(session, vm)
    return now(session, obj, one)


def now(session: Session, obj: Any, one: Properties) -> VM:
    """A VM of its properties. Names of hosts and networks are remembered; for one that is new they are asked again."""
    near = session.memory.get("around")
    if near is None or one.get("runtime.host") not in near.hosts:
        near = session.memory["around"] = _around(session.survey(kinds(), "look at the hosts"))
    return read(session, obj, one, near)


def read(session: Session, obj: Any, one: Properties, near: Around) -> VM:
    """One VM of what vCenter says of it. Raises Failed for what is no configuration."""
    name = name_of(one)
    try:
        return _read(session, obj, one, near, name)
    except (KeyError, TypeError, ValueError, AttributeError) as error:  # never one VM less
        raise Failed(
            f"what vCenter says of the VM '{name}' cannot be read: {type(error).__name__} {error}",
            site=session.site,
            vm=name,
            todo="Look at its settings in vCenter",
        ) from error


def _read(session: Session, obj: Any, one: Properties, near: Around, name: str) -> VM:
    uuid = _uuid(session, obj, one)
    host = one.get("runtime.host")
    connected = str(one.get("runtime.connectionState") or "connected") == "connected"
    power = _POWER.get(str(one.get("runtime.powerState")), "unknown") if connected else "unknown"
    state: dict[str, Any] = {"power": power, "built": True, "moid": obj._moId}
    if "config.hardware.numCPU" not in one:  # vCenter cannot read it, or a task is just making it
        state["unreadable"] = True
        return VM(name, session.site, {}, uuid, None, state)
    written = marks.read(one.get("config.extraConfig") or (), one.get("config.instanceUuid"))
    names = {place: device for device, place in marks.devices(written).items()}
    hardware = one.get("config.hardware.device") or ()
    drives, cards = devices.disks(hardware), devices.nics(hardware)
    cpus, cores = int(one["config.hardware.numCPU"]), int(one.get("config.hardware.numCoresPerSocket") or 1)

    def disk_name(disk: devices.Disk) -> str:
        return names.get(disk.place, f"disk-{disk.place.replace(':', '-')}")

    def nic_name(nic: devices.Nic) -> str:
        return names.get(nic.mac, f"nic-{nic.device.key}")

    spec: dict[str, Any] = {
        "cpus": cpus,
        "cpu_topology": {"sockets": max(1, cpus // cores), "cores": cores, "threads": 1},
        "memory": int(one.get("config.hardware.memoryMB") or 0) * devices.MIB,
        "memory_reservation": int(one.get("config.memoryAllocation.reservation") or 0) * devices.MIB,
        "memory_limit": max(0, int(one.get("config.memoryAllocation.limit") or 0)) * devices.MIB,
        "disks": [devices.read_disk(disk, disk_name(disk)) for disk in drives],
        "nics": [devices.read_nic(nic, nic_name(nic), near.networks) for nic in cards],
        "firmware": "uefi" if one.get("config.firmware") == "efi" else "bios",
        "secure_boot": bool(one.get("config.bootOptions.efiSecureBootEnabled")),
        "power": "on" if power == "on" else "off",
    }
    if host in near.hosts:
        spec["host"], spec["zone"] = near.hosts[host], near.clusters[host]
        state["host"] = near.hosts[host]
    if one.get("resourcePool") in near.pools:
        spec["resource_pool"] = near.pools[one["resourcePool"]]
    if one.get("parent") in near.folders:
        spec["folder"] = near.folders[one["parent"]]
    mhz, held, uptime = (one.get(path) for path in _USE)
    if uptime:  # vCenter tells nothing else either until it has heard of the host
        busy = int(mhz or 0) / (cpus * near.mhz[host]) if near.mhz.get(host) else None
        state |= usage.of(power, busy, int(held or 0) * devices.MIB, spec["memory"], int(uptime))
    if near.mhz.get(host):
        reserved = int(one.get("config.cpuAllocation.reservation") or 0)
        most = int(one.get("config.cpuAllocation.limit") or 0)
        spec["cpu_reservation"] = min(100, round(100 * reserved / (cpus * near.mhz[host])))
        spec["cpu_limit"] = min(100, max(1, round(100 * most / (cpus * near.mhz[host])))) if most > 0 else 0
    if host in near.care:
        promised, others = near.care[host].told(obj, written.mark if written else None)
        spec, state = {**spec, **promised}, {**state, **others}
    state["hot_add"] = [
        field for field, key in (("cpus", "config.cpuHotAddEnabled"), ("memory", "config.memoryHotAddEnabled"))
        if one.get(key)
    ]
    state["disks"] = {disk_name(disk): {"place": disk.place, "path": path_of(disk), **settings.disk(disk, hardware)}
                      for disk in drives}
    state["nics"] = {nic_name(nic): settings.nic(nic) for nic in cards}
    state["vsphere"] = settings.facts(one, hardware)
    state["tools"] = str(one.get("guest.toolsRunningStatus") or "")
    address = addresses.usable(one.get("guest.ipAddress")) if power == "on" else ""
    if address:
        state["address"] = address
    if known := addresses.every(address, one.get("guest.net") or ()) if power == "on" else []:
        state["addresses"] = known
    if written is None:
        state["unknown"] = ["tags"]  # of others: they live in a service of their own
    else:
        spec.update({key: value for key, value in written.fields.items() if key in marks.FIELDS and value is not None})
        state |= {"seed": written.seed, "ready": written.ready, "built": written.built}
        tiers = {disk["name"]: disk.get("tier") for disk in written.fields.get("disks") or ()}
        for disk in spec["disks"]:
            if tiers.get(disk["name"]):
                disk["tier"] = tiers[disk["name"]]
    return VM(name, session.site, spec, uuid, written.mark if written else None, state)


def path_of(disk: devices.Disk) -> str:
    """The file of a disk: ``[datastore] folder/name.vmdk``."""
    return str(getattr(disk.device.backing, "fileName", "") or "")
