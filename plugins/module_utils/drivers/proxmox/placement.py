"""Where a VM runs: the nodes, moving it to another, and whether high availability looks after it."""

from __future__ import annotations

import time
from typing import Any

from ...model.vm import VM
from ..driver import Failed, NotFound, Progress
from .connection import Api
from .tasks import TASK_WAIT, Tasks

_POLL = 0.5
SETTLE = 180.0  # seconds until high availability has begun to move a VM, or is done with it


class Placement:
    """The nodes of one site."""

    def __init__(self, api: Api, tasks: Tasks) -> None:
        self.api, self.tasks = api, tasks
        self._first: str | None = None

    def nodes(self) -> dict[str, bool]:
        """The nodes, and whether each is online."""
        return {str(one["node"]): one.get("status") == "online" for one in self._nodes()}

    def _nodes(self) -> list[dict[str, object]]:
        return list(self.api.get("nodes", "list the nodes"))

    def any(self, vm: str) -> str:
        """A node that is online, always the same one."""
        if self._first is None:
            self._first = min((node for node, online in self.nodes().items() if online), default=None)
        return self._first or self.emptiest(vm)

    def emptiest(self, vm: str) -> str:
        """The node that is online and has the most memory left."""
        online = [one for one in self._nodes() if one.get("status") == "online"]
        if not online:
            raise Failed("no node of the cluster is online", site=self.api.site, vm=vm, todo="Bring one back")
        free = {str(one["node"]): int(str(one.get("maxmem") or 0)) - int(str(one.get("mem") or 0)) for one in online}
        return max(sorted(free), key=lambda node: free[node])

    def migrate(self, vm: VM, node: str, vmid: int, target: str, running: bool, progress: Progress) -> None:
        """Move a VM to the node `target`, with its disks where those are not shared; while it runs if it does."""
        progress(f"{vm.name}: moving from {node} to {target}")
        doing = f"move the VM to the node '{target}'"
        upid = self.tasks.patiently(
            lambda: self.api.post(
                f"nodes/{node}/qemu/{vmid}/migrate",
                doing,
                vm.name,
                target=target,
                online=1 if running else None,
                **{"with-local-disks": 1 if running else None},
            ),
            vm.name,
            progress,
            f"nodes/{node}/qemu/{vmid}",
        )
        self.tasks.finish(upid, doing, vm.name, progress)
        self._arrived(vm.name, vmid, node, target, doing, progress)

    def _arrived(self, name: str, vmid: int, node: str, target: str, doing: str, progress: Progress) -> None:
        """Look until the VM is on the node `target`: high availability only takes note of what it is asked for, and
        moves the VM in its own time. As long as it moves it bears a lock, and is waited for."""
        began = moved = said = time.monotonic()
        while self._status(target, vmid, doing, name, progress) is None:
            now = time.monotonic()
            if (self._status(node, vmid, doing, name, progress) or {}).get("lock"):
                moved = now
            if now - moved > SETTLE or now - began > TASK_WAIT:
                raise Failed(
                    f"unable to {doing}: Proxmox reported no error, and yet it is on '{node}' after "
                    f"{now - began:.0f} s",
                    site=self.api.site,
                    vm=name,
                    todo="Look at its tasks and at high availability (ha-manager status)",
                )
            if now - said > 10:
                said = now
                progress(f"{name}: waiting until high availability has moved it to {target}")
            time.sleep(_POLL)

    def _status(self, node: str, vmid: int, doing: str, name: str, progress: Progress) -> dict[str, Any] | None:
        """How the VM of this number is on `node`; None where it is not there."""
        try:
            path = f"nodes/{node}/qemu/{vmid}/status/current"
            return dict(self.tasks.look(path, "its move", doing, name, progress))
        except NotFound:
            return None

    def pools(self) -> list[str]:
        """The pools of the cluster that the token is shown."""
        return [str(one["poolid"]) for one in self.api.get("pools", "list the pools")]

    def put(self, vmid: int, name: str, pool: str, progress: Progress) -> None:
        """Put a VM into a pool, out of the one that it is in."""
        doing = f"put the VM into the pool '{pool}'"
        if vmid in self._members(pool, doing, name):
            return  # an interrupted run did
        progress(f"{name}: moving into the pool '{pool}'")
        self.api.put("pools", doing, name, poolid=pool, vms=vmid, **{"allow-move": 1})
        if vmid not in self._members(pool, doing, name):
            raise Failed(
                f"unable to {doing}: Proxmox reported no error, and yet it is not in there",
                site=self.api.site,
                vm=name,
                todo="Look at the pool in Proxmox, then run again",
            )

    def _members(self, pool: str, doing: str, name: str) -> set[int]:
        told = self.api.get("pools", doing, name, poolid=pool, type="qemu")
        return {int(one["vmid"]) for its in told for one in its.get("members") or () if "vmid" in one}

    def manage(self, vmid: int, name: str, on: bool, running: bool = False) -> None:
        """Put a VM under the care of high availability, in the power that it has now, or take it out of it."""
        if on:
            self.api.post(
                "cluster/ha/resources",
                "put the VM under high availability",
                name,
                sid=f"vm:{vmid}",
                state="started" if running else "stopped",
            )
            return
        try:
            self.api.delete(f"cluster/ha/resources/vm:{vmid}", "take the VM out of high availability", name)
        except NotFound:
            return
