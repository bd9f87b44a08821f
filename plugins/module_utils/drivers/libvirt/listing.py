"""Reading domains as VMs, a whole site in one conversation."""

from __future__ import annotations

import contextlib
import os
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any

from ...model.vm import VM
from ..driver import DriverError
from . import domain as xml
from . import forwards
from . import mark as marks
from .connection import code_is, libvirt, told

_MARK_ONLY = ("image", "profile", "tags", "protection", "schedule", "health", "host")


def every(connection: Any, site: str) -> list[VM]:
    """All VMs of the site: one listing, one call for all statistics, then each domain's XML."""
    with told(site, None, "list the VMs"):
        domains = connection.listAllDomains()
        stats: dict[str, dict[str, Any]] = {}
        with contextlib.suppress(libvirt.libvirtError):  # the test driver has none
            stats = {
                domain.UUIDString(): record
                for domain, record in connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_BLOCK, 0)
            }
        vms = []
        for domain in domains:
            try:
                vms.append(one(domain, site, stats.get(domain.UUIDString())))
            except libvirt.libvirtError as error:
                if not code_is(error, "VIR_ERR_NO_DOMAIN"):  # gone since the listing: proven, so left out
                    raise
            except ValueError as error:  # a site that cannot be read is an error, never one VM less
                raise ValueError(f"what libvirt says of the VM '{domain.name()}' cannot be read: {error}") from error
        return vms


def one(domain: Any, site: str, stats: Mapping[str, Any] | None = None) -> VM:
    """One domain as a VM. One that stops while it is read is read again: no site is unreadable for that."""
    try:
        return _one(domain, site, stats)
    except DriverError:
        if power_of(domain) == "on":
            raise
        return _one(domain, site, stats)


def _one(domain: Any, site: str, stats: Mapping[str, Any] | None) -> VM:
    root = xml.parse(domain.XMLDesc(0))
    spec = xml.read(root)
    written = marks.read(root)
    sizes = _sizes(domain, stats)
    for disk in spec["disks"]:
        size = sizes.get(disk["path"]) or _volume_size(domain, disk["path"])
        if size:
            disk["size"] = size
        disk["target"], disk["path"] = disk.pop("target"), disk.pop("path")
    power = power_of(domain)
    spec["power"] = "on" if power == "on" else "off"
    # What the configuration allows, while it runs, without a power cycle.
    vcpu = root.find("vcpu")
    state: dict[str, Any] = {
        "power": power,
        "built": written is None or written.built,
        "max_cpus": int(vcpu.text or 0) if vcpu is not None else 0,
        "max_memory": xml.kib(root.find("maxMemory")),
        "drill": root.find(f"{{{xml.QEMU_NS}}}commandline") is not None,
        "endpoints": {},
    }
    buses = {node.get("dev"): node.get("bus") or "" for node in root.findall("devices/disk/target")}
    state["disks"] = {
        disk["name"]: {"bus": buses.get(disk["target"], ""), "target": disk.pop("target"), "path": disk.pop("path")}
        for disk in spec["disks"]
    }
    models = [node.find("model") for node in root.findall("devices/interface")]
    state["nics"] = {
        nic["name"]: {"model": model.get("type", "").lower()}
        for nic, model in zip(spec["nics"], models, strict=True)
        if model is not None
    }
    if written is not None:
        spec.update({key: value for key, value in written.fields.items() if key in _MARK_ONLY and value is not None})
        pinning = written.fields.get("cpu_pinning")
        if pinning and spec.get("cpu_pinning") and xml.cpus_of(pinning) == xml.cpus_of(spec["cpu_pinning"]):
            spec["cpu_pinning"] = pinning  # the same CPUs, as the fleet file writes them
        state["seed"], state["ready"] = written.seed, written.ready
        _marked_disks(spec, written)
    _network(domain, site, root, spec, state, power, written)
    return VM(domain.name(), site, spec, domain.UUIDString(), written.mark if written else None, state)


def _marked_disks(spec: dict[str, Any], written: marks.Written) -> None:
    """Fields of disks that no XML holds, from the mark."""
    for disk in written.fields.get("disks") or ():
        for there in spec["disks"]:
            if there["name"] == disk.get("name"):
                there |= {key: disk[key] for key in ("pool", "tier") if disk.get(key)}


def _network(
    domain: Any,
    site: str,
    root: ET.Element,
    spec: dict[str, Any],
    state: dict[str, Any],
    power: str,
    written: marks.Written | None,
) -> None:
    if state["drill"]:
        for node in root.iter(f"{{{xml.QEMU_NS}}}arg"):
            for part in node.get("value", "").split(","):
                if part.startswith("hostfwd=tcp:127.0.0.1:"):
                    host, _sep, port = part.removeprefix("hostfwd=tcp:127.0.0.1:").partition("-:")
                    state["endpoints"][int(port)] = f"127.0.0.1:{host}"
        return
    user = [nic for nic in spec["nics"] if nic["network"] == xml.USER_NETWORK]
    if written is not None and user and power == "on":
        there = forwards.present(domain, site)
        for nic in user:
            rules = there.get(nic["name"], {})
            nic["forwards"] = [{"guest": port, "host": host} for port, host in sorted(rules.items())]
            state["endpoints"].update({port: f"127.0.0.1:{host}" for port, host in rules.items()})
    elif written is not None:
        asked = forwards.wanted(list(written.fields.get("nics") or []))
        for nic in user:  # a stopped VM has no ports open; they are opened when it starts
            nic["forwards"] = [
                {"guest": port, **({"host": host} if host else {})} for port, host in asked.get(nic["name"], {}).items()
            ]
    if state["endpoints"]:
        state["address"] = state["endpoints"].get(22, "127.0.0.1")
    elif power == "on" and any(nic["network"] != xml.USER_NETWORK for nic in spec["nics"]):
        with contextlib.suppress(libvirt.libvirtError):
            found = domain.interfaceAddresses(libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE)
            addresses = [entry["addr"] for device in found.values() for entry in device.get("addrs") or ()]
            if addresses:
                state["addresses"], state["address"] = addresses, addresses[0]


def _sizes(domain: Any, stats: Mapping[str, Any] | None) -> dict[str, int]:
    """Virtual size of each disk by its path."""
    if stats is None:
        with contextlib.suppress(libvirt.libvirtError):
            stats = domain.connect().domainListGetStats([domain], libvirt.VIR_DOMAIN_STATS_BLOCK, 0)[0][1]
    found = {}
    for index in range(int((stats or {}).get("block.count", 0))):
        path, size = (stats or {}).get(f"block.{index}.path"), (stats or {}).get(f"block.{index}.capacity")
        if path and size:
            found[path] = int(size)
    return found


def _volume_size(domain: Any, path: str) -> int | None:
    """The virtual size from the storage pool, for a domain without statistics."""
    if not path:
        return None
    with contextlib.suppress(libvirt.libvirtError):
        return int(domain.connect().storageVolLookupByPath(path).info()[1])
    return None


def power_of(domain: Any) -> str:
    state = domain.state()[0]
    if state == libvirt.VIR_DOMAIN_CRASHED:
        return "crashed"
    if state in (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PMSUSPENDED):
        return "paused"
    return "off" if state in (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_NOSTATE) else "on"


def accelerator(connection: Any, remote: bool) -> str:
    """``kvm`` where the host's CPU flags offer it and libvirt too, else ``qemu``.

    A nested host can open /dev/kvm, create a VM and then hang its guest: the flags are what counts.
    """
    root = xml.parse(connection.getCapabilities())
    if not any(node.get("type") == "kvm" for node in root.iter("domain")):
        return "qemu"
    cpu = root.find("host/cpu")
    features = {node.get("name") for node in root.findall("host/cpu/feature")}
    if cpu is not None:
        with contextlib.suppress(libvirt.libvirtError):
            full = connection.baselineCPU(
                [ET.tostring(cpu, encoding="unicode")], libvirt.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES
            )
            features |= {node.get("name") for node in xml.parse(full).iter("feature")}
    if not remote:
        with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            flags = set(file.read(1 << 20).split())
            return "kvm" if flags & {"vmx", "svm"} and os.access("/dev/kvm", os.R_OK | os.W_OK) else "qemu"
    return "kvm" if features & {"vmx", "svm"} else "qemu"
