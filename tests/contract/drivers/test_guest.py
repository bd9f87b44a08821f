"""libvirt with a real guest: it tells when it is ready, and a program runs in it past its network.

fakepve and the vCenter simulator have no guests; what those drivers make of an agent's answers is in
`test_proxmox_life.py` and `test_vsphere_life.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from libvirt_site import LibvirtWorld
from muster.drivers.driver import Image, Unreachable
from sites import NETWORK, sha256


@pytest.mark.parametrize("world", ["qemu"], indirect=True)
def test_a_guest_is_ready_and_runs_programs(world: LibvirtWorld, guest_image: Path) -> None:
    image = Image("debian-12", guest_image, sha256(guest_image))
    vm = world.made(image=image, on=True, memory="512 MiB", disks=[{"size": "4 GiB"}], nics=[{"network": NETWORK}])
    assert vm.state["ready"] is False
    ready = world.driver.wait_ready(vm)
    assert ready.state["ready"] is True
    assert world.driver.get(vm.name).state["ready"] is True
    done = world.driver.execute(ready, ["/bin/sh", "-c", "echo here; exit 3"])
    assert (done.code, done.output) == (3, "here\n")
    with pytest.raises(Unreachable):
        world.driver.execute(world.driver.power(ready, "off", force=True), ["true"], timeout=1)
