"""Proxmox: VMs made of templates, images, archives and other VMs; each is whole, itself alone, and made once."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from muster.drivers.driver import Ambiguous, Archive, Conflict, Failed, Image, NotFound, Template
from muster.drivers.ownership import identity
from muster.model.vm import VM, Mark
from proxmox_site import ProxmoxWorld, on_proxmox
from sites import sha256

pytestmark = on_proxmox
NIC: dict[str, Any] = {"nics": [{"network": "vmbr0", "vlan": 7}]}


def template(world: ProxmoxWorld, vmid: int = 9000, name: str = "debian-12", **config: Any) -> None:
    """A template as somebody made it, with cloud-init and two NICs."""
    volume = f"base-{vmid}-disk-0"
    world.fake.storages["local-lvm"].setdefault("volumes", {})[volume] = {
        "content": "images", "format": "raw", "size": 1 << 20, "vmid": vmid,
    }
    given = {
        "scsi0": f"local-lvm:{volume},discard=on,size=1M",
        "ide2": "local-lvm:vm-9000-cloudinit,media=cdrom",
        "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr9",
        "net1": "virtio=BC:24:11:00:00:02,bridge=vmbr9",
        "description": "golden",
        "tags": "golden",
        "boot": "order=scsi0",
    }
    vm = world.fake.add_vm(vmid, name, template=True, config={**given, **config})
    vm.config["template"] = 1


def made(world: ProxmoxWorld, source: Template | Image, name: str = "a", **spec: Any) -> VM:
    desired = world.wanted(name, **spec)
    return world.driver.create(desired, world.mark(desired), source)


def test_of_a_template(world: ProxmoxWorld, tmp_path: Path) -> None:
    template(world)
    key = tmp_path / "id"
    key.with_suffix(".pub").write_text("ssh-ed25519 AAAA+/= somebody\n", encoding="ascii")
    world.driver.access.options["ssh"] = {"user": "muster", "key": str(key)}  # type: ignore[index]
    spec: dict[str, Any] = {**NIC, "disks": [{"size": "4 MiB", "iops_limit": 50}, {"size": "2 MiB"}], "cpus": 2}
    vm = made(world, Template("debian", "debian-12"), **spec)
    config = world.inside(vm).config
    assert world.changes(world.wanted(**spec)) == []
    assert (vm.uuid, vm.power, vm.state["ready"]) == (identity(vm.owner, "pve"), "off", False)
    assert [disk["size"] for disk in vm["disks"]] == [4 << 20, 2 << 20]
    assert "discard=on" in config["scsi0"]  # what the template says of its disk stays
    assert [nic["network"] for nic in vm["nics"]] == ["vmbr0"]
    assert (config["ciuser"], config["ipconfig0"]) == ("muster", "ip=dhcp")
    assert config["sshkeys"] == "ssh-ed25519%20AAAA%2B%2F%3D%20somebody"
    assert config["tags"] == "golden;muster"
    assert "golden" not in config["description"]
    assert world.fake.vm(9000).config["description"] == "golden"


def test_what_a_template_knows_best_stays(world: ProxmoxWorld) -> None:
    known: dict[str, Any] = {"ostype": "win11", "scsihw": "pvscsi", "agent": "0", "cores": 3, "bios": "seabios",
                             "machine": "q35"}  # fmt: skip
    template(world, **known)
    desired = world.wanted()
    desired = replace(desired, spec={key: value for key, value in desired.spec.items() if key not in ("cpus",)})
    vm = world.driver.create(desired, world.mark(desired), Template("windows", "debian-12"))
    config = world.inside(vm).config
    assert {key: config[key] for key in known} == known
    assert vm["cpus"] == 3


def test_of_a_template_by_its_number(world: ProxmoxWorld) -> None:
    template(world)
    template(world, 9001)
    with pytest.raises(Ambiguous, match=r"2 templates are called 'debian-12': 9000, 9001"):
        made(world, Template("debian", "debian-12"))
    assert made(world, Template("debian", "9001"))["disks"][0]["size"] == 1 << 20


def test_templates_are_no_vms(world: ProxmoxWorld) -> None:
    template(world)
    world.fake.cts.append(world.fake.add_vm(300, "x"))
    world.fake.vms.pop()
    assert world.driver.list() == []


def test_a_template_that_is_not_there(world: ProxmoxWorld) -> None:
    template(world)
    before = world.picture()
    with pytest.raises(NotFound, match=r"there is no template 'debian-21' .*did you mean 'debian-12'\?"):
        made(world, Template("debian", "debian-21"))
    assert world.picture() == before


def test_a_template_that_does_not_fit(world: ProxmoxWorld) -> None:
    template(world, scsi1="local-lvm:base-9000-disk-0,size=1M")
    before = world.picture()
    with pytest.raises(Conflict, match="has 2 disks, of which scsi1 would be none of the VM's"):
        made(world, Template("debian", "debian-12"))
    assert world.picture() == before
    del world.fake.vm(9000).config["scsi1"]
    world.fake.storages["local-lvm"]["volumes"]["base-9000-disk-0"]["size"] = 8 << 20
    before = world.picture()
    with pytest.raises(Conflict, match="has 8 MiB and does not fit into the disk 'root' of 1 MiB"):
        made(world, Template("debian", "debian-12"))
    assert world.picture() == before


def test_of_an_image(world: ProxmoxWorld, boots: Image) -> None:
    vm = made(world, boots, disks=[{"size": "3 MiB"}, {"size": "1 MiB"}], **NIC)
    assert [disk["size"] for disk in vm["disks"]] == [3 << 20, 1 << 20]
    assert world.changes(world.wanted(disks=[{"size": "3 MiB"}, {"size": "1 MiB"}], **NIC)) == []
    images = [name for name in world.fake.storages["local"]["volumes"] if name.startswith("import/")]
    assert images == [f"import/muster-{sha256(boots.path)[:32]}.qcow2"]
    before = len([path for method, path, _body in world.fake.requests if path.endswith("/upload")])
    made(world, boots, "b", disks=[{"size": "3 MiB"}])
    assert len([path for method, path, _body in world.fake.requests if path.endswith("/upload")]) == before == 1


def test_an_upload_that_was_cut_off_is_sent_again(world: ProxmoxWorld, boots: Image) -> None:
    volumes = world.fake.storages["local"].setdefault("volumes", {})
    name = f"import/muster-{sha256(boots.path)[:32]}.qcow2"
    volumes[name] = {"content": "import", "size": 7}
    made(world, boots)
    assert volumes[name]["size"] == boots.path.stat().st_size


BAD = {
    "no image": lambda path: path.write_bytes(b"\0" * 1024),
    "backing file": lambda path: subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "/etc/passwd", str(path)], check=True
    ),
    "too large": lambda path: subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), "2M"], check=True),
}


@pytest.mark.parametrize("make", BAD.values(), ids=BAD)
def test_a_bad_image_is_not_even_sent(world: ProxmoxWorld, tmp_path: Path, make: Any) -> None:
    make(tmp_path / "x.qcow2")
    before = world.picture()
    with pytest.raises(Conflict):
        made(world, Image("x", tmp_path / "x.qcow2", ""))
    assert world.picture() == before


def test_no_storage_takes_images(world: ProxmoxWorld, boots: Image) -> None:
    world.fake.storages["local"]["content"] = "iso"
    with pytest.raises(NotFound, match="no storage of the node 'pve1' takes images to import"):
        made(world, boots)


def test_no_space(world: ProxmoxWorld) -> None:
    world.fake.storages["local-lvm"] |= {"avail": 1 << 20, "type": "lvm"}
    before = world.picture()
    with pytest.raises(Conflict, match=r"'local-lvm' on node 'pve1' has 1 MiB free, and it needs 5 MiB there; nothing"):
        world.made(disks=[{"size": "5 MiB"}])
    assert world.picture() == before


def archived(world: ProxmoxWorld, on: bool = True, **spec: Any) -> tuple[VM, Archive]:
    vm = world.made(on=on, **spec)
    return vm, world.driver.archive(vm, "20260101-000000-backup-abcdef")


TWO: dict[str, Any] = {"disks": [{"size": "1 MiB"}, {"size": "2 MiB", "name": "data"}], **NIC}


def test_an_archive_brings_a_lost_vm_back(world: ProxmoxWorld) -> None:
    vm, archive = archived(world, **TWO)
    assert (archive.restore_point, archive.consistency, archive.bytes) == (
        "20260101-000000-backup-abcdef", "filesystem", 1234,
    )
    off = world.driver.power(vm, "off", force=True)
    world.driver.delete(off)
    desired = world.wanted(**TWO)
    (known,) = world.driver.archives(desired)
    assert known == archive
    now = world.driver.restore_archive(desired, world.mark(desired, "op-restore"), known)
    assert (now.uuid, now.name, now.power) == (vm.uuid, vm.name, "off")
    assert world.changes(desired) == []
    assert now.state["seed"]


def test_a_backup_is_taken_once_for_its_restore_point(world: ProxmoxWorld) -> None:
    vm, archive = archived(world)
    assert world.driver.archive(vm, archive.restore_point) == archive
    assert len(world.driver.archives(vm)) == 1


@pytest.mark.parametrize(("on", "log", "says"), [
    (False, [], "offline"),
    (True, [], "crash"),
    (True, ["INFO: issuing guest-agent 'fs-freeze' command", "ERROR: VM 100 qmp command 'guest-fsfreeze-freeze' "
            "failed - got timeout, fs-freeze failed"], "crash"),
])
def test_the_consistency_of_an_archive(world: ProxmoxWorld, on: bool, log: list[str], says: str) -> None:
    world.fake.backup_log = log
    assert archived(world, on=on)[1].consistency == says


def test_archives_of_others_are_not_ours(world: ProxmoxWorld) -> None:
    vm, archive = archived(world)
    volumes = world.fake.storages["local"]["volumes"]
    for number, notes in ((999, "muster {}"), (998, "{")):
        theirs = {"content": "backup", "size": 1, "notes": notes}
        volumes[f"backup/vzdump-qemu-{number}-2026_01_01-00_00_00.vma.zst"] = theirs
    assert world.driver.archives(vm) == [archive]
    world.driver.delete_archive(vm, replace(archive, id="local:backup/vzdump-qemu-999-2026_01_01-00_00_00.vma.zst"))
    assert len(volumes) == 3
    world.driver.delete_archive(vm, archive)
    world.driver.delete_archive(vm, archive)
    assert world.driver.archives(vm) == []
    assert len(volumes) == 2


def test_several_storages_for_backups(world: ProxmoxWorld) -> None:
    world.fake.storages["pbs"] = {"type": "dir", "active": 1, "content": "backup", "files": set(), "path": "/b"}
    vm = world.made()
    with pytest.raises(Conflict, match="has several storages for backups: local, pbs"):
        world.driver.archive(vm, "p")
    world.driver.access.options["archive"] = "pbs"  # type: ignore[index]
    assert world.driver.archive(vm, "p").id.startswith("pbs:backup/")


@pytest.mark.parametrize("way", ["archive", "files"])
def test_an_isolated_twin_has_no_nic(world: ProxmoxWorld, way: str, boots: Image) -> None:
    vm, archive = archived(world, **NIC)
    before = copy_of(world, vm)
    twin = world.wanted("twin", **NIC)
    mark = Mark(world.fleet + "/drill", vm.name, "op-drill")
    if way == "archive":
        now = world.driver.restore_archive(twin, mark, archive, isolated=True)
    else:
        now = world.driver.restore(twin, mark, {"root": boots.path}, isolated=True)
        assert not [name for name in world.fake.storages["local"]["volumes"] if name.startswith("import/")]
    assert now.uuid != vm.uuid
    assert now["nics"] == []
    assert not [key for key in world.inside(now).config if key.startswith("net")]
    world.inside(now).config["net0"] = "virtio=BC:24:11:00:00:09,bridge=vmbr0"
    with pytest.raises(Conflict, match="the twin has a NIC that is not isolated; it was not started"):
        world.driver.power(now, "on")
    del world.inside(now).config["net0"]
    on = world.driver.power(now, "on")
    world.driver.delete(on)
    assert copy_of(world, vm) == before


def test_a_twin_that_kept_a_nic_is_not_made(world: ProxmoxWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxmox says that the NIC of the archive is gone, and it is not."""
    vm, archive = archived(world, **NIC)
    driver: Any = world.driver
    post = driver.api.post
    monkeypatch.setattr(
        driver.api, "post", lambda *words, delete=None, **values: post(*words, **values) if values else None
    )
    twin = world.wanted("twin", **NIC)
    with pytest.raises(Failed, match="the twin has a NIC; it was not started"):
        driver.restore_archive(twin, Mark(world.fleet + "/drill", vm.name, "op"), archive, isolated=True)
    assert [one.vmid for one in world.fake.vms] == [vm.state["vmid"]]


def copy_of(world: ProxmoxWorld, vm: VM) -> Any:
    return world.picture()[str(vm.state["vmid"])]


@pytest.mark.parametrize("on", [True, False], ids=["running", "stopped"])
def test_clone(world: ProxmoxWorld, on: bool) -> None:
    vm = world.made(on=on, disks=[{"size": "1 MiB"}, {"size": "2 MiB"}],
                    nics=[{"network": "vmbr0", "mac": "52:54:00:00:00:09"}])
    before = copy_of(world, vm)
    desired = world.wanted("twin")
    twin = world.driver.clone(vm, VM(desired.name, desired.site, {}, mark=desired.mark), world.mark(desired))
    assert twin.uuid == identity(world.mark(desired), "pve") != vm.uuid
    assert (twin.power, twin.mark) == ("off", world.mark(desired))
    assert [disk["size"] for disk in twin["disks"]] == [1 << 20, 2 << 20]
    assert twin["nics"][0]["mac"] != "52:54:00:00:00:09"
    assert copy_of(world, vm) == before
    assert world.driver.get(str(vm.uuid)).mark == vm.mark
    world.driver.delete(twin)
    assert len(world.volumes()) == 2


def test_a_copy_that_somebody_made_is_theirs(world: ProxmoxWorld) -> None:
    """Proxmox copies the notes too, and with them the mark; the UUID tells the two apart."""
    vm = world.made()
    copy = world.foreign("copy", description=world.inside(vm).config["description"], tags="muster")
    assert copy.mark is None
    assert [one.uuid for one in world.driver.list() if one.mark] == [vm.uuid]
    with pytest.raises(Conflict, match="bears no ownership mark"):
        world.driver.delete(copy)


def test_a_disk_that_proxmox_would_delete_with_the_vm_keeps_it(world: ProxmoxWorld) -> None:
    vm = world.made()
    inside = world.inside(vm)
    for key in ("scsi3", "unused0"):
        inside.config[key] = f"local-lvm:vm-{inside.vmid}-disk-7,size=1M"
        before = world.picture()
        with pytest.raises(Conflict, match=f"disks that Muster did not make.*{key} .local-lvm:vm-100-disk-7"):
            world.driver.delete(vm)
        assert world.picture() == before
        del inside.config[key]


def test_a_disk_of_another_vm_outlives_this_one(world: ProxmoxWorld) -> None:
    vm = world.made()
    world.fake.storages["local-lvm"]["volumes"]["vm-555-disk-0"] = {"content": "images", "size": 1 << 20, "vmid": 555}
    world.inside(vm).config["scsi5"] = "local-lvm:vm-555-disk-0,size=1M"
    world.driver.delete(vm)
    assert world.volumes() == ["vm-555-disk-0"]


def test_a_cluster_is_read_once_however_many_vms_are_made(world: ProxmoxWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    others = [world.foreign(f"other-{number}") for number in range(9)]
    read, get = [], world.driver.api.get
    monkeypatch.setattr(world.driver.api, "get", lambda path, *words, **more: read.append(path) or get(
        path, *words, **more))
    world.driver.list()
    for number in range(3):
        world.made(f"new-{number}")
    for vm in others:
        assert read.count(f"nodes/{vm.state['node']}/qemu/{vm.state['vmid']}/config") == 1
