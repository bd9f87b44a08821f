"""vSphere: an image on the controller becomes the first disk of a new VM, which cloud-init makes its own."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from muster.drivers.driver import Conflict, Failed, Image
from muster.drivers.registry import open_site
from muster.drivers.vsphere import lease
from muster.model.fleet import Site
from muster.model.vm import VM
from test_vsphere_making import extra
from vsphere_disks import MIB
from vsphere_site import VsphereWorld, on_vsphere

pytestmark = on_vsphere
CONTENT = bytes(range(256)) * 2048 + b"\0" * MIB + b"end"
SPEC: dict[str, Any] = {
    "disks": [{"size": "8 MiB"}, {"size": "2 MiB", "name": "data"}], "nics": [{"network": "DC0_DVPG0"}], "cpus": 2,
    "firmware": "uefi", "tags": {"owner": "shop"},
}  # fmt: skip


@pytest.fixture
def image(tmp_path: Path) -> Image:
    raw, path = tmp_path / "raw", tmp_path / "debian.qcow2"
    raw.write_bytes(CONTENT.ljust(4 * MIB, b"\0"))
    subprocess.run(["qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", str(raw), str(path)], check=True)
    return Image("debian-12", path, "")


def first(world: VsphereWorld, vm: VM) -> bytes:
    return world.flat(vm, "0:0").read_bytes()


def test_a_vm_of_an_image(world: VsphereWorld, image: Image) -> None:
    vm = world.made(image=image, **SPEC)
    assert world.changes(world.wanted(**SPEC)) == []
    assert (vm.power, vm.state["built"], vm.state["ready"], vm.state["seed"]) == ("off", True, False, vm.uuid)
    assert [disk["size"] for disk in vm["disks"]] == [8 * MIB, 2 * MIB]
    assert first(world, vm).rstrip(b"\0") == CONTENT
    assert world.made(image=image, **SPEC) == vm  # a retry makes no second one
    assert len(world.inventory) == 1


def test_cloud_init_is_told_who_the_guest_is_and_who_may_enter(
    world: VsphereWorld, image: Image, tmp_path: Path
) -> None:
    (tmp_path / "id.pub").write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA muster\n")
    ssh = {"user": "muster", "key": str(tmp_path / "id")}
    driver = open_site(Site("vc", "vsphere", {**world.access.options, "ssh": ssh}))
    try:
        desired = world.wanted(**SPEC)
        vm = driver.create(desired, world.mark(desired), image)
    finally:
        driver.close()
    told = {key: base64.b64decode(extra(world, vm)[f"guestinfo.{key}"]) for key in ("metadata", "userdata")}
    assert json.loads(told["metadata"]) == {"instance-id": vm.uuid, "local-hostname": vm.name}
    assert json.loads(told["userdata"].partition(b"\n")[2])["users"][0]["name"] == "muster"


BAD: dict[str, tuple[Any, str]] = {
    "no image": (lambda path: path.write_bytes(b"\0" * 1024), "is not a complete qcow2 image"),
    "missing": (lambda path: None, "."),
    "backing file": (lambda path: subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "/etc/passwd", str(path)], check=True),
        "backing file"),
    "too large": (lambda path: subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), "9M"], check=True),
                  "the disk 'root' has 9 MiB and does not fit into 8 MiB; nothing was made"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "words"), BAD.values(), ids=BAD)
def test_a_bad_image_makes_nothing(world: VsphereWorld, tmp_path: Path, make: Any, words: str) -> None:
    make(tmp_path / "x.qcow2")
    before = world.picture()
    with pytest.raises(Conflict, match=words):
        world.made(image=Image("x", tmp_path / "x.qcow2", ""), **SPEC)
    assert world.picture() == before


def test_a_vm_without_a_disk_is_made_of_no_image(world: VsphereWorld, image: Image) -> None:
    with pytest.raises(Conflict, match="no disk that the image 'debian-12' could become; nothing was made"):
        world.made(image=image, disks=[])
    assert world.inventory == []


def test_an_upload_that_breaks_leaves_nothing_and_a_retry_makes_it(
    world: VsphereWorld, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = world.picture()
    upload = lease.Lease.upload

    def broken(*_arguments: Any) -> None:
        raise Failed("the host went away", site="vc", vm="a", todo="Run again")

    monkeypatch.setattr(lease.Lease, "upload", broken)
    with pytest.raises(Failed, match="the host went away"):
        world.made(image=image, **SPEC)
    assert world.picture() == before
    monkeypatch.setattr(lease.Lease, "upload", upload)
    assert first(world, world.made(image=image, **SPEC)).rstrip(b"\0") == CONTENT
