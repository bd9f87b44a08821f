"""The vSphere site of the contract tests: govmomi's vCenter simulator, a process of its own for each test."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from muster.drivers.registry import open_site
from muster.model.fleet import Site
from muster.model.vm import VM
from pyVmomi import SoapAdapter, vim, vmodl
from sites import World
from vsphere_simulator import ACCOUNT, Simulator

on_vsphere = pytest.mark.parametrize("world", ["vsphere"], indirect=True)
_MARK = "muster.mark"


class VsphereWorld(World):
    """A cluster of three hosts. What somebody else does there goes through a session of its own."""

    network = "DC0_DVPG0"
    pool = "LocalDS_0"
    refused = frozenset(
        {
            "cpu_pinning",
            "memory_minimum",
            "zone",
            "host",
            "disks.tier",
            "disks.bandwidth_limit",
            "disks.encrypted",
            "nics.vlan",
            "nics.bandwidth_limit",
            "nics.forwards",
        }
    )
    costs: ClassVar[dict[str, str]] = dict.fromkeys(("more cpus", "memory by a DIMM", "several at once"), "power_cycle")
    cannot: ClassVar[dict[str, str]] = dict.fromkeys(("bandwidth limit", "both limits"), "bandwidth_limit' cannot be")

    def __init__(self, driver: Any, access: Site, simulator: Simulator) -> None:
        super().__init__(driver, access)
        self.simulator = simulator
        self.content = past_muster(simulator)
        self.gold = self.add_pool(self.root, "gold")
        self.add_pool(self.gold, "web")
        self.add_pool(self.root, "silver")
        self.folders("shop", "web")

    def folders(self, *path: str) -> Any:
        """The last of these folders of VMs, one below the other; somebody else makes what is not there."""
        (datacenter,) = (one for one in self.content.rootFolder.childEntity if isinstance(one, vim.Datacenter))
        found = datacenter.vmFolder
        for name in path:
            below = {one.name: one for one in found.childEntity if isinstance(one, vim.Folder)}
            found = below.get(name) or found.CreateFolder(name)
        return found

    @property
    def root(self) -> Any:
        """The cluster's own resource pool."""
        datacenter = next(one for one in self.content.rootFolder.childEntity if isinstance(one, vim.Datacenter))
        return datacenter.hostFolder.childEntity[0].resourcePool

    def add_pool(self, above: Any, name: str) -> Any:
        """Somebody else makes a resource pool."""
        root = self.root
        return above.CreateResourcePool(name, vim.ResourceConfigSpec(
            cpuAllocation=root.config.cpuAllocation, memoryAllocation=root.config.memoryAllocation))

    def into_app(self, vm: VM, app: Any) -> None:
        """Somebody else puts a VM into a vApp."""
        app.MoveIntoResourcePool([self.inside(vm)])

    @property
    def inventory(self) -> list[Any]:
        """All VMs and templates, as vCenter's own objects."""
        content = self.content
        view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
        try:
            return list(view.view)
        finally:
            view.DestroyView()

    def inside(self, vm: VM) -> Any:
        """vCenter's own VM."""
        return next(one for one in self.inventory if one.config.instanceUuid == vm.uuid)

    def reconfigure(self, obj: Any, **fields: Any) -> None:
        """Somebody else changes a VM."""
        done(obj.ReconfigVM_Task(vim.vm.ConfigSpec(**fields)))

    def add(self, name: str, **fields: Any) -> Any:
        """Somebody else makes a VM; vCenter's own object."""
        datacenter = next(one for one in self.content.rootFolder.childEntity if isinstance(one, vim.Datacenter))
        pool = datacenter.hostFolder.childEntity[0].resourcePool
        spec = vim.vm.ConfigSpec(
            **{"name": name, "memoryMB": 32, "numCPUs": 1, "guestId": "otherLinux64Guest", "annotation": "mine",
               "files": vim.vm.FileInfo(vmPathName=f"[{self.pool}]"), **fields}
        )
        return done(datacenter.vmFolder.CreateVM_Task(spec, pool, None))

    def template(
        self, name: str = "debian", sizes: tuple[int, ...] = (1 << 20,), thin: bool = False, **fields: Any
    ) -> Any:
        """A template with a NIC and disks of these sizes, all of them thin or not."""
        devices: list[Any] = [
            vim.vm.device.VirtualDeviceSpec(
                operation="add",
                device=vim.vm.device.ParaVirtualSCSIController(key=-1, busNumber=0, sharedBus="noSharing"),
            ),
            vim.vm.device.VirtualDeviceSpec(
                operation="add",
                device=vim.vm.device.VirtualVmxnet3(
                    key=-9,
                    addressType="generated",
                    backing=vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName="VM Network"),
                ),
            ),
        ]
        devices += [disk_spec(size, unit, self.pool, thin) for unit, size in enumerate(sizes)]
        made = self.add(name, deviceChange=devices, **fields)
        made.MarkAsTemplate()
        return made

    def tools(self, vm: VM, state: str) -> None:
        """From now on the guest's VMware Tools are ``guestToolsRunning``, or not."""
        option = vim.option.OptionValue(key="SET.guest.toolsRunningStatus", value=state)
        self.reconfigure(self.inside(vm), extraConfig=[option])

    def flat(self, vm: VM, place: str = "0:0") -> Path:
        """The file of the simulator that holds the bytes of a disk."""
        (disk,) = (one for one in vm.state["disks"].values() if one["place"] == place)
        datastore, _bracket, path = str(disk["path"]).removeprefix("[").partition("] ")
        (found,) = self.simulator.folder.rglob(f"*{datastore}*/{path.removesuffix('.vmdk')}-flat.vmdk")
        return found

    def foreign(self, name: str = "foreign", mark: str = "", uuid_: str = "", **fields: Any) -> VM:
        name = name if "-" in name else f"{self.names}-{name}"
        uuid_ = uuid_ or f"00000000-0000-4000-8000-{len(self.inventory):012d}"
        extra = [vim.option.OptionValue(key=_MARK, value=mark)] if mark else []
        self.add(name, instanceUuid=uuid_, extraConfig=extra, **fields)
        return self.driver.get(uuid_)

    def foreign_snapshot(self, vm: VM, name: str, description: str) -> None:
        done(self.inside(vm).CreateSnapshot_Task(name, description, False, False))

    def runs(self, vm: VM, use: dict[str, float], cpus: int, memory: int) -> None:
        """A VM of others of that size runs from now on, and is used so: `cpu`, `mem`, `uptime`."""
        obj = self.inside(vm)
        self.reconfigure(obj, numCPUs=cpus, memoryMB=memory >> 20)
        done(obj.PowerOnVM_Task(None))
        mhz = obj.runtime.host.summary.hardware.cpuMhz
        stats = {"overallCpuUsage": use["cpu"] * cpus * mhz, "hostMemoryUsage": use["mem"] / (1 << 20),
                 "uptimeSeconds": use["uptime"]}  # fmt: skip
        self.reconfigure(obj, extraConfig=[
            vim.option.OptionValue(key=f"SET.summary.quickStats.{key}", value=int(value))
            for key, value in stats.items()])  # fmt: skip

    def remove(self, vm: VM) -> None:
        done(self.inside(vm).Destroy_Task())

    def volumes(self) -> list[str]:
        return sorted(str(path.relative_to(self.simulator.folder)) for path in self.simulator.folder.rglob("*.vmdk"))

    def picture(self) -> dict[str, Any]:
        found: dict[str, Any] = {"volumes": self.volumes()}
        kind = vmodl.query.PropertyCollector
        paths = ["name", "config.instanceUuid", "config.annotation", "config.hardware", "config.extraConfig",
                 "config.template", "runtime.powerState", "snapshot"]  # fmt: skip
        for vm in self.inventory:
            spec = kind.FilterSpec(
                objectSet=[kind.ObjectSpec(obj=vm)], propSet=[kind.PropertySpec(type=type(vm), pathSet=paths)]
            )
            (content,) = self.content.propertyCollector.RetrievePropertiesEx([spec], kind.RetrieveOptions()).objects
            its = {one.name: one.val for one in content.propSet}
            hardware = its.pop("config.hardware")
            its["devices"] = sorted(str(one) for one in hardware.device)
            its["hardware"] = (hardware.numCPU, hardware.numCoresPerSocket, hardware.memoryMB)
            its["extra"] = sorted((one.key, one.value) for one in its.pop("config.extraConfig"))
            found[str(vm._moId)] = {name: str(value) for name, value in its.items()}
        return found

    def obedient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each guest of the simulator is."""

    def pause(self, vm: VM) -> None:
        done(self.inside(vm).SuspendVM_Task())

    def clean(self) -> None:
        """The whole simulator goes."""


def disk_spec(size: int, unit: int, pool: str, thin: bool = False) -> Any:
    """What adds a disk to the controller that is added with it."""
    return vim.vm.device.VirtualDeviceSpec(
        operation="add",
        fileOperation="create",
        device=vim.vm.device.VirtualDisk(
            key=-10 - unit,
            controllerKey=-1,
            unitNumber=unit,
            capacityInKB=size >> 10,
            capacityInBytes=size,
            backing=vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
                fileName=f"[{pool}]", diskMode="persistent", thinProvisioned=thin
            ),
        ),
    )


def done(task: Any) -> Any:
    """The result of a task, which the simulator ends before it answers."""
    info = task.info
    if info.state != "success":
        raise info.error
    return info.result


def past_muster(simulator: Simulator) -> Any:
    """vCenter's content, in a session that Muster knows nothing of."""
    host, _colon, port = simulator.address.partition(":")
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    stub = SoapAdapter.SoapStubAdapter(host, int(port), version="vim.version.version11", sslContext=unverified)
    content = vim.ServiceInstance("ServiceInstance", stub).RetrieveContent()
    content.sessionManager.Login(*ACCOUNT)
    return content


def options(simulator: Simulator, folder: Path, certificate: str, address: str = "") -> dict[str, Any]:
    """A site's options in the fleet file."""
    credentials = folder / "account"
    credentials.write_text(":".join(ACCOUNT) + "\n", encoding="utf-8")
    return {
        "uri": f"https://{address or simulator.address}",
        "pool": VsphereWorld.pool,
        "credentials": str(credentials),
        "tls": {"ca": certificate},
    }


@contextlib.contextmanager
def serve(request: pytest.FixtureRequest) -> Iterator[VsphereWorld]:
    """A world of its own for each test."""
    certificate, key = request.getfixturevalue("pve_pki")
    folder = Path(request.getfixturevalue("tmp_path_factory").mktemp("vsphere"))
    simulator = Simulator(folder / "datastores", certificate, key)
    try:
        access = Site("vc", "vsphere", options(simulator, folder, certificate))
        yield VsphereWorld(open_site(access), access, simulator)
    finally:
        simulator.stop()
