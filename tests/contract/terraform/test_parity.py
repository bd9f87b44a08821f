"""Ansible and Terraform make the same VMs: the example fleet on two sites of real QEMU, by the modules on the one and
by the CDKTF app and Terraform on the other. Each takes over what the other made, and both see the same drift."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cdk_apps import CHECKOUT, Stack, mirror, needs_node, run
from libvirt_site import boot_image, real
from muster.model.planner import plan
from muster.model.vm import VM
from plays import play
from sites import World
from tf_runs import flat

pytestmark = [real, needs_node]
SITES = ("ansible", "terraform")


class Pair:
    """One fleet file with the VMs of the example twice: at the site `ansible` and at the site `terraform`."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.folder = world, folder
        self.path = folder / "fleet.yml"
        example = yaml.safe_load((CHECKOUT / "examples/acme/fleet.yml").read_text(encoding="utf-8"))
        key = folder / "id_ed25519"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        site = {**example["sites"]["lab"], **world.access.options, "repository": str(folder / "repository"),
                "images": {"debian-12": {"path": str(boot_image(folder).path)}}, "ssh": {"user": "muster",
                                                                                         "key": str(key)}}
        # The guests of the tiny image boot no agent, so those with an image stay off; one without runs.
        example["defaults"] = {**example["defaults"], "memory": "32 MiB", "disks": [{"size": "1 MiB"}], "power": "off"}
        example["defaults"].pop("site")
        running = {"power": "on", "image": None, "cpus": 1, "count": 2, "nics": [{"network": "user"}],
                   "profile": "batch", "protection": {"rpo": "24h", "rto": "1h", "keep": {"last": 2}},
                   "overrides": {"2": {"tags": {"note": "second ${one}"}}}}
        vms = {**example["vms"], "worker": running}
        self.document: dict[str, Any] = {
            **example, "fleet": world.fleet, "sites": dict.fromkeys(SITES, site), "rules": ["muster/baseline"],
            "vms": {self.name(name, place): {**spec, "site": place} for place in SITES for name, spec in vms.items()}}
        self.write()

    def name(self, name: str, site: str) -> str:
        return f"{self.world.names}{site[0]}-{name}"

    def write(self) -> None:
        plain = json.loads(json.dumps(self.document))  # nothing twice, so that no alias is written
        self.path.write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")

    def there(self, site: str) -> dict[str, VM]:
        """The VMs of one site by the names of the example."""
        begin = self.name("", site)
        return {vm.owner.vm.removeprefix(begin): vm for vm in self.world.driver.list()
                if vm.mark is not None and vm.mark.fleet == self.world.fleet and vm.owner.vm.startswith(begin)}

    def ansible(self, site: str, **more: Any) -> dict[str, Any]:
        """What the module says of the VMs of a site."""
        task = {"muster.fleet.fleet": {"fleet_file": str(self.path), "wait": False, "vms": self.names(site)}, **more}
        ran = play(self.folder, {"it": task})
        assert not ran.results["it"]["failed"], ran.output
        found: dict[str, Any] = ran.results["it"]
        return found

    def names(self, site: str) -> list[str]:
        from muster.operations.session import read_fleet

        return [vm.name for vm in read_fleet(self.path).at(site)]


@pytest.fixture
def pair(world: World, tmp_path: Path) -> Pair:
    return Pair(world, tmp_path)


def stack(pair: Pair, site: str) -> Stack:
    """`python cdktf/main.py`, then `terraform init`."""
    ran = run(pair.folder)
    assert ran.code == 0, ran.errors
    made = Stack(pair.folder / "cdktf.out" / "stacks" / site, mirror(pair.folder))
    made.run("init", "-input=false")
    return made


def shown(pair: Pair, vm: VM, site: str) -> str:
    """Everything that the driver says of a VM and its domain's whole XML, without what tells it from another."""
    document = {"spec": vm.spec, "state": vm.state, "xml": pair.world.domain(vm).XMLDesc(0)}  # type: ignore[attr-defined]
    text = json.dumps(document, sort_keys=True, default=str)
    for pattern, word in ((vm.uuid, "UUID"), (str(vm.uuid)[:8], "UUID"), (pair.name("", site), "NAME-"), (site, "SITE"),
                          (r"52:54:00(:[0-9a-f]{2}){3}", "MAC"), (r"\d{8}-\d{6}-converge-[0-9a-f]{6}", "OPERATION"),
                          (r"domain-\d+-", "domain-N-"), (r"id='\d+'", "id='N'"), (r"/dev/pts/\d+", "PTY"),
                          (r"\d{4}-\d\d-\d\dT[\d:]+Z", "TIME")):
        text = re.sub(str(pattern), word, text)
    return text


def test_whoever_makes_them(pair: Pair) -> None:
    made = pair.ansible("ansible")
    assert made["changed"]
    terraform = stack(pair, "terraform")
    assert "4 added, 0 changed, 0 destroyed" in terraform.apply()
    one, other = pair.there("ansible"), pair.there("terraform")
    assert one.keys() == other.keys() == {"web", "db", "worker-1", "worker-2"}
    for name, vm in one.items():
        assert shown(pair, vm, "ansible") == shown(pair, other[name], "terraform"), name
        assert vm.uuid != other[name].uuid

    # Ansible over Terraform's VMs.
    again = pair.ansible("terraform")
    assert (again["changed"], [one["changes"] for one in again["vms"]]) == (False, [[]] * 4)

    # Terraform over Ansible's.
    before = pair.world.picture()
    adopting = stack(pair, "ansible")
    imports = [{"to": _at(pair, name, "ansible"), "id": f"ansible/{pair.name(name, 'ansible')}"} for name in one]
    (adopting.folder / "imports.tf.json").write_text(json.dumps({"import": imports}))
    planned = adopting.plan()
    assert [one["change"]["actions"] for one in planned] == [["no-op"]] * 4
    assert all("importing" in one["change"] for one in planned)
    assert "4 imported, 0 added, 0 changed, 0 destroyed" in adopting.apply("plan")
    (adopting.folder / "imports.tf.json").unlink()
    assert adopting.changes() == {}
    assert terraform.changes() == {}
    assert pair.world.picture() == before


def test_muster_adopt_and_the_app_write_what_fits(pair: Pair) -> None:
    """VMs that the fleet file has lost: `muster adopt`, `cdktf/main.py` and a plan, and nothing changes."""
    pair.ansible("ansible")
    before = pair.world.picture()
    pair.document["vms"] = {name: spec for name, spec in pair.document["vms"].items() if spec["site"] == "terraform"}
    pair.write()
    argv = [Path(sys.executable).with_name("muster"), "adopt", "--site", "ansible"]
    done = subprocess.run(argv, cwd=pair.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    adopting = stack(pair, "ansible")
    (pair.folder / "adopted.tf").rename(adopting.folder / "adopted.tf")
    planned = adopting.plan()
    assert [(one["change"]["actions"], "importing" in one["change"]) for one in planned] == [(["no-op"], True)] * 4
    assert "4 imported, 0 added, 0 changed, 0 destroyed" in adopting.apply("plan")
    assert pair.world.picture() == before


def _at(pair: Pair, name: str, site: str) -> str:
    """The address of a VM in Terraform."""
    entry, _dash, number = name.partition("-")
    address = f"muster_vm.{pair.name(entry, site)}"
    return f'{address}["{pair.name(name, site)}"]' if number else address


# What hands did: the VM, what they did to it, and the words of Ansible and of Terraform.
Hand = Callable[[Pair, VM], object]


def virsh(*words: str) -> Hand:
    return lambda pair, vm: pair.world.virsh(*(str(vm.uuid) if word == "VM" else word for word in words))  # type: ignore[attr-defined]


def tag(pair: Pair, vm: VM) -> None:
    driver, desired = pair.world.driver, VM(vm.name, vm.site, {"tags": {**vm["tags"], "owner": "thief"}}, mark=vm.mark)
    driver.apply(desired, vm, plan(desired, vm, driver.refine))


def nic(pair: Pair, vm: VM) -> None:
    path = pair.folder / "nic.xml"
    path.write_text("<interface type='user'><model type='virtio'/></interface>")
    virsh("attach-device", "VM", str(path), "--config")(pair, vm)


def rename(pair: Pair, vm: VM) -> None:
    virsh("domrename", "VM", f"{pair.world.names}-somebodys")(pair, vm)


DRIFT: list[tuple[str, Hand, str, str]] = [
    ("web", virsh("setvcpus", "VM", "3", "--config"), "cpus: 3 → 2 ", "cpus = 3 -> 2"),
    ("web", nic, "nics.nic1: remove name nic1, network user", '- network = "user"'),
    ("db", tag, "tags.owner: thief → shop ", '"owner" = "thief" -> "shop"'),
    ("worker-1", virsh("destroy", "VM"), "power: off → on ", 'power = "off" -> "on"'),
    ("db", rename, "is called 'PREFIX-somebodys' there: it was renamed past Muster and found by its mark. Nothing "
     "depends on that name; rename it back at the site, or leave it", "SAME"),
]


def test_drift_in_the_same_words(pair: Pair) -> None:
    terraform = stack(pair, "terraform")
    terraform.apply()
    there = pair.there("terraform")
    before = {name: vm.uuid for name, vm in there.items()}
    for name, hand, _words, _shown in DRIFT:
        hand(pair, pair.there("terraform")[name])
    checked = pair.ansible("terraform", check_mode=True)
    told = {one["vm"]: [*one["changes"], *one["notes"]] for one in checked["vms"]}
    changed = terraform.changes()
    said = flat(terraform.said)
    for name, _hand, words, seen in DRIFT:
        words = words.replace("PREFIX", pair.world.names)
        assert any(words in text for text in told[pair.name(name, "terraform")]), (words, told)
        assert (words if seen == "SAME" else seen) in said, said
    assert [len(told[pair.name(name, "terraform")]) for name in ("web", "db", "worker-1", "worker-2")] == [2, 2, 1, 0]
    assert changed == {_at(pair, name, "terraform"): ["update"] for name in ("web", "db", "worker-1")}

    # Either of them mends it: here Terraform, and Ansible has nothing left to do.
    terraform.apply("plan")
    assert not pair.ansible("terraform")["changed"]
    assert {name: vm.uuid for name, vm in pair.there("terraform").items()} == before
