"""Every field of a VM is honoured or refused: none is taken and forgotten. A new field fails here until the driver has
decided."""

from __future__ import annotations

from typing import Any

import pytest
from muster.drivers.driver import Unsupported
from muster.model.fields import DISK_FIELDS, NIC_FIELDS, VM_FIELDS
from sites import NETWORK, World

DISK: dict[str, Any] = {"size": "1 MiB"}
NIC: dict[str, Any] = {"network": NETWORK}

# What to ask for of each field, beside the tiny VM.
ASKED: dict[str, dict[str, Any]] = {
    "image": {},  # needs an image: see test_create.py
    "profile": {"profile": "web"},
    "cpus": {"cpus": 3},
    "cpu_topology": {"cpus": 4, "cpu_topology": {"sockets": 2, "cores": 2}},
    "cpu_pinning": {"cpu_pinning": "0"},
    "cpu_reservation": {"cpu_reservation": 50},
    "cpu_limit": {"cpu_limit": 50},
    "memory": {"memory": "48 MiB"},
    "memory_minimum": {"memory_minimum": "16 MiB"},
    "memory_reservation": {"memory_reservation": "16 MiB"},
    "memory_limit": {"memory_limit": "24 MiB"},
    "disks": {"disks": [DISK, DISK]},
    "nics": {"nics": [NIC, NIC]},
    "firmware": {"firmware": "bios"},
    "secure_boot": {"firmware": "uefi", "secure_boot": True},
    "zone": {"zone": "west"},
    "host": {"host": "another-host"},
    "resource_pool": {"resource_pool": "gold"},
    "folder": {"folder": "shop/web"},
    "anti_affinity": {"anti_affinity": "web"},
    "ha_priority": {"ha_priority": "high"},
    "tags": {"tags": {"owner": "shop"}},
    "protection": {"protection": {"rpo": "1h", "keep": {"last": 3}, "deletion": True}},
    "schedule": {"schedule": {"timezone": "UTC", "start": "07:00", "stop": "19:00"}},
    "health": {"health": [{"tcp": {"port": 22}}]},
    "power": {"power": "off"},
    "disks.name": {"disks": [{**DISK, "name": "system"}]},
    "disks.size": {"disks": [{"size": "3 MiB"}]},
    "disks.pool": {},  # set by the test, as it names the site's pool
    "disks.tier": {"disks": [{**DISK, "tier": "fast"}]},
    "disks.iops_limit": {"disks": [{**DISK, "iops_limit": 100}]},
    "disks.bandwidth_limit": {"disks": [{**DISK, "bandwidth_limit": "1 MiB"}]},
    "disks.encrypted": {"disks": [{**DISK, "encrypted": True}]},
    "nics.name": {"nics": [{**NIC, "name": "uplink"}]},
    "nics.network": {"nics": [NIC]},
    "nics.vlan": {"nics": [{**NIC, "vlan": 7}]},
    "nics.mac": {"nics": [{**NIC, "mac": "52:54:00:12:34:56"}]},
    "nics.bandwidth_limit": {"nics": [{**NIC, "bandwidth_limit": "1 MiB"}]},
    "nics.connected": {"nics": [{**NIC, "connected": False}]},
    "nics.forwards": {"nics": [{"network": "user", "forwards": [{"guest": 22}]}]},
}
FIELDS = [*VM_FIELDS, *(f"disks.{name}" for name in DISK_FIELDS), *(f"nics.{name}" for name in NIC_FIELDS)]


@pytest.mark.parametrize("field", FIELDS)
def test_honoured_or_refused(world: World, field: str) -> None:
    spec = ASKED[field]
    if field == "disks.pool":
        spec = {"disks": [{**DISK, "pool": world.pool}]}
    desired = world.wanted(**spec)
    before = world.picture()
    if field in world.refused:
        with pytest.raises(Unsupported, match=r"the field '.*' cannot be honoured: .*; nothing was changed") as caught:
            world.driver.check(desired)
        assert field.rpartition(".")[2] in str(caught.value)
        assert world.picture() == before
        return
    world.driver.check(desired)
    vm = world.driver.create(desired, world.mark(desired), None)
    assert world.changes(desired) == []
    top = field.partition(".")[0]
    if top in spec and field not in ("power",):
        assert vm[top] is not None, f"{field} was asked for and is not told"


def test_values_that_mean_nothing_are_not_refused(world: World) -> None:
    none = dict.fromkeys(("memory_reservation", "cpu_reservation", "memory_limit", "cpu_limit"), 0)
    world.driver.check(world.wanted(ha_priority="disabled", **none))
    world.driver.check(world.wanted(disks=[{**DISK, "encrypted": False}]))
