"""The sites that the contract is tested on, the tiny VMs that live there, and what is left behind."""

from __future__ import annotations

import hashlib
import subprocess
import time
import uuid
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import libvirt
import pytest
from muster.drivers.driver import Driver, Image
from muster.drivers.libvirt import LibvirtDriver
from muster.model.fleet import Site
from muster.model.normal import normalise
from muster.model.planner import Change, plan
from muster.model.vm import VM, Mark

real = pytest.mark.parametrize("world", ["qemu"], indirect=True)
TINY: dict[str, Any] = {"cpus": 1, "memory": "32 MiB", "disks": [{"size": "1 MiB"}]}


@dataclass
class World:
    """One site, as the tests use it. `names` begin all that one test makes."""

    driver: Driver
    access: Site
    pool: str
    real: bool
    names: str = field(default_factory=lambda: f"c{uuid.uuid4().hex[:6]}")

    @property
    def fleet(self) -> str:
        return self.names

    @property
    def uri(self) -> str:
        return str(self.access["uri"])

    def wanted(self, name: str = "a", **spec: Any) -> VM:
        """A VM in normal form, tiny where `spec` does not say otherwise."""
        name = f"{self.names}-{name}"
        return VM(name, self.access.name, normalise({**TINY, **spec}), mark=Mark(self.fleet, name))

    def made(self, name: str = "a", image: Image | None = None, on: bool = False, **spec: Any) -> VM:
        """The same, made."""
        desired = self.wanted(name, **spec)
        vm = self.driver.create(desired, self.mark(desired), image)
        return self.driver.power(vm, "on") if on else vm

    def mark(self, desired: VM, operation: str = "op-1") -> Mark:
        assert desired.mark is not None
        return Mark(desired.mark.fleet, desired.mark.vm, operation)

    def changes(self, desired: VM) -> list[Change]:
        """What would have to change, planned anew against the world."""
        return plan(desired, self.driver.get(desired.name), self.driver.refine)

    def virsh(self, *words: str) -> str:
        """What somebody else does, past Muster."""
        argv = ["virsh", "--connect", self.uri, "--quiet", *words]
        return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout

    def domain(self, vm: VM) -> Any:
        assert isinstance(self.driver, LibvirtDriver)
        return self.driver.connection.lookupByUUIDString(str(vm.uuid))

    def foreign(self, name: str = "foreign", body: str = "", uuid_: str = "", disk: Path | None = None) -> VM:
        """A VM that somebody else defined."""
        assert isinstance(self.driver, LibvirtDriver)
        root = ET.Element("domain", type=self.driver.accelerator)
        ET.SubElement(root, "name").text = name if "-" in name else f"{self.names}-{name}"
        if uuid_:
            ET.SubElement(root, "uuid").text = uuid_
        ET.SubElement(root, "memory", unit="MiB").text = "32"
        ET.SubElement(ET.SubElement(root, "os"), "type", arch="x86_64").text = "hvm"
        devices = ET.SubElement(root, "devices")
        if disk is not None:
            node = ET.SubElement(devices, "disk", type="file", device="disk")
            ET.SubElement(node, "driver", name="qemu", type="raw")
            ET.SubElement(node, "source", file=str(disk))
            ET.SubElement(node, "target", dev="vda", bus="virtio")
        if body:
            root.append(ET.fromstring(body))
        domain = self.driver.connection.defineXML(ET.tostring(root, encoding="unicode"))
        return self.driver.get(domain.UUIDString())

    def volumes(self) -> list[str]:
        """All that lies in the site's pool."""
        assert isinstance(self.driver, LibvirtDriver)
        pool = self.driver.connection.storagePoolLookupByName(self.pool)
        pool.refresh()
        return sorted(pool.listVolumes())

    def picture(self) -> dict[str, Any]:
        """All of the world that a call could change: each domain's XML and power, its snapshots, each volume."""
        assert isinstance(self.driver, LibvirtDriver)
        found: dict[str, Any] = {"volumes": self.volumes()}
        for domain in self.driver.connection.listAllDomains():
            if not domain.name().startswith(self.names):  # others live here too, and change
                continue
            flags = libvirt.VIR_DOMAIN_XML_INACTIVE
            found[domain.UUIDString()] = (domain.XMLDesc(flags), domain.isActive(), domain.snapshotListNames())
        return found

    def clean(self) -> None:
        """Remove all that the test made, by force."""
        assert isinstance(self.driver, LibvirtDriver)
        for domain in self.driver.connection.listAllDomains():
            if domain.name().startswith(self.names):
                if domain.isActive():
                    domain.destroy()
                flags = libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
                domain.undefineFlags(flags | (libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA if self.real else 0))
        pool = self.driver.connection.storagePoolLookupByName(self.pool)
        for name in self.volumes():
            if name.startswith(self.names):
                pool.storageVolLookupByName(name).delete()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# A guest of 25 bytes: it asks for the power button's event, waits for it, and switches the machine off.
BOOT = bytes.fromhex("ba0206b80001effbf4ba0006edf6c40174f6ba0406b80020eff4")


def boot_image(folder: Path) -> Image:
    """An image that boots at once and shuts down when it is asked to; the rest of it is a pattern."""
    raw, path = folder / "boot.raw", folder / "boot.qcow2"
    raw.write_bytes(BOOT.ljust(510, b"\0") + b"\x55\xaa" + bytes(range(256)) * 1024)
    argv = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(path)]
    subprocess.run(argv, check=True, capture_output=True)
    return Image("boot", path, sha256(path))


def monitor(world: World, vm: VM, command: str) -> str:
    """One command to the monitor of a VM's QEMU."""
    return world.virsh("qemu-monitor-command", str(vm.uuid), "--hmp", command)


def booted(world: World, vm: VM) -> None:
    """Wait until the tiny guest is loaded: from then on it hears the power button."""
    end = time.monotonic() + 60
    while "0x02ba" not in monitor(world, vm, "xp /1xh 0x7c00"):
        assert time.monotonic() < end, "the tiny guest never booted"


def write(world: World, vm: VM, disk: str, pattern: int, at: str, length: str) -> None:
    """Let a running VM's disk be written to, as its guest would."""
    answer = monitor(
        world, vm, f'qemu-io -d /machine/peripheral/ua-{disk}/virtio-backend "write -P {pattern} {at} {length}"'
    )
    answer += monitor(world, vm, f"qemu-io -d /machine/peripheral/ua-{disk}/virtio-backend flush")
    assert answer.strip() == "", answer  # QEMU speaks of errors only


def content(world: World, vm: VM, disk: str, folder: Path) -> bytes:
    """The bytes of a stopped VM's disk."""
    target = folder / f"{uuid.uuid4().hex}.raw"
    path = str(vm.state["disks"][disk]["path"])
    subprocess.run(["qemu-img", "convert", "-U", "-f", "qcow2", "-O", "raw", path, str(target)], check=True)
    return target.read_bytes()
