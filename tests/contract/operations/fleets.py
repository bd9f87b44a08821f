"""Small fleets, written as files and read as everybody reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from muster.drivers.driver import Driver
from muster.model.fleet import Fleet
from muster.operations import converge
from muster.operations.converge import Allowed, Outcome
from muster.operations.session import read_fleet
from sites import World

TINY: dict[str, Any] = {"cpus": 1, "memory": "32 MiB", "disks": [{"size": "1 MiB"}], "power": "off"}


class Small:
    """A fleet at one site of the tests; its file is written anew for each edit."""

    def __init__(self, world: World, folder: Path, **vms: Any) -> None:
        self.world, self.folder, self.path = world, folder, folder / "fleet.yml"
        site = {"platform": world.access.platform, **world.access.options, "repository": str(folder / "repository")}
        self.document: dict[str, Any] = {
            "fleet": world.fleet,
            "sites": {world.access.name: site},
            "defaults": TINY,
            "vms": {world.names + "-" + name: spec for name, spec in (vms or {"a": {}, "b": {}}).items()},
        }

    def name(self, name: str) -> str:
        return f"{self.world.names}-{name}"

    def edit(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Change the VMs of the file; they go by their short names."""
        vms = {key.removeprefix(self.world.names + "-"): spec for key, spec in self.document["vms"].items()}
        change(vms)
        self.document["vms"] = {self.name(key): spec for key, spec in vms.items()}

    @property
    def fleet(self) -> Fleet:
        self.path.write_text(yaml.safe_dump(self.document), encoding="utf-8")
        return read_fleet(self.path)

    @property
    def drivers(self) -> dict[str, Driver]:
        return {self.world.access.name: self.world.driver}

    def run(self, check: bool = False, **allowed: bool) -> list[Outcome]:
        return converge.converge(self.fleet, self.drivers, allowed=Allowed(**allowed), check=check, wait=False)

    def refused(self, **allowed: bool) -> list[Outcome]:
        """What stops a run, of those VMs that do; each other one that has something to do is told as not begun."""
        outcomes = self.run(**allowed)
        assert not any(outcome.changed for outcome in outcomes)
        assert all(outcome.vm and outcome.site for outcome in outcomes)
        return [outcome for outcome in outcomes if outcome.error and outcome.how != converge.NOT_BEGUN]

    def there(self) -> set[str]:
        """The short names of the fleet's VMs that exist."""
        return {
            vm.name.removeprefix(self.world.names + "-")
            for vm in self.world.driver.list()
            if vm.mark is not None and vm.mark.fleet == self.world.fleet
        }


def shape(outcomes: list[Outcome]) -> list[Any]:
    """What check mode must have said before."""
    return [(o.vm, o.changed, o.how, o.changes, dict(o.diff), o.error) for o in outcomes]
