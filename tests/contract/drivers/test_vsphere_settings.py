"""Settings that vSphere alone has reach the rules that ask for them, under the names that plans give them too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from muster.drivers.driver import Conflict
from muster.drivers.registry import open_site
from muster.model.fleet import Site
from muster.policy import check, load_rules
from pyVmomi import vim
from vsphere_simulator import Simulator
from vsphere_site import VsphereWorld, done, on_vsphere, options, past_muster


@pytest.mark.parametrize(("api", "told", "outcome"), [
    ("6.5", "ftEncryptionDisabled", "unknown"),  # it refuses the whole list where it is asked for it
    ("7.0.1.1", "ftEncryptionDisabled", "unknown"),
    ("7.0.2.0", "ftEncryptionDisabled", "fail"),
    ("8.0.3.0", "ftEncryptionOpportunistic", "pass"),
    ("10.0.0.0", "ftEncryptionRequired", "pass"),
])
def test_what_only_a_newer_vcenter_knows(
    pve_pki: tuple[str, str], tmp_path: Path, api: str, told: str, outcome: str
) -> None:
    simulator = Simulator(tmp_path / "datastores", *pve_pki, machines=1, api=api)
    driver = open_site(Site("vc", "vsphere", options(simulator, tmp_path, pve_pki[0])))
    try:
        content = past_muster(simulator)
        view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
        option = vim.option.OptionValue(key="vcsim.ft", value=told)
        done(view.view[0].ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=[option])))
        (vm,) = driver.list()
        for found in (vm, driver.again(vm)):
            judged = outcomes({**found.document(), "platform": "vsphere"})
            assert judged["vsphere-fault-tolerance-encrypted"] == outcome
    finally:
        driver.close()
        simulator.stop()


def document(world: VsphereWorld, **fields: Any) -> dict[str, Any]:
    return {**world.foreign(**fields).document(), "platform": "vsphere"}


def outcomes(found: dict[str, Any]) -> dict[str, str]:
    rules = load_rules(["muster/vsphere-hardening", "muster/performance"])
    return {one.rule: one.outcome for one in check([found], rules, "live").findings}


@on_vsphere
def test_a_plain_vm(world: VsphereWorld) -> None:
    found = document(world, version="vmx-13")
    assert found["vsphere"]["hardware_version"] == 13
    assert found["vsphere"]["encrypted"] is False
    assert (found["vsphere"]["vtpm"], found["vsphere"]["pci_devices"]) == (False, 0)
    judged = outcomes(found)
    assert judged["vsphere-hardware-current"] == "fail"
    assert judged["vsphere-confidential-encrypted"] == "unknown", "whose data it holds, its tags would tell"
    assert judged["vsphere-no-copy"] == "pass"


@on_vsphere
@pytest.mark.parametrize(("key", "value", "rule"), [
    ("isolation.tools.copy.disable", "FALSE", "vsphere-no-copy"),
    ("RemoteDisplay.vnc.enabled", "TRUE", "vsphere-no-vnc"),
    ("mks.enable3d", "true", "vsphere-no-3d"),
])
def test_advanced_settings(world: VsphereWorld, key: str, value: str, rule: str) -> None:
    vm = world.foreign()
    task = world.inside(vm).ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=[
        vim.option.OptionValue(key=key, value=value),
        vim.option.OptionValue(key="guestinfo.userdata", value="password: hunter2"),
    ]))  # fmt: skip
    assert task.info.state in ("success", "running", "queued")
    found = {**world.driver.get(str(vm.uuid)).document(), "platform": "vsphere"}
    assert outcomes(found)[rule] == "fail"
    assert "hunter2" not in str(found)


@on_vsphere
@pytest.mark.parametrize(("told", "state", "outcome"), [
    ("guestToolsCurrent", "current", "pass"),
    ("guestToolsUnmanaged", "unmanaged", "pass"),  # open-vm-tools of a distribution
    ("guestToolsSupportedNew", "supported_new", "pass"),
    ("guestToolsSupportedOld", "supported_old", "fail"),
    ("guestToolsTooOld", "too_old", "fail"),
    ("guestToolsBlacklisted", "blacklisted", "fail"),
    ("guestToolsNotInstalled", "not_installed", "fail"),
])
def test_vmware_tools(world: VsphereWorld, told: str, state: str, outcome: str) -> None:
    vm = world.foreign()
    assert outcomes(document(world, name="other"))["vsphere-tools-current"] == "not_applicable"  # it is off
    done(world.inside(vm).PowerOnVM_Task())
    world.reconfigure(world.inside(vm), extraConfig=[
        vim.option.OptionValue(key="SET.guest.toolsVersionStatus2", value=told)])
    found = {**world.driver.get(str(vm.uuid)).document(), "platform": "vsphere"}
    assert found["vsphere"]["tools_status"] == state
    assert outcomes(found)["vsphere-tools-current"] == outcome


@on_vsphere
@pytest.mark.parametrize("needed", [False, True])
def test_disks_that_were_not_merged_with_their_snapshot(world: VsphereWorld, needed: bool) -> None:
    vm = world.made("a")
    taken = world.driver.take_snapshot(vm, "op")
    if needed:
        world.reconfigure(world.inside(vm), extraConfig=[
            vim.option.OptionValue(key="vcsim.consolidation", value="true")])
        with pytest.raises(Conflict, match="is deleted, and its disks are not merged: they still grow"):
            world.driver.delete_snapshot(vm, taken)
    else:
        world.reconfigure(world.inside(vm), extraConfig=[
            vim.option.OptionValue(key="vcsim.consolidation", value="false")])
        world.driver.delete_snapshot(vm, taken)
    for now in (world.driver.get(vm.name), *world.driver.list()):
        found = {**now.document(), "platform": "vsphere"}
        assert found["vsphere"]["consolidation_needed"] is needed
        assert outcomes(found)["vsphere-disks-consolidated"] == ("fail" if needed else "pass")


@on_vsphere
def test_devices(world: VsphereWorld) -> None:
    vm = world.wanted(nics=[{"network": "VM Network"}])
    made = world.driver.create(vm, vm.mark, None) if vm.mark else vm
    found = {**made.document(), "platform": "vsphere"}
    assert [disk["bus"] for disk in found["disks"]] == ["pvscsi"]
    assert [(disk["mode"], disk["shared"], disk["provisioning"]) for disk in found["disks"]] == [
        ("persistent", False, "thin")]  # fmt: skip
    assert [(nic["network"], nic["model"]) for nic in found["nics"]] == [("VM Network", "vmxnet3")]
    judged = outcomes(found)
    assert judged["nic-paravirtual"] == judged["disk-bus-paravirtual"] == "pass"
    assert judged["vsphere-no-nonpersistent-disks"] == "pass"
