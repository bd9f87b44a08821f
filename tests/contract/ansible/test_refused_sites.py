"""What bad input gets at Proxmox and vSphere, through the real provision job: one sentence, an exit code, no change."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fleets import Small
from plays import run
from proxmox_fake import TOKEN
from sites import World
from test_vsphere_needs import READ, fill, role
from vsphere_simulator import ACCOUNT
from vsphere_site import done

ON_BOTH = pytest.mark.parametrize("world", ["pve", "vsphere"], indirect=True)
HUGE = {"disks": [{"size": "64 TiB"}]}


def option(small: Small, **options: Any) -> None:
    small.document["sites"][small.world.access.name] |= options


def credentials(small: Small) -> None:
    """Wrong in the last character alone."""
    user, secret = TOKEN if small.world.access.platform == "proxmox" else ACCOUNT
    joint = "=" if small.world.access.platform == "proxmox" else ":"
    path = small.folder / "wrong"
    path.write_text(f"{user}{joint}{secret[:-1]}X", encoding="utf-8")
    option(small, credentials=str(path))


def template(small: Small) -> None:
    world: Any = small.world
    if world.access.platform == "proxmox":
        world.fake.add_vm(9000, "debian-12", template=True)
    else:
        world.template("debian-12")
    option(small, images={"debian": {"template": "debian-21"}})
    small.edit(lambda vms: vms["b"].update(image="debian"))


def right(small: Small) -> None:
    world: Any = small.world
    if world.access.platform == "proxmox":
        words = "Permission check failed (/vms/100, VM.Allocate)"
        world.fake.fail("POST", "/nodes/pve1/qemu", 403, words)
    else:
        role(world, *READ)


def full(small: Small) -> None:
    world: Any = small.world
    if world.access.platform == "proxmox":
        world.fake.storages[world.pool] |= {"type": "lvm", "avail": 1 << 30}
    else:
        fill(world, world.pool, 0)
    small.edit(lambda vms: vms["b"].update(HUGE))


def theirs(small: Small, count: int) -> None:
    """VMs of others that bear the name of one of ours, each in a folder of its own where the platform has folders."""
    world: Any = small.world
    for number in range(count):
        vm = world.foreign(small.name("a"), uuid_=f"00000000-0000-4000-8000-00000000000{number}")
        if world.access.platform == "vsphere":
            (datacenter,) = world.content.rootFolder.childEntity
            done(datacenter.vmFolder.CreateFolder(f"old-{number}").MoveIntoFolder_Task([world.inside(vm)]))


# Each with what is said at Proxmox, and at vSphere.
BAD: dict[str, tuple[Callable[[Small], object], str, str]] = {
    "another certificate": (
        lambda small: option(small, tls={"fingerprint": ":".join(["00"] * 32)}),
        r"^Site 'pve': unable to open the site at https://127.0.0.1:\d+: Fingerprints did not match.*tls\.fingerprint",
        r"^Site 'vc': unable to open the site at https://127.0.0.1:\d+: its certificate is not the one of tls\.finger",
    ),
    "a wrong secret": (
        credentials,
        r"^Site 'pve': unable to open the site: authentication failure\. Check the API token",
        r"^Site 'vc': unable to log in: InvalidLogin, Login failure\. Check the site's",
    ),
    "no right": (
        right,
        r"^VM '.*-[ab]' at site 'pve': unable to make the VM: Permission check failed \(/vms/100, VM\.Allocate\)",
        r"^Site 'vc': its account lacks the right .*VirtualMachine\.Inventory\.Create on .*; nothing was changed\. G",
    ),
    "no template": (
        template,
        *[r"^VM '.*-b' at site '.*': there is no template 'debian-21' for the image 'debian'; did you mean 'debi"] * 2,
    ),
    "no room": (
        full,
        r"^(Site|VM).*: the storage 'local-lvm' has 1 GiB free, and .* needs? .* there; nothing was changed",
        r"^(Site|VM).*: the datastore 'LocalDS_0' has 0 B free, and .* needs? some there; nothing was changed",
    ),
    "a name of others": (
        lambda small: theirs(small, 1),
        *[r"^VM '.*-a' at site '.*' cannot be made: a VM of that name is there already \(0000.*\) and is not Mus"] * 2,
    ),
    "a name that is there twice": (
        lambda small: theirs(small, 2),
        *[r"^VM '.*-a' at site '.*' cannot be made: 2 VMs of that name are there already, 0000.* and 0000.*rename"] * 2,
    ),
}


@ON_BOTH
@pytest.mark.parametrize("name", BAD)
def test_one_sentence_and_nothing_changed(world: World, tmp_path: Path, name: str) -> None:
    small = Small(world, tmp_path)
    bad, *said = BAD[name]
    bad(small)
    assert small.fleet
    before = world.picture()
    ran = run("ansible-playbook", "muster.fleet.provision", "-e", f"fleet_file={small.path}")
    assert world.picture() == before
    assert ran.code == 2, ran.output
    assert "Traceback" not in ran.output
    (message,) = set(re.findall(r'"msg": "((?:[^"\\]|\\.)*)"', ran.output)) or {ran.output}
    first, *others = message.replace("\\n", "\n").splitlines()
    assert re.search(said[world.access.platform == "vsphere"], first), ran.output
    assert first.endswith(".")
    assert all("not begun" in line or line.startswith("VM '") for line in others)
