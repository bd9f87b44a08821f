"""Domain XML: made from a VM, and read as one. Every value enters through the element builder, never as markup."""

from __future__ import annotations

import hashlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...model.vm import VM
from . import mark as marks

QEMU_NS = "http://libvirt.org/schemas/domain/qemu/1.0"
ET.register_namespace("qemu", QEMU_NS)
ET.register_namespace(marks.PREFIX, marks.NAMESPACE)

USER_NETWORK = "user"
MEMORY_SLOTS = 8
_LIMIT = 4 << 20
# All that an isolated twin may ask of QEMU past libvirt: these arguments, in this order, and no other.
_ISOLATED = re.compile(
    r"-netdev user,id=drill0,restrict=on(,hostfwd=tcp:127\.0\.0\.1:\d{1,5}-:\d{1,5})* "
    r"-device virtio-net-pci,netdev=drill0,mac=[0-9a-f:]{17},addr=0x1e"
)
_TARGETS = "abcdefghijklmnopqrstuvwxy"  # vda … vdy: the first 25 disks


@dataclass(frozen=True)
class DiskSource:
    """Where a disk of the VM lies: `path` on the host, of a qcow2 volume that Muster made."""

    name: str
    path: str
    spec: Mapping[str, Any]


@dataclass(frozen=True)
class Isolation:
    """User-mode networking that reaches nothing: only these forwards lead in (guest port → loopback port)."""

    forwards: Mapping[int, int]


def parse(text: str) -> ET.Element:
    """libvirt's XML, which a hostile host may have written: bounded, and without entities to expand. Raises ValueError.
    """
    if len(text) > _LIMIT or "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("libvirt answered with a description that is larger than 4 MiB or declares entities")
    try:
        return ET.fromstring(text)  # noqa: S314 - what makes it unsafe is refused above
    except ET.ParseError as error:
        raise ValueError(f"libvirt answered with a description that is no XML ({error})") from error


def mac_of(uuid: str, nic: str) -> str:
    """The MAC address of a NIC that names none: from the VM's identity, in QEMU's own range."""
    digest = hashlib.sha256(f"{uuid}/{nic}".encode()).hexdigest()
    return f"52:54:00:{digest[0:2]}:{digest[2:4]}:{digest[4:6]}"


def most_cpus(spec: Mapping[str, Any]) -> int:
    """Virtual CPUs up to which the running VM can grow: its topology if it has one, else four times what it has."""
    topology = spec.get("cpu_topology")
    if topology:
        return int(topology["sockets"] * topology["cores"] * topology.get("threads", 1))
    return int(min(max(4, 4 * spec.get("cpus", 1)), 64))


def _sub(parent: ET.Element, tag: str, text: object = None, **attributes: object) -> ET.Element:
    node = ET.SubElement(parent, tag, {key: str(value) for key, value in attributes.items()})
    if text is not None:
        node.text = str(text)
    return node


def build(
    vm: VM,
    uuid: str,
    written: marks.Written,
    disks: Sequence[DiskSource],
    *,
    accelerator: str,
    seed: str | None = None,
    isolation: Isolation | None = None,
) -> str:
    """The XML of `vm`. `accelerator` is libvirt's domain type (``kvm``, ``qemu``, ``test``)."""
    spec = vm.spec
    root = ET.Element("domain", type=accelerator)
    _sub(root, "name", vm.name)
    _sub(root, "uuid", uuid)
    _sub(root, "metadata").append(marks.element(written))
    memory = int(spec.get("memory", 512 << 20)) >> 10
    uefi = spec.get("firmware") == "uefi"
    if accelerator != "test":
        _sub(root, "maxMemory", memory * 4, slots=MEMORY_SLOTS, unit="KiB")
    _sub(root, "memory", memory, unit="KiB")
    vcpu = _sub(root, "vcpu", most_cpus(spec), current=spec.get("cpus", 1), placement="static")
    if spec.get("cpu_pinning"):
        vcpu.set("cpuset", spec["cpu_pinning"])
    os_ = _sub(root, "os", **({"firmware": "efi"} if uefi else {}))
    machine = {} if accelerator == "test" else {"machine": "q35" if uefi else "pc"}
    _sub(os_, "type", "hvm", arch="x86_64", **machine)
    if uefi:
        _sub(_sub(os_, "firmware"), "feature", enabled="yes" if spec.get("secure_boot") else "no", name="secure-boot")
    _sub(os_, "boot", dev="hd")
    features = _sub(root, "features")
    _sub(features, "acpi")
    _sub(features, "apic")
    if accelerator == "qemu":
        _sub(_sub(features, "tcg"), "tb-cache", 256, unit="MiB")  # the default of 1 GiB of address space costs pages
    cpu = _sub(root, "cpu", **({"mode": "host-passthrough"} if accelerator == "kvm" else {}))
    topology = spec.get("cpu_topology")
    if topology:
        _sub(
            cpu,
            "topology",
            sockets=topology["sockets"],
            dies=1,
            cores=topology["cores"],
            threads=topology.get("threads", 1),
        )
    if accelerator != "test":  # memory hotplug needs a NUMA cell to plug into
        _sub(_sub(cpu, "numa"), "cell", id=0, cpus=f"0-{most_cpus(spec) - 1}", memory=memory, unit="KiB")
    _sub(root, "clock", offset="utc")
    _sub(root, "on_poweroff", "destroy")
    _sub(root, "on_reboot", "restart")
    _sub(root, "on_crash", "destroy")
    devices = _sub(root, "devices")
    for index, disk in enumerate(disks):
        devices.append(disk_element(disk, f"vd{_TARGETS[index]}"))
    if seed:
        cdrom = _sub(devices, "disk", type="file", device="cdrom")
        _sub(cdrom, "driver", name="qemu", type="raw")
        _sub(cdrom, "source", file=seed)
        _sub(cdrom, "target", dev="sda", bus="sata" if uefi else "scsi")
        _sub(cdrom, "readonly")
        if not uefi:
            _sub(devices, "controller", type="scsi", index=0, model="virtio-scsi")
    if isolation is None:
        for nic in spec.get("nics") or ():
            devices.append(nic_element(nic, uuid))
    if accelerator != "test":
        serial = _sub(devices, "serial", type="pty")
        _sub(serial, "target", port=0)
        channel = _sub(devices, "channel", type="unix")
        _sub(channel, "target", type="virtio", name="org.qemu.guest_agent.0")
        _sub(_sub(devices, "rng", model="virtio"), "backend", "/dev/urandom", model="random")
        _sub(devices, "memballoon", model="virtio")
    if isolation is not None:
        _isolated(root, uuid, isolation)
    return ET.tostring(root, encoding="unicode")


def _isolated(root: ET.Element, uuid: str, isolation: Isolation) -> None:
    """A NIC past libvirt's own: QEMU's ``restrict=on`` keeps the guest from everything, its gateway included."""
    forwards = "".join(f",hostfwd=tcp:127.0.0.1:{host}-:{guest}" for guest, host in sorted(isolation.forwards.items()))
    line = ET.SubElement(root, f"{{{QEMU_NS}}}commandline")
    for value in (
        "-netdev",
        f"user,id=drill0,restrict=on{forwards}",
        "-device",
        f"virtio-net-pci,netdev=drill0,mac={mac_of(uuid, 'drill0')},addr=0x1e",
    ):
        ET.SubElement(line, f"{{{QEMU_NS}}}arg", value=value)


def is_isolated(xml: str) -> bool:
    """Whether a domain, as the hypervisor has it, has no NIC but restricted ones. Asked before a twin is started."""
    root = parse(xml)
    args = " ".join(node.get("value", "") for node in root.iter(f"{{{QEMU_NS}}}arg"))
    return (
        root.find("devices/interface") is None
        and root.find("devices/hostdev") is None
        and _ISOLATED.fullmatch(args) is not None
    )


def disk_element(disk: DiskSource, target: str) -> ET.Element:
    """The ``<disk>`` of one volume, its format named: QEMU never probes what a guest has written."""
    node = ET.Element("disk", type="file", device="disk")
    _sub(node, "driver", name="qemu", type="qcow2", discard="unmap")
    _sub(node, "source", file=disk.path)
    _sub(node, "target", dev=target, bus="virtio")
    tune = {"total_bytes_sec": disk.spec.get("bandwidth_limit"), "total_iops_sec": disk.spec.get("iops_limit")}
    if any(tune.values()):
        iotune = _sub(node, "iotune")
        for key, value in tune.items():
            if value:
                _sub(iotune, key, value)
    _sub(node, "serial", f"muster-{disk.name}"[:20])
    _sub(node, "alias", name=f"ua-{disk.name}")
    return node


def nic_element(nic: Mapping[str, Any], uuid: str) -> ET.Element:
    """The ``<interface>`` of one NIC."""
    user = nic["network"] == USER_NETWORK
    node = ET.Element("interface", type="user" if user else "network")
    _sub(node, "mac", address=nic.get("mac") or mac_of(uuid, nic["name"]))
    if not user:
        _sub(node, "source", network=nic["network"])
    if nic.get("bandwidth_limit"):
        bandwidth = _sub(node, "bandwidth")
        for way in ("inbound", "outbound"):
            _sub(bandwidth, way, average=max(1, nic["bandwidth_limit"] >> 10))
    _sub(node, "model", type="virtio")
    _sub(node, "link", state="down" if nic.get("connected") is False else "up")
    _sub(node, "alias", name=f"ua-{nic['name']}")
    return node


def name_of(device: ET.Element, fallback: str) -> str:
    """A device's name: our own alias, else `fallback` for a device that Muster did not name."""
    alias = device.find("alias")
    text = alias.get("name", "") if alias is not None else ""
    return text.removeprefix("ua-") if text.startswith("ua-") else fallback


def kib(node: ET.Element | None) -> int:
    """Bytes of a memory element, whichever unit it names."""
    if node is None or not node.text:
        return 0
    factor = {
        "b": 1,
        "bytes": 1,
        "kb": 1000,
        "k": 1 << 10,
        "kib": 1 << 10,
        "mb": 10**6,
        "m": 1 << 20,
        "mib": 1 << 20,
        "gb": 10**9,
        "g": 1 << 30,
        "gib": 1 << 30,
    }.get(node.get("unit", "KiB").lower(), 1 << 10)
    return int(node.text) * factor


def read(root: ET.Element) -> dict[str, Any]:
    """The spec of a domain's XML, in normal form; disks without their sizes, which XML does not hold.

    Each disk bears its ``target`` and ``path`` beside the fields; the driver takes them out again.
    """
    vcpu = root.find("vcpu")
    cpus = int(vcpu.get("current") or vcpu.text or 1) if vcpu is not None else 1
    spec: dict[str, Any] = {"cpus": cpus, "memory": kib(root.find("currentMemory")) or kib(root.find("memory"))}
    pinning = _pinning(root, cpus)
    if pinning:
        spec["cpu_pinning"] = pinning
    topology = root.find("cpu/topology")
    if topology is not None:
        spec["cpu_topology"] = {key: int(topology.get(key, "1")) for key in ("sockets", "cores", "threads")}
    os_ = root.find("os")
    uefi = os_ is not None and (os_.get("firmware") == "efi" or os_.find("loader[@type='pflash']") is not None)
    spec["firmware"] = "uefi" if uefi else "bios"
    if uefi:
        secure = root.find("os/firmware/feature[@name='secure-boot']")
        spec["secure_boot"] = secure is not None and secure.get("enabled") == "yes"
    spec["disks"] = [_read_disk(node) for node in root.findall("devices/disk") if node.get("device") == "disk"]
    spec["nics"] = [_read_nic(index, node) for index, node in enumerate(root.findall("devices/interface"))]
    return spec


def _pinning(root: ET.Element, cpus: int) -> str | None:
    """The host's CPUs that the VM may run on: those of each virtual CPU where a running VM was pinned, if all agree."""
    vcpu = root.find("vcpu")
    general = vcpu.get("cpuset") if vcpu is not None else None
    pins = {pin.get("vcpu"): pin.get("cpuset") for pin in root.findall("cputune/vcpupin")}
    found = {pins.get(str(number), general) for number in range(cpus)}
    return found.pop() if len(found) == 1 else general


def cpus_of(cpuset: str) -> set[int]:
    """The numbers of ``0-3,8``."""
    return {
        cpu
        for part in cpuset.split(",")
        for first, _sep, last in [part.partition("-")]
        for cpu in range(int(first), int(last or first) + 1)
    }


def topology_element(topology: Mapping[str, Any]) -> ET.Element:
    """The ``<topology>`` of a ``<cpu>``."""
    return ET.Element(
        "topology",
        sockets=str(topology["sockets"]),
        dies="1",
        cores=str(topology["cores"]),
        threads=str(topology.get("threads", 1)),
    )


def _read_disk(node: ET.Element) -> dict[str, Any]:
    target = node.find("target")
    source = node.find("source")
    dev = target.get("dev", "") if target is not None else ""
    iotune = node.find("iotune")

    def limit(tag: str) -> int:
        return int((iotune.findtext(tag) if iotune is not None else None) or 0)

    disk: dict[str, Any] = {
        "name": name_of(node, dev),
        "target": dev,
        "iops_limit": limit("total_iops_sec"),
        "path": (source.get("file") or source.get("dev") or "") if source is not None else "",
        "encrypted": node.find("source/encryption") is not None,
    }
    if limit("total_bytes_sec"):
        disk["bandwidth_limit"] = limit("total_bytes_sec")
    return disk


def _read_nic(index: int, node: ET.Element) -> dict[str, Any]:
    source, mac, link = node.find("source"), node.find("mac"), node.find("link")
    user = node.get("type") == "user"
    network = (
        USER_NETWORK
        if user
        else next(
            (source.get(key) for key in ("network", "bridge", "dev") if source is not None and source.get(key)), ""
        )
    )
    nic: dict[str, Any] = {
        "name": name_of(node, f"nic{index}"),
        "network": network,
        "mac": mac.get("address", "") if mac is not None else "",
        "connected": link is None or link.get("state") != "down",
    }
    average = node.find("bandwidth/inbound")
    if average is not None and average.get("average"):
        nic["bandwidth_limit"] = int(average.get("average", "0")) << 10
    return nic
