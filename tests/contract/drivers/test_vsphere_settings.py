"""Settings that vSphere alone has reach the rules that ask for them, under the names that plans give them too."""

from __future__ import annotations

from typing import Any

import pytest
from muster.policy import check, load_rules
from pyVmomi import vim
from vsphere_site import VsphereWorld, on_vsphere

pytestmark = on_vsphere


def document(world: VsphereWorld, **fields: Any) -> dict[str, Any]:
    return {**world.foreign(**fields).document(), "platform": "vsphere"}


def outcomes(found: dict[str, Any]) -> dict[str, str]:
    rules = load_rules(["muster/vsphere-hardening", "muster/performance"])
    return {one.rule: one.outcome for one in check([found], rules, "live").findings}


def test_a_plain_vm(world: VsphereWorld) -> None:
    found = document(world, version="vmx-13")
    assert found["vsphere"]["hardware_version"] == 13
    assert found["vsphere"]["encrypted"] is False
    assert (found["vsphere"]["vtpm"], found["vsphere"]["pci_devices"]) == (False, 0)
    judged = outcomes(found)
    assert judged["vsphere-hardware-current"] == "fail"
    assert judged["vsphere-confidential-encrypted"] == "unknown", "whose data it holds, its tags would tell"
    assert judged["vsphere-no-copy"] == "pass"


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
