"""vSphere: what is made of templates and of VMs, whose it is, and what becomes of what is somebody else's."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from muster.drivers.driver import Ambiguous, Conflict, Failed, NotFound, Template
from muster.model.fleet import Site
from muster.model.vm import VM
from pyVmomi import vim
from vsphere_site import VsphereWorld, disk_spec, done, on_vsphere

SPEC: dict[str, Any] = {
    "cpus": 2,
    "memory": "64 MiB",
    "disks": [{"size": "2 MiB"}, {"size": "1 MiB"}],
    "nics": [{"network": "DC0_DVPG0"}, {"network": "DC0_DVPG0", "connected": False}],
}


def copied(world: VsphereWorld, source: str = "debian", name: str = "a", **spec: Any) -> VM:
    desired = world.wanted(name, **{**SPEC, **spec})
    return world.driver.create(desired, world.mark(desired), Template("debian-12", source))


def extra(world: VsphereWorld, vm: VM) -> dict[str, str]:
    return {one.key: one.value for one in world.inside(vm).config.extraConfig}


@on_vsphere
def test_a_copy_of_a_template(world: VsphereWorld) -> None:
    template = world.template()
    vm = copied(world)
    assert world.changes(world.wanted(**SPEC)) == []
    assert (vm.power, vm.state["built"], vm.state["ready"]) == ("off", True, False)
    assert [nic["network"] for nic in vm["nics"]] == ["DC0_DVPG0"] * 2
    assert world.inside(vm).config.uuid == vm.uuid  # what the guest sees
    assert template.config.template
    assert len([one for one in template.config.hardware.device if isinstance(one, vim.vm.device.VirtualDisk)]) == 1
    assert [one.name for one in world.driver.list()] == [vm.name]  # a template is no VM


@on_vsphere
@pytest.mark.parametrize("made_of", ["a template", "a VM"])
def test_a_copy_keeps_the_cores_of_a_socket_of_its_source(world: VsphereWorld, made_of: str) -> None:
    """Licences are counted by sockets."""
    world.template(numCPUs=4, numCoresPerSocket=4)
    vm = copied(world, cpus=8)
    if made_of == "a VM":
        copy = world.wanted("b", **{**SPEC, "cpus": 12})
        vm = world.driver.clone(vm, copy, world.mark(copy))
    sockets = 2 if made_of == "a template" else 3
    assert vm["cpu_topology"] == {"sockets": sockets, "cores": 4, "threads": 1}


@on_vsphere
@pytest.mark.parametrize("taken", [False, True])
def test_a_copy_to_which_vcenter_gave_another_identity(
    world: VsphereWorld, monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    """It does so where another VM bears the one that was asked for; then that copy is not kept."""
    clone = vim.VirtualMachine.CloneVM_Task

    def otherwise(obj: Any, folder: Any, name: str, spec: Any) -> Any:
        uuid, spec.config.instanceUuid = spec.config.instanceUuid, None
        if taken:
            world.foreign("faster", uuid_=uuid)
        return clone(obj, folder, name, spec)

    world.template()
    monkeypatch.setattr(vim.VirtualMachine, "CloneVM_Task", otherwise)
    if taken:
        with pytest.raises(Failed, match="another one bears it; it was not started"):
            copied(world)
        assert [one.name for one in world.driver.list()] == [f"{world.names}-faster"]
    else:
        assert copied(world).state["built"]


@on_vsphere
def test_its_guest_is_told_who_it_is(world: VsphereWorld, tmp_path: Path) -> None:
    world.template()
    (tmp_path / "key.pub").write_text("ssh-ed25519 AAAA test\n", encoding="ascii")
    ssh = {"user": "muster", "key": str(tmp_path / "key")}
    world.driver.access = Site("vc", "vsphere", {**world.access.options, "ssh": ssh})
    vm = copied(world)
    told = {key: base64.b64decode(value) for key, value in extra(world, vm).items() if key in (
        "guestinfo.metadata", "guestinfo.userdata")}  # fmt: skip
    assert json.loads(told["guestinfo.metadata"]) == {"instance-id": vm.uuid, "local-hostname": vm.name}
    head, _line, users = told["guestinfo.userdata"].partition(b"\n")
    assert head == b"#cloud-config"
    assert json.loads(users)["users"][0]["ssh_authorized_keys"] == ["ssh-ed25519 AAAA test"]
    other = world.driver.clone(vm, world.wanted("b", **SPEC), world.mark(world.wanted("b")))
    metadata = json.loads(base64.b64decode(extra(world, other)["guestinfo.metadata"]))
    assert metadata == {"instance-id": other.uuid, "local-hostname": other.name}


@on_vsphere
@pytest.mark.parametrize(("sizes", "spec", "words"), [
    ((4 << 20,), {}, "has 4 MiB and does not fit into the disk 'root' of 2 MiB; nothing was made"),
    ((1 << 20, 1 << 20, 1 << 20), {}, "has 3 disks, of which those at 0:2 would be none of the VM's"),
])
def test_a_template_that_does_not_fit(
    world: VsphereWorld, sizes: tuple[int, ...], spec: dict[str, Any], words: str
) -> None:
    world.template(sizes=sizes)
    before = world.picture()
    with pytest.raises(Conflict, match=words):
        copied(world, **spec)
    assert world.picture() == before


@on_vsphere
def test_templates_by_name_and_uuid(world: VsphereWorld) -> None:
    template = world.template()
    before = world.picture()
    with pytest.raises(NotFound, match=r"there is no template 'debain' for the image .*; did you mean 'debian'"):
        copied(world, "debain")
    assert world.picture() == before
    assert copied(world, template.config.instanceUuid).state["built"]


@on_vsphere
def test_two_templates_of_a_name(world: VsphereWorld) -> None:
    one = world.template()
    folder = next(iter(world.content.rootFolder.childEntity)).vmFolder.CreateFolder("other")
    done(folder.MoveIntoFolder_Task([one]))
    world.template()
    with pytest.raises(Ambiguous, match="2 templates are called 'debian'"):
        copied(world)


@on_vsphere
def test_a_clone_is_a_vm_of_its_own(world: VsphereWorld) -> None:
    vm = world.made(**SPEC, tags={"owner": "shop"})
    desired = world.wanted("b", tags={"owner": "other"}, disks=SPEC["disks"])
    desired = replace(desired, spec={key: desired[key] for key in ("tags", "disks")})
    other = world.driver.clone(vm, desired, world.mark(desired))
    assert world.driver.clone(vm, desired, world.mark(desired)) == other
    assert {one.uuid for one in world.driver.list()} == {vm.uuid, other.uuid}
    assert other["cpus"] == 2
    assert other["tags"] == {"owner": "other"}
    assert not {nic["mac"] for nic in vm["nics"]} & {nic["mac"] for nic in other["nics"]}
    assert world.driver.get(vm.name) == vm
    world.driver.delete(other)
    assert world.driver.get(vm.name) == vm
    assert len(world.volumes()) == 2 * len(SPEC["disks"])  # a descriptor and its content for each


@on_vsphere
def test_a_copy_that_somebody_makes_is_theirs(world: VsphereWorld) -> None:
    """vCenter copies the extra configuration with the VM, and our mark in it."""
    vm = world.made(**SPEC)
    source = world.inside(vm)
    spec = vim.vm.CloneSpec(location=vim.vm.RelocateSpec(), powerOn=False, template=False)
    done(source.CloneVM_Task(source.parent, "by-hand", spec))
    found = {one.name: one for one in world.driver.list()}
    assert found[vm.name].mark == world.mark(vm)
    assert found["by-hand"].mark is None
    assert "muster.mark" in extra(world, found["by-hand"])
    with pytest.raises(Conflict, match="bears no ownership mark"):
        world.driver.delete(found["by-hand"])


@on_vsphere
def test_a_vm_that_was_renamed_and_moved_is_found(world: VsphereWorld) -> None:
    vm = world.made(**SPEC)
    folder = next(iter(world.content.rootFolder.childEntity)).vmFolder.CreateFolder("elsewhere")
    done(folder.MoveIntoFolder_Task([world.inside(vm)]))
    world.reconfigure(world.inside(vm), name="renamed")
    assert world.driver.get(str(vm.uuid)).mark == vm.mark
    assert world.driver.power(vm, "on").power == "on"
    desired = world.wanted(**SPEC)
    assert world.driver.create(desired, world.mark(desired), None).uuid == vm.uuid


@on_vsphere
def test_a_disk_that_muster_did_not_make_outlives_the_vm(world: VsphereWorld) -> None:
    vm = world.made(**SPEC)
    inside = world.inside(vm)
    controller = next(one.key for one in inside.config.hardware.device
                      if isinstance(one, vim.vm.device.VirtualSCSIController))  # fmt: skip
    theirs = disk_spec(3 << 20, 9, "LocalDS_1")
    theirs.device.controllerKey = controller
    world.reconfigure(inside, deviceChange=[theirs])
    seen = world.driver.get(vm.name)
    assert [disk["name"] for disk in seen["disks"]] == ["root", "disk1", "disk-0-9"]
    path = seen.state["disks"]["disk-0-9"]["path"]
    said: list[str] = []
    world.driver.delete(seen, said.append)
    left = [name for name in world.volumes() if not name.endswith("-flat.vmdk")]
    assert [name.rpartition("/")[2] for name in left] == [path.rpartition("/")[2]]
    assert any("leaving the disks at 0:9" in text for text in said)
