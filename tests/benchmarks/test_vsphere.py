"""The inventory of a vCenter with 1,000 VMs, all of a fleet, beside community.vmware's: `ansible-inventory --list`,
Ansible's own start included, on govmomi's simulator. Its VMs have one disk and one NIC, and few options of extra
configuration; those of a real vCenter have some forty."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakepve.certs import make_cert
from muster.drivers import ownership
from muster.drivers.registry import open_site
from muster.drivers.vsphere import devices
from muster.model.fleet import load_fleet
from muster.model.vm import Mark
from pyVmomi import vim

from .network import Network
from .peers import CHECKOUT, COUNT, inventory, peer, playbook

sys.path.append(str(CHECKOUT / "tests" / "contract" / "drivers"))

from vsphere_simulator import ACCOUNT, Simulator
from vsphere_site import done, options, past_muster

CONVERGED, LOOPED = 200, 20  # VMs of a fleet with nothing to do; and those over which the peer loops, which is slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Inventory files of both for one vCenter."""
    folder = tmp_path_factory.mktemp("vcenter")
    certificate, key, _der = make_cert(str(folder), hosts=("127.0.0.1",))
    simulator = Simulator(folder / "datastores", certificate, key, COUNT)
    try:
        content = past_muster(simulator)
        view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
        for number, vm in enumerate(view.view, 1):
            _adopt(vm, Mark("bench", f"vm-{number}", "op"))
            if number <= LOOPED:  # vmware_guest reads the snapshots, and the simulator hangs up where there are none
                done(vm.CreateSnapshot_Task("before", "", False, False))
        site = {"platform": "vsphere", **options(simulator, folder, certificate)}
        fleet = {"fleet": "bench", "sites": {"vc": site}, "vms": {"vm": {"count": COUNT}}}
        (folder / "fleet.json").write_text(json.dumps(fleet), encoding="utf-8")
        ours = {"plugin": "muster.fleet.fleet", "fleet_file": "fleet.json"}
        (folder / "muster.yml").write_text(json.dumps(ours), encoding="utf-8")
        host, _colon, port = simulator.address.partition(":")
        theirs = {"plugin": "community.vmware.vmware_vm_inventory", "hostname": host, "port": int(port),
                  "username": ACCOUNT[0], "password": ACCOUNT[1], "validate_certs": False, "strict": False}
        (folder / "vmware.yml").write_text(json.dumps(theirs), encoding="utf-8")
        theirs["properties"] = ["name", "config.name", "config.uuid", "config.hardware", "config.extraConfig",
                                "config.instanceUuid", "guest.ipAddress", "runtime.powerState"]  # fmt: skip
        (folder / "same.vmware.yml").write_text(json.dumps(theirs), encoding="utf-8")
        access = {key: theirs[key] for key in ("hostname", "port", "username", "password", "validate_certs")}
        network = Network(simulator.address, 0.02)
        for name, address in (("", simulator.address), ("far-", network.address)):
            host, _colon, port = address.partition(":")
            at = {**access, "hostname": host, "port": int(port)}
            (folder / f"{name}vms.yml").write_text(json.dumps({"plugin": "vmware.vmware.vms", **at}), encoding="utf-8")
        uri = str(site["uri"]).replace(simulator.address, network.address)
        far = {**fleet, "sites": {"vc": {**site, "uri": uri}}}
        (folder / "far.json").write_text(json.dumps(far), encoding="utf-8")
        (folder / "far-muster.yml").write_text(json.dumps({**ours, "fleet_file": "far.json"}), encoding="utf-8")
        (folder / "loop.yml").write_text(json.dumps(_loop(access, LOOPED)), encoding="utf-8")
        (folder / "start.yml").write_text(json.dumps(_loop(access, 0)), encoding="utf-8")
        (folder / "fleet.yml").write_text(json.dumps(_fleet(folder)), encoding="utf-8")
        yield folder
        network.stop()
    finally:
        simulator.stop()


def _adopt(vm: Any, mark: Mark) -> None:
    uuid = ownership.identity(mark, "vc")
    written = ownership.Written(mark, {"tags": {"owner": "shop"}}, platform={"uuid": uuid, "devices": {"root": "0:0"}})
    option = vim.option.OptionValue(key="muster.mark", value=ownership.write(written))
    done(vm.ReconfigVM_Task(vim.vm.ConfigSpec(name=mark.vm, instanceUuid=uuid, extraConfig=[option])))


def _play(task: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task],
             "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}}]  # fmt: skip


def _loop(access: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """A VM at a time, as playbooks over the peer do it; nothing is left to do."""
    wanted = {**access, "name": "{{ item }}", "state": "present", "datacenter": "DC0",
              "hardware": {"num_cpus": 1, "memory_mb": 32}}  # fmt: skip
    names = [f"vm-{number}" for number in range(1, count + 1)]
    return _play({"community.vmware.vmware_guest": wanted, "loop": names})


def _fleet(folder: Path) -> list[dict[str, Any]]:
    names = [f"vm-{number}" for number in range(1, CONVERGED + 1)]
    return _play({"muster.fleet.fleet": {"fleet_file": str(folder / "fleet.json"), "vms": names}})


def test_an_inventory_of_1000_vms(folder: Path) -> None:
    ours = inventory(Path(sys.executable).parent / "ansible-inventory", folder / "muster.yml", 3)
    theirs = inventory(peer(), folder / "vmware.yml", 3)
    same = inventory(peer(), folder / "same.vmware.yml", 1)
    print(f"\nthe inventory of {COUNT} VMs with disks and NICs: {ours:.2f} s")
    print(f"community.vmware as it comes, without them: {theirs:.2f} s; ratio {ours / theirs:.3f}")
    print(f"community.vmware asked for them: {same:.2f} s; ratio {ours / same:.3f}")
    assert ours < same


@pytest.mark.parametrize(("way", "most"), [("", 1 / 6), ("far-", 1 / 25)], ids=["loopback", "20 ms away"])
def test_an_inventory_beside_vmware_vmware(folder: Path, way: str, most: float) -> None:
    ours = inventory(Path(sys.executable).parent / "ansible-inventory", folder / f"{way}muster.yml", 3)
    theirs = inventory(peer(), folder / f"{way}vms.yml", 1)
    print(f"\nthe inventory of {COUNT} VMs{', 20 ms away' if way else ''}: {ours:.2f} s; vmware.vmware.vms: "
          f"{theirs:.2f} s; ratio {ours / theirs:.3f}")
    assert ours < theirs * most  # the goal is 1/25: see docs/benchmarks.md


def test_a_fleet_of_200_with_nothing_to_do(folder: Path) -> None:
    ours = playbook(Path(sys.executable).parent / "ansible-playbook", folder / "fleet.yml")
    command = peer().with_name("ansible-playbook")
    start = playbook(command, folder / "start.yml")  # counted once, however many VMs there are
    theirs = playbook(command, folder / "loop.yml")
    one = start + (theirs - start) / LOOPED * CONVERGED
    print(f"\n{CONVERGED} VMs of {COUNT} with nothing to do: {ours:.2f} s; vmware_guest over {LOOPED}: {theirs:.2f} s, "
          f"{start:.2f} s of it its start, so {one:.0f} s for {CONVERGED}; ratio {ours / one:.4f}")
    assert ours < one / 20


def test_the_list_alone(folder: Path) -> None:
    """Beside pyvmomi asked VM by VM for the same."""
    fleet = load_fleet((folder / "fleet.json").read_text(encoding="utf-8"))
    driver = open_site(fleet.sites["vc"])
    try:
        start = time.perf_counter()
        listed = driver.list()
        ours = time.perf_counter() - start
        content: Any = driver.session.content  # type: ignore[attr-defined]
        start = time.perf_counter()
        view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
        count = 0
        for vm in view.view:
            config, runtime = vm.config, vm.runtime
            count += bool(devices.disks(config.hardware.device)) and bool(runtime.host) and bool(vm.name)
        theirs = time.perf_counter() - start
    finally:
        driver.close()
    assert len(listed) == count == COUNT
    print(f"\nthe list of {COUNT} VMs: {ours:.2f} s; pyvmomi, VM by VM: {theirs:.2f} s; ratio {ours / theirs:.3f}")
    assert ours < theirs
