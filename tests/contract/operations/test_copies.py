"""A VM that was copied past Muster (virt-clone) took the ownership mark along: nobody guesses which one is meant."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fleets import Small
from libvirt_site import on_libvirt
from muster.drivers.driver import Ambiguous
from muster.drivers.libvirt import mark as marks
from muster.operations import backup, converge, hosts, inspect, snapshot
from sites import World

OPERATIONS: dict[str, Callable[[Small], Any]] = {
    "converge": lambda small: small.run(),
    "remove": lambda small: converge.remove(small.fleet, small.drivers),
    "snapshot": lambda small: snapshot.take(small.fleet, small.drivers),
    "backup": lambda small: backup.backup(small.fleet, small.drivers),
    "look": lambda small: inspect.look(small.fleet, small.drivers),
    "inventory": lambda small: hosts.of_fleet(small.fleet, small.world.driver.list()),
}


@on_libvirt
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_both_stay_as_they_are_and_both_are_named(world: World, tmp_path: Path, operation: Any) -> None:
    small = Small(world, tmp_path, a={})
    small.run()
    vm = world.driver.get(small.name("a"))
    root = ET.fromstring(world.domain(vm).XMLDesc())
    copy = world.foreign("copy", mark=root.findtext(f"metadata/{marks.TAG}"))
    assert copy.mark == vm.mark
    before = world.picture()
    try:
        outcomes = operation(small)
        said = "; ".join(outcome.error for outcome in outcomes)
    except Ambiguous as error:
        said = str(error)
    assert str(vm.uuid) in said
    assert str(copy.uuid) in said
    assert world.picture() == before
