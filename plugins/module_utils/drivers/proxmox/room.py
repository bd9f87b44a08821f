"""What a VM needs of the site, looked for before anything changes: its storages and its bridges."""

from __future__ import annotations

from collections.abc import Iterable

from ...model.errors import nearest
from ...model.vm import VM
from ..driver import Conflict
from .connection import Api


class Room:
    """What one site has, asked once in a session."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._pools: set[str] | None = None
        self._bridges: dict[str, set[str]] = {}

    def check(self, vm: VM, pools: Iterable[str], node: str) -> None:
        """Raise Conflict for a storage that takes no disks, or a bridge that `node` has not, with the nearest name."""
        if self._pools is None:
            found = self.api.get("storage", "list the storages", vm.name)
            self._pools = {
                str(one["storage"])
                for one in found
                if "images" in str(one.get("content", "")).split(",") and not one.get("disable")
            }
        for pool in pools:
            if pool not in self._pools:
                raise self._lacks(vm, f"no storage '{pool}' for disks", pool, self._pools)
        wanted = [str(nic["network"]) for nic in vm["nics"] or ()]
        if wanted and node not in self._bridges:
            there = self.api.get(f"nodes/{node}/network", "list the bridges", vm.name, type="any_bridge")
            self._bridges[node] = {str(one["iface"]) for one in there}
        for name in wanted:
            if name not in self._bridges[node]:
                raise self._lacks(vm, f"no bridge '{name}' on node '{node}'", name, self._bridges[node])

    def _lacks(self, vm: VM, what: str, name: str, known: set[str]) -> Conflict:
        return Conflict(
            f"the site has {what} ({nearest(name, known).rstrip('?')}); nothing was changed",
            site=self.api.site,
            vm=vm.name,
            todo="Mend the fleet file, or give the site what is missing",
        )
