"""The Terraform provider: its handshake, and a plan without changes, against Terraform's own `terraform_data`."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import libvirt
import pytest
from fakepve.certs import make_cert
from muster.drivers.libvirt import LibvirtDriver
from muster.drivers.registry import open_site
from muster.model.fleet import load_fleet
from muster.operations import converge
from muster_provider.main import _MAGIC
from muster_provider.provider import SOURCE
from proxmox_fake import TOKEN, Proxmox, Serving

PROGRAM = os.environ.get("MUSTER_TERRAFORM", "terraform")
pytestmark = pytest.mark.skipif(shutil.which(PROGRAM) is None, reason="there is no terraform on the path")

SPEC: dict[str, Any] = {
    "cpus": 2, "memory": "64 MiB", "disks": [{"size": "1 MiB"}], "nics": [{"network": "user"}], "power": "off",
    "tags": {"owner": "shop", "environment": "production"},
    "protection": {"rpo": "24h", "rto": "15m", "keep": {"daily": 7}},
}
OFF = '<test:runstate xmlns:test="http://libvirt.org/schemas/domain/test/1.0">5</test:runstate></domain>'


def site_of(count: int, folder: Path) -> dict[str, str]:
    """A site of libvirt's test driver that holds `count` VMs of the fleet in each process anew."""
    access = {"platform": "libvirt", "uri": "test:///default", "pool": "default-pool"}
    fleet = load_fleet(json.dumps({"fleet": "bench", "sites": {"lab": access},
                                   "vms": {"vm": {**SPEC, "count": count}}}))
    driver = LibvirtDriver(fleet.sites["lab"])
    for vm in fleet.vms:
        driver.create(vm, vm.owner, None)
    node = ET.Element("node")
    for domain in driver.connection.listAllDomains():
        if domain.name().startswith("vm-"):
            path = folder / f"{domain.name()}.xml"
            path.write_text(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE).replace("</domain>", OFF))
            ET.SubElement(node, "domain", file=str(path))
    pool = driver.connection.storagePoolLookupByName("default-pool")
    found = ET.fromstring(pool.XMLDesc())
    for name in ("capacity", "allocation", "available"):
        found.remove(found.find(name))  # type: ignore[arg-type]
    found.extend(ET.fromstring(volume.XMLDesc()) for volume in pool.listAllVolumes())
    node.append(found)
    driver.close()
    (folder / "node.xml").write_text(ET.tostring(node, encoding="unicode"))
    return {**access, "uri": f"test://{folder}/node.xml"}


def terraform(folder: Path, *words: str) -> float:
    """Seconds that a command takes."""
    start = time.perf_counter()
    done = subprocess.run([PROGRAM, *words, "-no-color"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return time.perf_counter() - start


def provider_in(folder: Path, settings: Path) -> Path:
    """Settings of Terraform that take the provider from a folder."""
    settings.write_text(f'provider_installation {{\n  dev_overrides {{ "{SOURCE}" = "{folder}" }}\n  direct {{}}\n}}\n')
    return settings


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(provider_in(Path(sys.executable).parent, tmp_path / "settings.tfrc")))
    monkeypatch.setenv("CHECKPOINT_DISABLE", "1")


def test_the_handshake() -> None:
    """From the start of the process to the line that Terraform waits for."""
    taken = []
    for _round in range(9):
        start = time.perf_counter()
        argv = [Path(sys.executable).parent / "terraform-provider-muster"]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, env={**os.environ, _MAGIC[0]: _MAGIC[1]}) as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(b"1|6|unix|")
            taken.append(time.perf_counter() - start)
            process.kill()
    print(f"\nhandshake of the provider: {min(taken):.3f} s at best, {sorted(taken)[4]:.3f} s in the middle")
    assert min(taken) < 0.35


def alone(names: list[str]) -> tuple[dict[str, Any], list[str]]:
    """A resource for each VM: their attributes, and the addresses of the VMs."""
    return {name: {"name": name} for name in names}, names


def in_groups(names: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Ten resources of a hundred VMs each, as the CDKTF app writes them."""
    groups = {f"group{number}": names[number::10] for number in range(10)}
    each = {key: {"for_each": f"${{toset({json.dumps(group)})}}", "name": "${each.key}"}
            for key, group in groups.items()}
    return each, [f'group{number % 10}["{name}"]' for number, name in enumerate(names)]


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize(("written", "most"), [(alone, 3), (in_groups, 1.8)], ids=["alone", "in groups"])
def test_a_plan_of_1000_without_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: Any, most: float
                                        ) -> None:
    for name in ("site", "ours", "theirs", "idle"):
        (tmp_path / name).mkdir()
    names = [f"vm-{number}" for number in range(1, 1001)]
    resources, addresses = written(names)
    ours: dict[str, Any] = {
        "terraform": {"required_providers": {"muster": {"source": SOURCE}}},
        "provider": {"muster": {"fleet": "bench", "sites": {"lab": site_of(1000, tmp_path / "site")}}},
        "resource": {"muster_vm": {key: {**one, **SPEC} for key, one in resources.items()}},
    }
    imports = [{"to": f"muster_vm.{address}", "id": f"lab/{name}"}
               for address, name in zip(addresses, names, strict=True)]
    theirs = {"resource": {"terraform_data": {
        key: {**{name: value for name, value in one.items() if name != "name"}, "input": {"name": one["name"], **SPEC}}
        for key, one in resources.items()}}}
    (tmp_path / "theirs" / "main.tf.json").write_text(json.dumps(theirs))
    (tmp_path / "ours" / "main.tf.json").write_text(json.dumps({**ours, "import": imports}))
    terraform(tmp_path / "theirs", "init")
    for name in ("ours", "theirs"):
        terraform(tmp_path / name, "apply", "-auto-approve")
    (tmp_path / "ours" / "main.tf.json").write_text(json.dumps(ours))
    rounds = [(terraform(tmp_path / "ours", "plan", "-detailed-exitcode"),
               terraform(tmp_path / "theirs", "plan", "-detailed-exitcode")) for _round in range(3)]
    one, other = (min(taken) for taken in zip(*rounds, strict=True))
    launcher = tmp_path / "idle" / "terraform-provider-muster"
    launcher.write_text(f"#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name('idle.py')}\n")
    launcher.chmod(0o755)
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(provider_in(launcher.parent, tmp_path / "idle.tfrc")))
    idle = min(terraform(tmp_path / "ours", "plan", "-detailed-exitcode") for _round in range(3))
    print(f"\na plan of 1,000 VMs without changes, {written.__name__}: {one:.2f} s; terraform_data: {other:.2f} s; "
          f"ratio {one / other:.2f}; a provider that does nothing: {idle:.2f} s")
    assert one / other < most  # the goal is 1.8, and is not reached with a resource for each VM: see docs/benchmarks.md


@contextlib.contextmanager
def libvirt_site(folder: Path) -> Iterator[dict[str, Any]]:
    yield {"platform": "libvirt", "uri": "test:///default", "pool": "default-pool"}


@contextlib.contextmanager
def proxmox_site(folder: Path, latency: float = 0) -> Iterator[dict[str, Any]]:
    certificate, key, _der = make_cert(str(folder), hosts=("127.0.0.1",))
    proxmox = Proxmox()
    proxmox.time_scale = 1.0  # its seconds are real ones
    proxmox.slow_network(latency)
    serving = Serving(proxmox, certificate, key)
    token = folder / "token"
    token.write_text("=".join(TOKEN) + "\n", encoding="utf-8")
    try:
        yield {"platform": "proxmox", "uri": serving.fake.url, "pool": "local-lvm", "credentials": str(token),
               "tls": {"ca": certificate}}
    finally:
        serving.stop()


def far_proxmox_site(folder: Path) -> AbstractContextManager[dict[str, Any]]:
    """One that takes 20 ms for each answer, as over a network."""
    return proxmox_site(folder, 0.02)


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize(("site", "most"), [(libvirt_site, 30), (proxmox_site, 3), (far_proxmox_site, 1.3)],
                         ids=["libvirt", "proxmox", "proxmox 20 ms away"])
def test_an_apply_of_100(tmp_path: Path, site: Any, most: float) -> None:
    """Beside the driver's own bulk converge, and beside what Terraform itself takes for a hundred resources."""
    spec = SPEC if site is libvirt_site else {**SPEC, "nics": [{"network": "vmbr0"}]}
    vms = {f"vm-{number}": spec for number in range(100)}
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "main.tf.json").write_text(json.dumps(
        {"resource": {"terraform_data": {name: {"input": {"name": name, **spec}} for name in vms}}}))
    terraform(tmp_path / "theirs", "init")
    theirs = terraform(tmp_path / "theirs", "apply", "-auto-approve")
    rounds = [(converged(site, vms, tmp_path / f"peer{number}"), applied(site, vms, tmp_path / f"ours{number}"))
              for number in range(3)]
    alone, ours = (sorted(taken)[1] for taken in zip(*rounds, strict=True))
    print(f"\nan apply of 100 VMs: {ours:.2f} s; converge alone: {alone:.2f} s, ratio {ours / alone:.2f}; "
          f"100 terraform_data: {theirs:.2f} s")
    assert ours / alone < most  # the goal is 1.3: see docs/benchmarks.md


def converged(site: Any, vms: dict[str, Any], folder: Path) -> float:
    """Seconds that `converge` takes to make the VMs."""
    folder.mkdir()
    with site(folder) as access:
        fleet = load_fleet(json.dumps({"fleet": "bench", "sites": {"lab": {**access, "parallel": 10}}, "vms": vms}))
        driver = open_site(fleet.sites["lab"])
        start = time.perf_counter()
        assert all(one.changed for one in converge.converge(fleet, {"lab": driver}))
        taken = time.perf_counter() - start
        driver.close()
    return taken


def applied(site: Any, vms: dict[str, Any], folder: Path) -> float:
    """Seconds that `terraform apply` takes to make them."""
    folder.mkdir()
    with site(folder) as access:
        (folder / "main.tf.json").write_text(json.dumps({
            "terraform": {"required_providers": {"muster": {"source": SOURCE}}},
            "provider": {"muster": {"fleet": "bench", "sites": {"lab": access}, "packs": []}},
            "resource": {"muster_vm": {name: {"name": name, **spec} for name, spec in vms.items()}},
        }))
        return terraform(folder, "apply", "-auto-approve")
