"""How each field of a running or stopped domain is changed: live where libvirt can, else in its configuration.

`LIVE` changes a running domain and its configuration together; `edit` changes the configuration's XML, for a stopped
domain or on the way through a power cycle.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

from ...model.planner import Change
from ...model.vm import VM
from . import domain as xml
from .connection import libvirt, told

DIMM = 128 << 20  # what a guest can plug in at a time
_SPEED = {"live": 0, "mark": 0, "power_cycle": 1, "replace": 2}


def refine(change: Change, actual: VM) -> str:
    """How libvirt must do `change`: what the field table allows at best, or more."""
    how = change.how
    if actual.power != "on" or how not in ("live", "mark"):
        return how
    before, after = change.before, change.after
    gone = len(change.keys) == 2 and after is None
    if change.keys[0] == "nics" and (gone or change.keys[2:] in (("network",), ("vlan",))):
        return "power_cycle"  # a guest need not let go of a NIC, and QEMU moves none to another network
    if change.field == "cpus" and (after < before or after > actual.state.get("max_cpus", 0)):
        return "power_cycle"
    if change.field == "memory" and (
        after < before or (after - before) % DIMM or after > actual.state.get("max_memory", 0)
    ):
        return "power_cycle"
    return how


def live(domain: Any, site: str, actual: VM, change: Change) -> None:
    """Do `change` on a running domain, and in its configuration."""
    both = libvirt.VIR_DOMAIN_AFFECT_LIVE | libvirt.VIR_DOMAIN_AFFECT_CONFIG
    kind, _sep, rest = change.field.partition(".")
    with told(site, actual.name, f"change {change.field} of the running VM"):
        if change.field == "cpus":
            domain.setVcpusFlags(change.after, both)
        elif change.field == "memory":
            dimm = ET.Element("memory", model="dimm")
            target = ET.SubElement(dimm, "target")
            ET.SubElement(target, "size", unit="KiB").text = str((change.after - change.before) >> 10)
            ET.SubElement(target, "node").text = "0"
            domain.attachDeviceFlags(ET.tostring(dimm, encoding="unicode"), both)
        elif change.field == "cpu_pinning":
            _pin(domain, change.after)
        elif kind == "disks":
            _live_disk(domain, rest, change, both)
        elif kind == "nics":
            _live_nic(domain, rest, change, both)
        else:
            raise AssertionError(f"no live change of {change.field}")


def _pin(domain: Any, cpuset: str | None) -> None:
    """Pin the CPUs that run, and in the configuration all that may ever be plugged in."""
    count = domain.connect().getInfo()[2]
    chosen = xml.cpus_of(cpuset) if cpuset else set(range(count))
    mask = tuple(cpu in chosen for cpu in range(count))
    for vcpu in range(domain.vcpusFlags(libvirt.VIR_DOMAIN_AFFECT_LIVE)):
        domain.pinVcpuFlags(vcpu, mask, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    root = xml.parse(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    _edit_pinning(root, cpuset, None)
    domain.connect().defineXML(ET.tostring(root, encoding="unicode"))


def _live_disk(domain: Any, rest: str, change: Change, both: int) -> None:
    name, _sep, field = rest.partition(".")
    node = device(xml.parse(domain.XMLDesc(0)), "disk", name)
    target = node.find("target").get("dev")  # type: ignore[union-attr]
    if field == "size":
        domain.blockResize(target, change.after, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
    else:
        key = {"iops_limit": "total_iops_sec", "bandwidth_limit": "total_bytes_sec"}[field]
        domain.setBlockIoTune(target, {key: change.after or 0}, both)


def _live_nic(domain: Any, rest: str, change: Change, both: int) -> None:
    name, _sep, field = rest.partition(".")
    if not field and change.before is None:
        node = xml.nic_element(change.after, domain.UUIDString())
        domain.attachDeviceFlags(ET.tostring(node, encoding="unicode"), both)
        return
    root = xml.parse(domain.XMLDesc(0))
    node = device(root, "interface", name)
    if not field:
        domain.detachDeviceFlags(ET.tostring(node, encoding="unicode"), both)
        return
    edit_nic(node, field, change.after)
    domain.updateDeviceFlags(ET.tostring(node, encoding="unicode"), both)


def device(root: ET.Element, tag: str, name: str) -> ET.Element:
    """The disk or interface that bears `name`."""
    nodes = [node for node in root.findall(f"devices/{tag}") if tag != "disk" or node.get("device") == "disk"]
    for index, node in enumerate(nodes):
        target = node.find("target")
        fallback = f"nic{index}" if tag == "interface" else (target.get("dev", "") if target is not None else "")
        if xml.name_of(node, fallback) == name:
            return node
    raise KeyError(name)


def part(root: ET.Element, tag: str) -> ET.Element:
    """A part that every domain has. Raises ValueError where libvirt's XML has none."""
    found = root.find(tag)
    if found is None:
        raise ValueError(f"libvirt's description has no <{tag}>")
    return found


def edit_nic(node: ET.Element, field: str, value: Any) -> None:
    """Set one field of an ``<interface>``."""

    def child(tag: str) -> ET.Element:
        found = node.find(tag)
        return ET.SubElement(node, tag) if found is None else found

    if field == "connected":
        child("link").set("state", "down" if value is False else "up")
    elif field == "mac":
        child("mac").set("address", value)
    elif field == "network":
        user = value == xml.USER_NETWORK
        node.set("type", "user" if user else "network")
        source = node.find("source")
        if source is not None:
            node.remove(source)
        if not user:
            child("source").set("network", value)
    elif field == "bandwidth_limit":
        old = node.find("bandwidth")
        if old is not None:
            node.remove(old)
        bandwidth = ET.SubElement(node, "bandwidth")
        for way in ("inbound", "outbound"):
            ET.SubElement(bandwidth, way, average=str(max(1, value >> 10)) if value else "0")


def edit(root: ET.Element, change: Change, desired: VM, uuid: str) -> None:
    """Set one field in the XML of a configuration. Disks that are new or grow are the driver's: they need volumes."""
    kind, _sep, rest = change.field.partition(".")
    if kind in _EDITORS:
        _EDITORS[kind](root, change.after, desired)
    elif kind == "disks":
        name, _sep, field = rest.partition(".")
        if field in ("iops_limit", "bandwidth_limit"):
            node = device(root, "disk", name)
            tune = node.find("iotune")
            tune = ET.SubElement(node, "iotune") if tune is None else tune
            tag = {"iops_limit": "total_iops_sec", "bandwidth_limit": "total_bytes_sec"}[field]
            limit = tune.find(tag)
            limit = ET.SubElement(tune, tag) if limit is None else limit
            limit.text = str(change.after or 0)
    elif kind == "nics":
        name, _sep, field = rest.partition(".")
        devices = part(root, "devices")
        if field:
            edit_nic(device(root, "interface", name), field, change.after)
        elif change.before is None:
            devices.append(xml.nic_element(change.after, uuid))
        else:
            devices.remove(device(root, "interface", name))
    else:
        raise AssertionError(f"no change of {change.field}")


def _edit_processor(root: ET.Element, _value: Any, desired: VM) -> None:
    """Number and topology together: libvirt refuses a configuration in which the two do not fit."""
    vcpu, cpu = part(root, "vcpu"), root.find("cpu")
    cpus = int(desired["cpus"] or vcpu.get("current") or vcpu.text or 1)
    cpu = ET.SubElement(root, "cpu") if cpu is None else cpu
    old, wanted = cpu.find("topology"), desired["cpu_topology"]
    if wanted is None and old is not None:  # nobody manages it: it stays as long as it fits
        kept = {key: int(old.get(key, "1")) for key in ("sockets", "cores", "threads")}
        wanted = kept if cpus <= xml.most_cpus({"cpu_topology": kept}) else None
    if old is not None:
        cpu.remove(old)
    if wanted:
        cpu.insert(0, xml.topology_element(wanted))
    most = max(xml.most_cpus({"cpus": cpus, "cpu_topology": wanted}), cpus)
    vcpu.text = str(most)
    vcpu.set("current", str(cpus))
    cell = root.find("cpu/numa/cell")
    if cell is not None:
        cell.set("cpus", f"0-{most - 1}")


def _edit_memory(root: ET.Element, value: int, _desired: VM) -> None:
    """The configuration starts anew: all in the first cell, what was plugged in is taken out."""
    size = str(value >> 10)
    devices = part(root, "devices")
    for dimm in devices.findall("memory"):
        devices.remove(dimm)
    for tag, text in (("memory", size), ("currentMemory", size), ("maxMemory", str(int(size) * 4))):
        node = root.find(tag)
        if node is not None:
            node.text = text
            node.set("unit", "KiB")
    cell = root.find("cpu/numa/cell")
    if cell is not None:
        cell.set("memory", size)
        cell.set("unit", "KiB")


def _edit_pinning(root: ET.Element, value: str | None, _desired: VM | None) -> None:
    vcpu = part(root, "vcpu")
    if value:
        vcpu.set("cpuset", value)
    else:
        vcpu.attrib.pop("cpuset", None)
    tune = root.find("cputune")
    if tune is not None:
        for pin in tune.findall("vcpupin"):
            tune.remove(pin)


_EDITORS: dict[str, Callable[[ET.Element, Any, VM], None]] = {
    "cpus": _edit_processor,
    "memory": _edit_memory,
    "cpu_topology": _edit_processor,
    "cpu_pinning": _edit_pinning,
}
