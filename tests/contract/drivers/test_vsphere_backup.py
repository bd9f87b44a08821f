"""vSphere: the disks of a snapshot come home byte for byte, and where they do not nothing is left behind."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from muster.drivers.driver import Conflict, DriverError, Failed, Unsupported
from muster.drivers.registry import open_site
from muster.drivers.vsphere import backup, devices
from muster.model.fleet import Site
from pyVmomi import vim
from test_backup import raw
from vsphere_disks import MIB, filled, holds, taken
from vsphere_proxy import Proxy
from vsphere_site import VsphereWorld, disk_spec, done, on_vsphere, options

pytestmark = on_vsphere


def test_full(world: VsphereWorld, tmp_path: Path) -> None:
    vm = filled(world)
    before = world.picture()
    found = taken(world, vm, tmp_path / "full")
    assert (found.kind, found.consistency, found.why) == ("full", "offline", "")
    assert holds(found)
    assert world.picture() == before


def test_a_running_vm_goes_on(world: VsphereWorld, tmp_path: Path) -> None:
    """What is written after the snapshot is not in the backup, and the VM keeps it."""
    vm = world.driver.power(filled(world), "on")
    seen: list[str] = []

    def progress(said: str) -> None:
        seen.append(said)
        if "downloading the disk 'root'" in said:
            world.flat(vm).write_bytes(b"after")

    found = world.driver.backup(vm, tmp_path, "one", "before", progress)
    assert (found.kind, found.why) == ("full", backup.WHY)
    assert holds(found)
    assert world.flat(vm).read_bytes() == b"after"
    assert world.driver.get(vm.name).power == "on"
    assert any("deleting the snapshot 'muster-backup-one'" in said for said in seen)


@pytest.mark.parametrize(
    ("tools", "consistency"), [("guestToolsRunning", "filesystem"), ("guestToolsNotRunning", "crash")]
)
def test_the_guest_is_made_quiet_where_it_can_be(
    world: VsphereWorld, tmp_path: Path, tools: str, consistency: str
) -> None:
    vm = world.driver.power(filled(world), "on")
    world.tools(vm, tools)
    asked: list[bool] = []

    def progress(said: str) -> None:
        if "downloading" in said:
            (info,) = world.inside(vm).snapshot.rootSnapshotList
            asked.append(bool(info.quiesced))

    assert world.driver.backup(vm, tmp_path, "one", None, progress).consistency == consistency
    assert set(asked) == {consistency == "filesystem"}


def test_snapshots_of_others_stay(world: VsphereWorld, tmp_path: Path) -> None:
    """And one of a backup that was killed goes, but not one that only bears such a name."""
    vm = filled(world)
    world.foreign_snapshot(vm, "before-upgrade", "")
    world.foreign_snapshot(vm, "muster-backup-mine", "please keep")
    world.driver.take_snapshot(vm, "op")
    before = world.picture()
    world.foreign_snapshot(vm, "muster-backup-killed", backup.NOTE)
    assert holds(taken(world, vm, tmp_path / "full"))
    assert world.picture() == before


def independent(disk: Any) -> None:
    disk.backing.diskMode = "independent_persistent"


def shared(disk: Any) -> None:
    disk.backing.sharing = "sharingMultiWriter"


def encrypted(disk: Any) -> None:
    disk.backing.keyId = vim.encryption.CryptoKeyId(keyId="1")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (independent, "its disk 'disk1' is independent, and a snapshot leaves it out"),
        (shared, "its disk 'disk1' is shared with other VMs"),
        (encrypted, "its disk 'disk1' is encrypted"),
    ],
)
def test_what_would_be_lost_is_refused(
    world: VsphereWorld, tmp_path: Path, spoil: Callable[[Any], None], words: str
) -> None:
    vm = filled(world)
    device = [one for one in world.inside(vm).config.hardware.device if isinstance(one, vim.vm.device.VirtualDisk)][1]
    spoil(device)
    change = vim.vm.device.VirtualDeviceSpec(operation="edit", device=device)
    done(world.inside(vm).ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[change])))
    before = world.picture()
    with pytest.raises(Unsupported, match=f"unable to take a backup: {words}.*nothing was changed"):
        world.driver.backup(vm, tmp_path, "one", None)
    assert world.picture() == before
    assert list(tmp_path.iterdir()) == []


def test_a_raw_device_is_refused(world: VsphereWorld) -> None:
    """The simulator has none, so the VM is never asked."""
    vm = filled(world)
    hardware = world.inside(vm).config.hardware.device
    drives = devices.disks(hardware)
    drives[1].device.backing = vim.vm.device.VirtualDisk.RawDiskMappingVer1BackingInfo(
        fileName="[a] b.vmdk", diskMode="persistent", compatibilityMode="virtualMode", deviceName="vml.1"
    )
    with pytest.raises(Unsupported, match="its disk 'disk1' is a raw device of the storage, which no snapshot holds"):
        backup.check("vc", vm, {}, drives, hardware)


def test_a_vm_of_others_is_not_touched(world: VsphereWorld, tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="bears no ownership mark"):
        world.driver.backup(world.foreign(), tmp_path, "one", None)


@pytest.mark.parametrize("at", ["downloading the disk 'disk1'", "reading the disk 'root'"])
def test_an_interrupt_leaves_no_snapshot(world: VsphereWorld, tmp_path: Path, at: str) -> None:
    vm = filled(world)
    before = world.picture()

    def progress(said: str) -> None:
        if at in said:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.driver.backup(vm, tmp_path, "one", None, progress)
    assert world.picture() == before
    assert holds(taken(world, vm, tmp_path / "again"))


def test_a_full_repository(world: VsphereWorld, tmp_path: Path) -> None:
    vm = filled(world)
    before = world.picture()
    (tmp_path / ".disk1.vmdk").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        world.driver.backup(vm, tmp_path, "one", None)
    assert world.picture() == before


@pytest.fixture
def proxy(world: VsphereWorld, pve_pki: tuple[str, str]) -> Iterator[Proxy]:
    found = Proxy(world.simulator.address, *pve_pki)
    yield found
    found.stop()


@contextlib.contextmanager
def through(world: VsphereWorld, proxy: Proxy, certificate: str) -> Iterator[Any]:
    folder = Path(str(world.access["credentials"])).parent
    driver = open_site(Site("vc", "vsphere", options(world.simulator, folder, certificate, proxy.address)))
    try:
        yield driver
    finally:
        driver.close()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("answer cut short", "unable to download the disk 'root': the connection was cut before its end"),
        ("a byte flipped", "the disk 'root' came damaged: it is not what vCenter says that it sent"),
        ("HTML", "unable to download the disk 'root': 127.0.0.1 answers with a page for people"),
        ("503", "unable to download the disk 'root': 127.0.0.1 answers 503"),
        ("redirect", "unable to download the disk 'root': 127.0.0.1 answers 302"),
    ],
)
def test_a_download_that_fails_says_so_in_one_sentence(
    world: VsphereWorld, proxy: Proxy, pve_pki: tuple[str, str], tmp_path: Path, fault: str, words: str
) -> None:
    vm = filled(world)
    before = world.picture()
    with through(world, proxy, pve_pki[0]) as driver:
        for name in ("first", "second"):  # of the first one's questions the second asks some no more
            proxy.arm()
            (tmp_path / name).mkdir()
            driver.backup(vm, tmp_path / name, "one", None)
        proxy.arm(fault, proxy.calls.index("NFC GET") + 1)
        with pytest.raises(DriverError, match=words) as caught:
            driver.backup(vm, tmp_path, "two", None)
    assert proxy.struck
    assert "\n" not in str(caught.value)
    assert world.picture() == before


def test_a_lease_lives_as_long_as_its_download(
    world: VsphereWorld, proxy: Proxy, pve_pki: tuple[str, str], tmp_path: Path
) -> None:
    """A host may say nothing for long, and vCenter ends a lease that it hears nothing of."""
    vm = filled(world)

    def progress(said: str) -> None:
        end = time.monotonic() + 30
        while "downloading" in said and "HttpNfcLeaseProgress" not in proxy.calls:
            assert time.monotonic() < end, "nobody tells vCenter that the lease is in use"
            world.driver.list()

    with through(world, proxy, pve_pki[0]) as driver:
        driver.backup(vm, tmp_path, "one", None, progress)


def test_a_snapshot_that_stays_locked_is_named(world: VsphereWorld, tmp_path: Path) -> None:
    vm = filled(world)
    driver: Any = world.driver
    driver.tasks.lock_wait = 0.1
    held: list[Any] = []

    def progress(said: str) -> None:
        if "downloading the disk 'root'" in said:  # somebody else exports it too
            held.append(world.inside(vm).snapshot.currentSnapshot.ExportSnapshot())

    with pytest.raises(Failed, match="the snapshot 'muster-backup-one' is perhaps still there and grows"):
        driver.backup(vm, tmp_path, "one", None, progress)
    assert [one.id for one in driver.snapshots(vm)] == ["muster-backup-one"]
    held[0].HttpNfcLeaseAbort(None)
    assert holds(taken(world, vm, tmp_path / "again", "two"))
    assert driver.snapshots(vm) == []


def test_disks_on_a_controller_of_another_kind(world: VsphereWorld, tmp_path: Path) -> None:
    """A lease names a disk by the class of its controller, the bus and the unit."""
    vm = world.made(disks=[])
    hardware = world.inside(vm).config.hardware.device
    ide = next(one.key for one in hardware if isinstance(one, vim.vm.device.VirtualIDEController))
    spec = disk_spec(MIB, 0, world.pool)
    spec.device.controllerKey = ide
    done(world.inside(vm).ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[spec])))
    (disk,) = taken(world, world.driver.get(vm.name), tmp_path / "full").disks
    assert raw(disk.path) == bytes(MIB)
