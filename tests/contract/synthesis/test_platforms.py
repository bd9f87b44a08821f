"""From a fleet file to VMs and back to nothing, on every platform: the app, and then plain Terraform."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cdk_apps import Stack, mirror, needs_node, synthesised
from sites import TINY, World
from test_app import GOOD

pytestmark = [
    needs_node,
    pytest.mark.skipif(shutil.which("terraform") is None, reason="there is no terraform on the path"),
    pytest.mark.parametrize("world", ["qemu", "pve", "vsphere"], indirect=True),
]


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
