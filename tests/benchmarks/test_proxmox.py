"""The inventory of a Proxmox cluster beside its peer's; both read every VM's configuration.

On the loopback both wait for the stand-in, which is one Python process; the second round has a network's way to go.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakepve.certs import make_cert
from muster.drivers.registry import open_site
from muster.model.fleet import load_fleet
from muster.operations import converge
from proxmox_fake import TOKEN, Proxmox, Serving

from .peers import COUNT, inventory, peer


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Proxmox, Path]]:
    """One cluster, and a folder with inventory files of both for it."""
    folder = tmp_path_factory.mktemp("cluster")
    certificate, key, _der = make_cert(str(folder), hosts=("127.0.0.1",))
    proxmox = Proxmox()
    serving = Serving(proxmox, certificate, key)
    try:
        (folder / "ca.pem").write_bytes(Path(certificate).read_bytes())
        (folder / "token").write_text("=".join(TOKEN) + "\n", encoding="utf-8")
        site = {"platform": "proxmox", "uri": serving.fake.url, "pool": "local-lvm", "parallel": 16,
                "credentials": str(folder / "token"), "tls": {"ca": certificate}}  # fmt: skip
        vm = {"count": COUNT, "cpus": 1, "memory": "32 MiB", "disks": [{"size": "1 MiB"}], "power": "off",
              "nics": [{"network": "vmbr0"}]}  # fmt: skip
        fleet = {"fleet": "bench", "sites": {"pve": site}, "vms": {"vm": vm}}
        (folder / "fleet.json").write_text(json.dumps(fleet), encoding="utf-8")
        read = load_fleet(json.dumps(fleet))
        driver = open_site(read.sites["pve"])
        assert not any(outcome.error for outcome in converge.converge(read, {"pve": driver}))
        driver.close()
        ours = {"plugin": "muster.fleet.fleet", "fleet_file": "fleet.json"}
        (folder / "muster.yml").write_text(json.dumps(ours), encoding="utf-8")
        user, _bang, name = TOKEN[0].partition("!")
        theirs = {"plugin": "community.proxmox.proxmox", "url": serving.fake.url, "user": user, "token_id": name,
                  "token_secret": TOKEN[1], "validate_certs": False, "want_facts": True}  # fmt: skip
        (folder / "peer.proxmox.yml").write_text(json.dumps(theirs), encoding="utf-8")
        yield proxmox, folder
    finally:
        serving.stop()


@pytest.mark.parametrize("latency", [0, 0.02])
def test_an_inventory_of_1000_vms(cluster: tuple[Proxmox, Path], latency: float) -> None:
    proxmox, folder = cluster
    proxmox.time_scale = 1.0  # its seconds are real ones
    proxmox.slow_network(latency)
    ours = inventory(Path(sys.executable).parent / "ansible-inventory", folder / "muster.yml", 3)
    theirs = inventory(peer(), folder / "peer.proxmox.yml", 1, str(folder / "ca.pem"))  # it verifies all the same
    print(f"\nthe inventory of {COUNT} VMs with their configurations, {latency * 1000:.0f} ms before each answer: "
          f"{ours:.2f} s; community.proxmox: {theirs:.2f} s; ratio {ours / theirs:.3f}")
    assert ours < theirs * (0.1 if latency else 1)
