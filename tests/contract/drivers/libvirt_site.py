"""The libvirt sites of the contract tests: libvirt's in-process test driver, and real QEMU."""

from __future__ import annotations

import subprocess
import time
import uuid
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any, ClassVar

import libvirt
import pytest
from muster.drivers.driver import Image
from muster.drivers.libvirt import LibvirtDriver
from muster.drivers.libvirt import mark as marks
from muster.model.vm import VM
from sites import World, sha256

on_libvirt = pytest.mark.parametrize("world", ["test", "qemu"], indirect=True)
real = pytest.mark.parametrize("world", ["qemu"], indirect=True)


class LibvirtWorld(World):
    """A libvirt site. `real` where QEMU runs its guests."""

    network = "user"  # the test driver's network is called so too
    refused = frozenset(
        {
            "cpu_reservation",
            "memory_minimum",
            "memory_reservation",
            "cpu_limit",
            "memory_limit",
            "zone",
            "host",
            "resource_pool",
            "folder",
            "anti_affinity",
            "ha_priority",
            "disks.tier",
            "disks.encrypted",
            "nics.vlan",
            "nics.bandwidth_limit",
        }
    )

    costs: ClassVar[dict[str, str]] = {"NIC removed": "power_cycle"}

    def __init__(self, driver: Any, access: Any, real: bool) -> None:
        super().__init__(driver, access)
        self.real, self.pool = real, str(access["pool"])
        self.live = real  # a running VM of libvirt's test driver has no hardware to change
        # libvirt's test driver cannot resize a volume.
        self.cannot = {} if real else dict.fromkeys(("larger disk", "several at once"), "virStorageVolResize")

    @property
    def uri(self) -> str:
        return str(self.access["uri"])

    def virsh(self, *words: str) -> str:
        """What somebody else does, past Muster."""
        argv = ["virsh", "--connect", self.uri, "--quiet", *words]
        return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout

    def domain(self, vm: VM) -> Any:
        assert isinstance(self.driver, LibvirtDriver)
        return self.driver.connection.lookupByUUIDString(str(vm.uuid))

    def foreign(self, name: str = "foreign", mark: str = "", uuid_: str = "", disk: Path | None = None) -> VM:
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
        if mark:
            node = ET.SubElement(ET.SubElement(root, "metadata"), marks.TAG)
            node.text = mark
        domain = self.driver.connection.defineXML(ET.tostring(root, encoding="unicode"))
        return self.driver.get(domain.UUIDString())

    def volumes(self) -> list[str]:
        assert isinstance(self.driver, LibvirtDriver)
        pool = self.driver.connection.storagePoolLookupByName(self.pool)
        pool.refresh()
        return sorted(pool.listVolumes())

    def picture(self) -> dict[str, Any]:
        assert isinstance(self.driver, LibvirtDriver)
        found: dict[str, Any] = {"volumes": self.volumes()}
        for domain in self.driver.connection.listAllDomains():
            if not domain.name().startswith(self.names):  # others live here too, and change
                continue
            flags = libvirt.VIR_DOMAIN_XML_INACTIVE
            found[domain.UUIDString()] = (domain.XMLDesc(flags), domain.isActive(), domain.snapshotListNames())
        return found

    def foreign_snapshot(self, vm: VM, name: str, description: str) -> None:
        root = ET.Element("domainsnapshot")
        ET.SubElement(root, "name").text = name
        ET.SubElement(root, "description").text = description
        self.domain(vm).snapshotCreateXML(ET.tostring(root, encoding="unicode"))

    def remove(self, vm: VM) -> None:
        self.domain(vm).undefine()

    def obedient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        driver: Any = self.driver
        monkeypatch.setattr(driver, "_stop", lambda domain, progress, *_: (progress("shutting down"), domain.destroy()))

    def pause(self, vm: VM) -> None:
        self.domain(vm).suspend()

    def clean(self) -> None:
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
