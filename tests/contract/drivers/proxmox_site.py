"""The Proxmox site of the contract tests: fakepve in this process, over TLS on the loopback address."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from muster.drivers.registry import open_site
from muster.model.fleet import Site
from muster.model.vm import VM
from proxmox_fake import TOKEN, Proxmox, Serving
from sites import World

on_proxmox = pytest.mark.parametrize("world", ["pve"], indirect=True)


class ProxmoxWorld(World):
    """A cluster of one node."""

    network = "vmbr0"
    pool = "local-lvm"
    refused = frozenset(
        {
            "cpu_pinning",
            "cpu_reservation",
            "memory_reservation",
            "memory_limit",
            "zone",
            "host",
            "folder",
            "anti_affinity",
            "ha_priority",
            "disks.tier",
            "disks.encrypted",
            "nics.forwards",
        }
    )
    costs: ClassVar[dict[str, str]] = dict.fromkeys(("more cpus", "memory by a DIMM", "several at once"), "power_cycle")

    def __init__(self, driver: Any, access: Site, serving: Serving) -> None:
        super().__init__(driver, access)
        self.serving, self.fake = serving, serving.fake
        self.fake.pools |= {"gold": set(), "gold/web": set(), "silver": set()}

    def inside(self, vm: VM) -> Any:
        """fakepve's own VM."""
        found = self.fake.vm(vm.state["vmid"])
        assert found is not None
        return found

    def foreign(self, name: str = "foreign", mark: str = "", uuid_: str = "", **config: Any) -> VM:
        vmid = max([99, *(vm.vmid for vm in self.fake.vms)]) + 1
        name = name if "-" in name else f"{self.names}-{name}"
        uuid_ = uuid_ or f"00000000-0000-4000-8000-{vmid:012d}"
        text = f"mine\n<!-- muster {mark} -->" if mark else "mine"
        self.fake.add_vm(vmid, name, config={"smbios1": f"uuid={uuid_}", "memory": 32, "description": text, **config})
        return self.driver.get(uuid_)

    def foreign_snapshot(self, vm: VM, name: str, description: str) -> None:
        self.inside(vm).snapshots[name] = {"snaptime": 1, "description": description}

    def runs(self, vm: VM, use: dict[str, float], cpus: int, memory: int) -> None:
        """A VM of others of that size runs from now on, and is used so: `cpu`, `mem`, `uptime`."""
        inside = self.inside(vm)
        inside.status = "running"
        inside.config |= {"cores": cpus, "memory": memory >> 20}
        inside.stats = use

    def remove(self, vm: VM) -> None:
        self.fake.vms.remove(self.inside(vm))

    def volumes(self) -> list[str]:
        return sorted(self.fake.storages[self.pool].get("volumes", {}))

    def picture(self) -> dict[str, Any]:
        found: dict[str, Any] = {name: sorted(store.get("volumes", {})) for name, store in self.fake.storages.items()}
        for vm in self.fake.vms:
            found[str(vm.vmid)] = copy.deepcopy((vm.node, vm.config, vm.pending, vm.status, vm.snapshots, vm.ha_state))
        return found

    def obedient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for vm in self.fake.vms:
            vm.acpi = True

    def pause(self, vm: VM) -> None:
        self.inside(vm).qmpstatus = "paused"

    def clean(self) -> None:
        """The whole fake goes."""


@contextlib.contextmanager
def serve(request: pytest.FixtureRequest) -> Iterator[ProxmoxWorld]:
    """A world of its own for each test."""
    certificate, key = request.getfixturevalue("pve_pki")
    serving = Serving(Proxmox(), certificate, key)
    try:
        credentials = Path(request.getfixturevalue("tmp_path_factory").mktemp("pve")) / "token"
        credentials.write_text("=".join(TOKEN) + "\n", encoding="utf-8")
        access = Site(
            "pve",
            "proxmox",
            {
                "uri": serving.fake.url,
                "pool": ProxmoxWorld.pool,
                "credentials": str(credentials),
                "tls": {"ca": certificate},
            },
        )
        yield ProxmoxWorld(open_site(access), access, serving)
    finally:
        serving.stop()
