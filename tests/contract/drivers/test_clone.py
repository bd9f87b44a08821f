"""What a clone has of its source and what it is asked for, the same on every platform."""

from __future__ import annotations

from muster.drivers.driver import Capability
from muster.model.vm import VM
from sites import World


def test_a_clone_with_other_cpus_has_them_whatever_its_source(world: World) -> None:
    if Capability.CLONE not in world.driver.capabilities:
        return  # refused: test_unsupported.py
    vm = world.made(cpus=4, cpu_topology={"sockets": 2, "cores": 2, "threads": 1})
    desired = world.wanted("twin", cpus=1)
    twin = world.driver.clone(vm, desired, world.mark(desired))
    assert (twin["cpus"], world.changes(desired)) == (1, [])
    desired = world.wanted("same")
    same = world.driver.clone(vm, VM(desired.name, desired.site, {}, mark=desired.mark), world.mark(desired))
    assert (same["cpus"], same["cpu_topology"]) == (4, vm["cpu_topology"])
