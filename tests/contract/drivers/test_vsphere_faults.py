"""vSphere: each fault at each call of each operation. It is done once, or a clear error tells what is not known and
nothing is lost; a run after it finishes the job; there is never a second one of anything."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import vsphere_proxy
from muster.drivers import waiting
from muster.drivers.driver import Driver, DriverError, Image, NotFound, Template, Unknown
from muster.drivers.registry import open_site
from muster.drivers.vsphere import connection, lease, listing
from muster.model.fleet import Site
from muster.model.vm import VM, Mark
from pyVmomi import vim
from test_backup import raw
from vsphere_proxy import FAULTS, UNHEARD, Proxy
from vsphere_site import VsphereWorld, done, on_vsphere, options

BEFORE: dict[str, Any] = {"cpus": 1, "disks": [{"size": "1 MiB"}], "nics": [{"network": "DC0_DVPG0"}]}
GROWN = {**BEFORE, "disks": [{"size": "2 MiB"}]}
MOVED = {**BEFORE, "disks": [{"size": "1 MiB", "pool": "LocalDS_1"}]}
AFTER: dict[str, Any] = {
    "cpus": 2,
    "memory": "64 MiB",
    "disks": [{"size": "2 MiB"}, {"size": "1 MiB"}],
    "nics": [{"network": "DC0_DVPG0", "connected": False}],
    "tags": {"owner": "shop"},
    "anti_affinity": "web",
    "ha_priority": "high",
}


@dataclass(frozen=True)
class Operation:
    """`before` makes what is needed; `act` is done through the proxy; `holds` is true of the world after it."""

    act: Callable[[VsphereWorld, Driver, str], object]
    holds: Callable[[VsphereWorld, str], object]
    before: Callable[[VsphereWorld, str], object] = lambda world, name: None
    leased: bool = False  # it holds a lease of vCenter, which ends with the session


def existing(on: bool = False, **spec: Any) -> Callable[[VsphereWorld, str], object]:
    return lambda world, name: world.made(name, on=on, **{**BEFORE, **spec})


def there(world: VsphereWorld, name: str) -> VM:
    """The one VM of this name: in vCenter's inventory, too, there is but one."""
    full = f"{world.names}-{name}"
    assert [one.name for one in world.inventory].count(full) == 1
    return world.driver.get(full)


def planned(world: VsphereWorld, name: str, **spec: Any) -> bool:
    vm = there(world, name)
    assert vm.state["built"]
    assert world.changes(world.wanted(name, **spec)) == []
    return vm.power == spec.get("power", "off")


def apply(world: VsphereWorld, driver: Driver, name: str, **more: Any) -> object:
    desired = world.wanted(name, **AFTER, **more)
    actual = driver.get(desired.name)
    changes = world.changes(desired)
    return driver.apply(desired, actual, changes) if changes else None


def move(world: VsphereWorld, driver: Driver, name: str, spec: dict[str, Any] | None = None) -> object:
    desired = world.wanted(name, **(spec or MOVED))
    changes = world.changes(desired)
    return driver.apply(desired, driver.get(desired.name), changes) if changes else None


HOST = {**BEFORE, "host": "DC0_C0_H1"}
POOL = {**BEFORE, "resource_pool": "gold/web"}
FOLDER = {**BEFORE, "folder": "shop/web"}
CLUSTER: dict[str, Any] = {
    "disks": [{"size": "1 MiB"}], "nics": [{"network": "VM Network"}], "zone": "DC0_C0", "anti_affinity": "web",
    "ha_priority": "high",
}  # fmt: skip
OTHER = {**CLUSTER, "zone": "DC0_C1"}


def two_clusters(world: VsphereWorld, name: str) -> None:
    """A VM in one of two clusters that share a datastore."""
    (datacenter,) = (one for one in world.content.rootFolder.childEntity if isinstance(one, vim.Datacenter))
    clusters = {one.name: one for one in datacenter.hostFolder.childEntity}
    if "DC0_C1" not in clusters:
        drs, das = vim.cluster.DrsConfigInfo(enabled=True), vim.cluster.DasConfigInfo(enabled=True)
        made = datacenter.hostFolder.CreateClusterEx("DC0_C1", vim.cluster.ConfigSpecEx())
        both = vim.cluster.ConfigSpecEx(drsConfig=drs, dasConfig=das)
        done(made.ReconfigureComputeResource_Task(both, True))
        host = done(made.AddHost_Task(vim.host.ConnectSpec(hostName="DC0_C1_H0"), True))
        (store,) = (one for one in clusters["DC0_C0"].datastore if one.name == world.pool)
        host.configManager.datastoreSystem.CreateLocalDatastore(store.name, store.info.url)
        world.driver.list()
    world.made(name, on=True, **CLUSTER)


def adopt(world: VsphereWorld, driver: Driver, name: str) -> object:
    vm = driver.get(f"{world.names}-{name}")
    return driver.adopt(vm, Mark(world.fleet, vm.name, "op-1"))


def answering(world: VsphereWorld, name: str) -> None:
    """A copy that nobody saw ready yet, whose guest answers."""
    if name == "v0":
        world.template()
    create(world, world.driver, name, "debian")
    vm = world.driver.power(there(world, name), "on")
    assert not vm.state["ready"]
    for key, value in (("ipAddress", "10.0.0.7"), ("toolsRunningStatus", "guestToolsRunning")):
        option = vim.option.OptionValue(key=f"SET.guest.{key}", value=value)
        world.reconfigure(world.inside(vm), extraConfig=[option])


def create(world: VsphereWorld, driver: Driver, name: str, template: str = "") -> object:
    desired = world.wanted(name, **(AFTER if template else BEFORE))
    return driver.create(desired, world.mark(desired), Template("debian", template) if template else None)


def clone(world: VsphereWorld, driver: Driver, name: str) -> object:
    copy = world.wanted(f"{name}-copy", **AFTER)
    return driver.clone(driver.get(f"{world.names}-{name}"), copy, world.mark(copy))


def delete(world: VsphereWorld, driver: Driver, name: str) -> object:
    with contextlib.suppress(NotFound):  # as `remove` of a fleet does: what is gone is right
        driver.delete(driver.get(f"{world.names}-{name}"))
    return None


def snapshots(world: VsphereWorld, name: str) -> list[str]:
    return [one.operation for one in world.driver.snapshots(there(world, name))]


def snapshot(world: VsphereWorld, name: str) -> None:
    world.driver.take_snapshot(world.made(name, **BEFORE), "op")


def filled(world: VsphereWorld, name: str) -> None:
    world.flat(world.made(name, **BEFORE)).write_bytes(CONTENT)


def backup(world: VsphereWorld, driver: Driver, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = driver.backup(driver.get(f"{world.names}-{name}"), Path(folder), "op", None)
        assert raw(found.disks[0].path) == CONTENT.ljust(1 << 20, b"\0")


def restore(world: VsphereWorld, driver: Driver, name: str) -> None:
    desired = world.wanted(name, **GROWN)
    with tempfile.TemporaryDirectory() as folder:
        driver.restore(desired, world.mark(desired), {"root": packed(Path(folder))})


def packed(folder: Path) -> Path:
    """An image of 1 MiB."""
    plain, image = folder / "raw", folder / "root.qcow2"
    plain.write_bytes(CONTENT.ljust(1 << 20, b"\0"))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(plain), str(image)], check=True)
    return image


def of_image(world: VsphereWorld, driver: Driver, name: str) -> None:
    desired = world.wanted(name, **GROWN)
    with tempfile.TemporaryDirectory() as folder:
        driver.create(desired, world.mark(desired), Image("debian", packed(Path(folder)), ""))


def came_back(world: VsphereWorld, name: str) -> bool:
    vm = there(world, name)
    whole = planned(world, name, **GROWN)
    return whole and world.flat(vm).read_bytes() == CONTENT.ljust(1 << 20, b"\0")


def gone(world: VsphereWorld, name: str) -> bool:
    full = f"{world.names}-{name}"
    return not [one for one in world.inventory if one.name == full] and not [v for v in world.volumes() if full in v]


def of(vm: Callable[[Driver, VM], object]) -> Callable[[VsphereWorld, Driver, str], object]:
    return lambda world, driver, name: vm(driver, driver.get(f"{world.names}-{name}"))


OPERATIONS: dict[str, Operation] = {
    "list": Operation(lambda world, driver, name: driver.list(), lambda world, name: True, existing()),
    "create": Operation(create, lambda world, name: planned(world, name, **BEFORE)),
    "create from a template": Operation(
        lambda world, driver, name: create(world, driver, name, "debian"),
        lambda world, name: planned(world, name, **AFTER),
        lambda world, name: world.template() if name == "v0" else None,
    ),
    "create from an image": Operation(
        of_image,
        lambda world, name: planned(world, name, **GROWN)
        and world.flat(there(world, name)).read_bytes() == CONTENT.ljust(1 << 20, b"\0"),
        leased=True,
    ),
    "clone": Operation(
        clone,
        lambda world, name: planned(world, f"{name}-copy", **AFTER) and planned(world, name, **BEFORE),
        existing(),
    ),
    "change": Operation(apply, lambda world, name: planned(world, name, **AFTER), existing()),
    "change with a power cycle": Operation(
        lambda world, driver, name: apply(world, driver, name, power="on"),
        lambda world, name: planned(world, name, **AFTER, power="on"),
        existing(on=True, power="on"),
    ),
    "move a disk": Operation(move, lambda world, name: planned(world, name, **MOVED), existing()),
    "move to another host": Operation(
        lambda world, driver, name: move(world, driver, name, HOST),
        lambda world, name: planned(world, name, **HOST, power="on"),
        existing(on=True, host="DC0_C0_H0"),
    ),
    "move into a pool": Operation(
        lambda world, driver, name: move(world, driver, name, POOL),
        lambda world, name: planned(world, name, **POOL, power="on"),
        existing(on=True),
    ),
    "move into a folder": Operation(
        lambda world, driver, name: move(world, driver, name, FOLDER),
        lambda world, name: planned(world, name, **FOLDER, power="on"),
        existing(on=True),
    ),
    "move to another cluster": Operation(
        lambda world, driver, name: move(world, driver, name, OTHER),
        lambda world, name: planned(world, name, **OTHER, power="on"),
        two_clusters,
    ),
    "adopt": Operation(
        adopt,
        lambda world, name: there(world, name).mark == Mark(world.fleet, f"{world.names}-{name}", "op-1"),
        lambda world, name: world.foreign(name),
    ),
    "survey": Operation(
        lambda world, driver, name: driver.survey(driver.list()), lambda world, name: True, existing()
    ),
    "snapshots of all": Operation(
        lambda world, driver, name: driver.snapshots_of_all(driver.list()), lambda world, name: True, snapshot
    ),
    "wait until ready": Operation(
        of(lambda driver, vm: driver.wait_ready(vm)), lambda world, name: there(world, name).state["ready"], answering
    ),
    "power on": Operation(
        of(lambda driver, vm: driver.power(vm, "on")), lambda world, name: there(world, name).power == "on", existing()
    ),
    "power off": Operation(
        of(lambda driver, vm: driver.power(vm, "off")),
        lambda world, name: there(world, name).power == "off",
        existing(on=True),
    ),
    "take a snapshot": Operation(
        of(lambda driver, vm: driver.take_snapshot(vm, "op")),
        lambda world, name: snapshots(world, name) == ["op"],
        existing(),
    ),
    "revert": Operation(
        of(lambda driver, vm: driver.revert_snapshot(vm, driver.snapshots(vm)[0])),
        lambda world, name: snapshots(world, name) == ["op"] and planned(world, name, **BEFORE),
        snapshot,
    ),
    "delete a snapshot": Operation(
        of(lambda driver, vm: [driver.delete_snapshot(vm, one) for one in driver.snapshots(vm)]),
        lambda world, name: snapshots(world, name) == [],
        snapshot,
    ),
    "back up": Operation(backup, lambda world, name: snapshots(world, name) == [], filled, leased=True),
    "restore": Operation(restore, came_back, leased=True),
    "delete": Operation(delete, gone, existing(anti_affinity="web")),
}
CONTENT = b"\5" * 100_000
HARMLESS = ("session ended", "busy")  # these must not even be noticed


@pytest.fixture
def proxy(world: VsphereWorld, pve_pki: tuple[str, str]) -> Iterator[Proxy]:
    found = Proxy(world.simulator.address, *pve_pki)
    yield found
    found.stop()


def through(world: VsphereWorld, proxy: Proxy, certificate: str) -> Driver:
    """A driver behind the proxy."""
    folder = Path(str(world.access["credentials"])).parent
    return open_site(Site("vc", "vsphere", options(world.simulator, folder, certificate, proxy.address)))


@on_vsphere
def test_a_task_is_followed_through_a_silence(
    world: VsphereWorld, proxy: Proxy, pve_pki: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_AGAIN", 0.01)
    monkeypatch.setattr(connection, "_PAUSE", 0.0)
    driver: Any = through(world, proxy, pve_pki[0])
    try:
        proxy.silences = (b'type="Task"', 9)
        desired = world.wanted()
        assert driver.create(desired, world.mark(desired), None).state["built"]
        driver.tasks.silence, proxy.silences = 0.2, (b'type="Task"', 1 << 30)
        desired = world.wanted("b")
        with pytest.raises(Unknown, match=r"while its task was followed, so its outcome is not known, and what it"):
            driver.create(desired, world.mark(desired), None)
        proxy.silences = (b"", 0)
        assert "Destroy_Task" not in proxy.calls
        assert driver.create(desired, world.mark(desired), None).state["built"]
        assert sum(vm.mark is not None for vm in driver.list()) == 2
    finally:
        driver.close()


# One of each kind always: heard and not answered, not heard, refused, lied to.
ALWAYS = ("answer dropped", "gone", "dropped", *HARMLESS, "a lie")
LONG = pytest.mark.skipif(not os.environ.get("MUSTER_LONG"), reason="takes minutes more: MUSTER_LONG=1 make contract")


@on_vsphere
@pytest.mark.parametrize(
    "fault", [fault if fault in ALWAYS else pytest.param(fault, marks=LONG) for fault in FAULTS]
)
@pytest.mark.parametrize("name", OPERATIONS)
def test_done_once_or_a_clear_error_and_a_retry_finishes(
    world: VsphereWorld, proxy: Proxy, pve_pki: tuple[str, str], monkeypatch: pytest.MonkeyPatch, name: str, fault: str
) -> None:
    monkeypatch.setattr(connection, "_PAUSE", 0.0)
    monkeypatch.setattr(connection, "TIMEOUT", 0.15 if fault == "silence" else 30)
    monkeypatch.setattr(lease, "_SILENCE", 0.15 if fault == "silence" else 30)
    operation = OPERATIONS[name]
    driver: Any = through(world, proxy, pve_pki[0])
    struck = 0
    try:
        driver.power_of.settle, driver.tasks.silence = 0.2, 0.0
        for at in range(1, 80):
            vm = f"v{at - 1}"
            operation.before(world, vm)
            owned = {one.uuid for one in world.driver.list() if one.mark}
            proxy.arm(fault, at)
            failed: DriverError | None = None
            try:
                operation.act(world, driver, vm)
            except DriverError as error:
                failed = error
            struck += proxy.struck
            heard = f"{fault} at call {at} of {name}: {proxy.calls}"
            if failed is not None:
                assert proxy.struck, f"{heard}: {failed}"
                assert failed.todo, heard
                assert re.match(r"(VM '|Site ')", str(failed)), heard
                assert fault not in HARMLESS or (operation.leased and fault != "busy"), f"{heard}: {failed}"
                if name != "delete":
                    assert owned <= {one.uuid for one in world.driver.list() if one.mark}, heard
                proxy.arm()
                operation.act(world, driver, vm)
            assert operation.holds(world, vm), heard
            if at > len(proxy.calls) and failed is None:
                break
            clear(world, vm)
    finally:
        driver.close()
    print(f"{name}: {fault} at {struck} calls")
    assert at > 2, "the operation asked vCenter nothing"
    if fault not in ("busy", "a lie") and not (operation.leased and fault == "session ended"):
        assert struck == at - 1


def clear(world: VsphereWorld, name: str) -> None:
    """Take away what a round made, so that the next one begins with the same inventory."""
    for one in world.inventory:
        if one.name.startswith(f"{world.names}-{name}"):
            if one.runtime.powerState == "poweredOn":
                done(one.PowerOffVM_Task())
            done(one.Destroy_Task())


@on_vsphere
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in ("busy", "a lie", "gone")])
def test_opening_a_site(
    world: VsphereWorld, proxy: Proxy, pve_pki: tuple[str, str], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(connection, "_PAUSE", 0.0)
    monkeypatch.setattr(connection, "TIMEOUT", 0.15 if fault == "silence" else 30)
    for at in (1, 2):
        proxy.arm(fault, at)
        driver = through(world, proxy, pve_pki[0])
        assert driver.list() == []
        driver.close()
        assert proxy.calls[-1] == "Logout"


@on_vsphere
def test_no_session_is_left(world: VsphereWorld, proxy: Proxy, pve_pki: tuple[str, str]) -> None:
    before = len(world.content.sessionManager.sessionList)
    driver = through(world, proxy, pve_pki[0])
    assert len(world.content.sessionManager.sessionList) == before + 1
    driver.close()
    driver.close()
    assert len(world.content.sessionManager.sessionList) == before


@on_vsphere
def test_a_session_is_renewed_once_for_all_threads(world: VsphereWorld) -> None:
    driver: Any = world.driver
    for name in "abc":
        world.made(name)
    manager = world.content.sessionManager
    mine = manager.currentSession.key
    manager.TerminateSession([one.key for one in manager.sessionList if one.key != mine])
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _number: len(driver.list()), range(16)))
    assert found == [3] * 16
    assert driver.session.renewals == 1


@on_vsphere
def test_what_is_not_heard_is_said_to_be_unknown(
    world: VsphereWorld, proxy: Proxy, pve_pki: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_PAUSE", 0.0)
    driver = through(world, proxy, pve_pki[0])
    vm = world.made(**BEFORE)
    proxy.arm()
    first = driver.take_snapshot(vm, "first")
    proxy.arm()
    driver.delete_snapshot(vm, first)
    at = proxy.calls.index("RemoveSnapshot_Task") + 1
    second = driver.take_snapshot(vm, "second")
    proxy.arm("answer dropped", at)
    with pytest.raises(Unknown, match=r"unable to delete the snapshot .*whether it was done is not known.*the run"):
        driver.delete_snapshot(vm, second)
    assert driver.snapshots(vm) == []
    driver.close()


@on_vsphere
@pytest.mark.parametrize("heard", [True, False])
@pytest.mark.parametrize(("call", "on", "act", "holds"), [
    ("PowerOnVM_Task", False, lambda driver, vm: driver.power(vm, "on"), lambda driver, vm: vm.power == "on"),
    ("PowerOffVM_Task", True, lambda driver, vm: driver.power(vm, "off", force=True),
     lambda driver, vm: vm.power == "off"),
    ("ShutdownGuest", True, lambda driver, vm: driver.power(vm, "off"), lambda driver, vm: vm.power == "off"),
    ("CreateSnapshot_Task", False, lambda driver, vm: driver.take_snapshot(vm, "op"),
     lambda driver, vm: [one.operation for one in driver.snapshots(vm)] == ["op"]),
])  # fmt: skip
def test_what_shows_that_it_was_done_is_done_though_the_answer_was_lost(
    world: VsphereWorld, proxy: Proxy, pve_pki: tuple[str, str], monkeypatch: pytest.MonkeyPatch, call: str, on: bool,
    act: Callable[[Driver, VM], object], holds: Callable[[Driver, VM], bool], heard: bool,
) -> None:
    monkeypatch.setattr(connection, "_PAUSE", 0.0)
    driver: Any = through(world, proxy, pve_pki[0])
    driver.power_of.settle = 0.0
    other, vm = world.made("other", on=on, **BEFORE), world.made("a", on=on, **BEFORE)
    proxy.arm()
    act(driver, other)
    proxy.arm("answer dropped" if heard else "dropped", proxy.calls.index(call) + 1)
    if heard:
        act(driver, vm)
    else:
        with pytest.raises(Unknown, match="whether it was done is not known"):
            act(driver, vm)
    assert proxy.struck
    assert proxy.calls.count(call) == 1
    assert holds(world.driver, world.driver.get(vm.name)) is heard
    driver.close()


@on_vsphere
def test_a_login_page_that_is_xml_is_no_proof_that_a_vm_is_gone(
    world: VsphereWorld, proxy: Proxy, pve_pki: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_PAUSE", 0.0)
    monkeypatch.setattr(vsphere_proxy, "_LOGIN_PAGE", b"<html><body>Sign in</body></html>")
    vm = world.made(**BEFORE)
    driver: Any = through(world, proxy, pve_pki[0])
    for at, method in enumerate(("FindByUuid", "RetrievePropertiesEx"), 1):
        proxy.arm("HTML", at)
        assert listing.current(driver.session, vm) == vm
        assert proxy.calls[at - 1] == method
    driver.close()


def test_every_fault_is_one_of_two_kinds() -> None:
    assert set(HARMLESS) < set(UNHEARD)
