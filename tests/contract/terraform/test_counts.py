"""How often a site is asked: counted at the driver."""

from __future__ import annotations

from typing import Any

import pytest
from tf_runs import OFF, Terraform

COUNT = 12


@pytest.fixture
def counted(terraform: Terraform, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The calls of the driver by the name of the method."""
    kind: Any = type(terraform.world.driver)
    calls: dict[str, int] = {}

    def around(name: str) -> None:
        original = getattr(kind, name)

        def call(self: Any, *words: Any, **more: Any) -> Any:
            calls[name] = calls.get(name, 0) + 1
            return original(self, *words, **more)

        monkeypatch.setattr(kind, name, call)

    for name in ("list", "snapshots", "snapshots_of_all"):
        around(name)
    return calls


def test_a_listing_for_each_step_of_a_run(terraform: Terraform, counted: dict[str, int]) -> None:
    """Refresh, plan and apply each connect anew. What is made, changed or deleted is read alone."""
    def run(*words: str) -> int:
        counted.clear()
        terraform.run(*words, "-auto-approve")
        return counted["list"]

    terraform.vms = {f"v{number}": OFF for number in range(COUNT)}
    listings = [run("apply")]
    terraform.vms = {name: {**OFF, "cpus": 2} for name in terraform.vms}
    listings += [run("apply"), run("destroy")]
    assert terraform.there() == {}
    assert max(listings) <= 3, listings


@pytest.mark.parametrize("world", ["test", "pve", "vsphere"], indirect=True)
def test_one_answer_serves_a_refresh_of_snapshots(terraform: Terraform, counted: dict[str, int]) -> None:
    """Where the site can give one of all its VMs."""
    names = [f"s{number}" for number in range(4)]
    terraform.more = {"resource": {
        "muster_vm": {"a": {"name": terraform.name("a"), **OFF}},
        "muster_vm_snapshot": {name: {"vm": "${muster_vm.a.name}", "name": name} for name in names}}}
    terraform.apply()
    driver = terraform.world.driver
    at_once = driver.snapshots_of_all([terraform.there()["a"]]) is not None
    counted.clear()
    assert terraform.plan() == {}
    assert counted.get("snapshots_of_all", 0) == 1
    assert counted.get("snapshots", 0) == (0 if at_once else len(names))
