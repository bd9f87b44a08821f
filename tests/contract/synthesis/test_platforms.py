"""From a fleet file to VMs and back to nothing, on every platform: the app, and then plain Terraform."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cdk_apps import PROGRAM, Stack, mirror, needs_node, synthesised
from sites import TINY, World
from test_app import GOOD

pytestmark = [
    needs_node,
    pytest.mark.skipif(shutil.which(PROGRAM) is None, reason="there is no Terraform on the path"),
]
on_all = pytest.mark.parametrize("world", ["qemu", "pve", "vsphere"], indirect=True)


@on_all
def test_from_a_fleet_file(world: World, tmp_path: Path) -> None:
    site = {"platform": world.access.platform, **json.loads(json.dumps(dict(world.access.options)))}
    spec = {**GOOD, **TINY, "nics": [{"network": world.network}]}
    stacks = synthesised(tmp_path, {
        "fleet": world.fleet, "sites": {"here": site}, "rules": ["muster/baseline"],
        "vms": {world.names: {**spec, "count": 3, "overrides": {"2": {"cpus": 2, "tags": {"note": "100% ${x}"}}}}}})
    assert stacks["here"]["resource"]["muster_vm"].keys() == {world.names}
    stack = Stack(tmp_path / "cdktf.out" / "stacks" / "here", mirror(tmp_path))
    stack.run("init", "-input=false")
    assert "3 added, 0 changed, 0 destroyed" in stack.apply()
    there = {vm.name: vm for vm in world.driver.list() if vm.name.startswith(world.names)}
    assert {name: vm["cpus"] for name, vm in there.items()} == {
        f"{world.names}-1": 1, f"{world.names}-2": 2, f"{world.names}-3": 1}
    assert there[f"{world.names}-2"]["tags"] == {**GOOD["tags"], "note": "100% ${x}"}
    assert stack.changes() == {}
    assert (tmp_path / "terraform.here.tfstate").exists()
    assert "3 destroyed" in stack.run("destroy", "-auto-approve", "-input=false")
    assert [vm.name for vm in world.driver.list() if vm.name.startswith(world.names)] == []


@pytest.mark.parametrize("world", ["pve", "vsphere"], indirect=True)  # their guests shut down at once
def test_a_power_cycle_is_allowed_with_the_apply(world: World, tmp_path: Path) -> None:
    """By a variable of the stack: nothing is synthesised anew."""
    site = {"platform": world.access.platform, **json.loads(json.dumps(dict(world.access.options)))}
    document = {"fleet": world.fleet, "sites": {"here": site}, "rules": ["muster/baseline"], "vms": {
        world.names: {**GOOD, **TINY, "nics": [{"network": world.network}], "memory": "64 MiB", "power": "on"}}}
    stack = None
    for memory in ("64 MiB", "32 MiB"):
        document["vms"][world.names]["memory"] = memory
        synthesised(tmp_path, document)
        stack = stack or Stack(tmp_path / "cdktf.out" / "stacks" / "here", mirror(tmp_path))
        stack.run("init", "-input=false")
        if memory == "64 MiB":
            stack.apply()
    assert stack is not None
    assert "power cycle" in " ".join(stack.run("plan", "-input=false", code=1).split())
    stack.run("apply", "-auto-approve", "-input=false", "-var", "allow_power_cycle=true", "-var", "allow_force=true")
    [vm] = [vm for vm in world.driver.list() if vm.name == world.names]
    assert vm["memory"] == 32 << 20
