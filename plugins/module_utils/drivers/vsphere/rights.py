"""The rights that an account needs for what a run does, looked for before any of it is done. Each is one that VMware's
reference of the API names for a call of ours, on the object that it names there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from ...model.fleet_planner import VMPlan
from ...model.vm import VM
from ..driver import Denied, Template
from .changes import WHERE
from .moves import PLACES, here
from .needs import Origin, cluster_of, made, taken
from .sdk import vim
from .site import Cluster

if TYPE_CHECKING:
    from .driver import VsphereDriver

_MARK = "VirtualMachine.Config.AdvancedConfig"  # which each write of ours has with it
_FIELDS = {
    "cpus": "VirtualMachine.Config.CPUCount",
    "cpu_topology": "VirtualMachine.Config.CPUCount",
    "cpu_reservation": "VirtualMachine.Config.Resource",
    "cpu_limit": "VirtualMachine.Config.Resource",
    "memory": "VirtualMachine.Config.Memory",
    "memory_reservation": "VirtualMachine.Config.Resource",
    "memory_limit": "VirtualMachine.Config.Resource",
}
BACKUP = ("VirtualMachine.State.CreateSnapshot", "VirtualMachine.State.RemoveSnapshot", "VApp.Export")
REVERT = ("VirtualMachine.State.RevertToSnapshot", _MARK)
_ON, _OFF = "VirtualMachine.Interact.PowerOn", "VirtualMachine.Interact.PowerOff"
_SPACE, _NETWORK = "Datastore.AllocateSpace", "Network.Assign"
_POOL, _ENTER = "Resource.AssignVMToPool", "VirtualMachine.Inventory.Move"
_TOLD = 6  # rights that one error names


def check(driver: VsphereDriver, plans: Sequence[VMPlan]) -> None:
    """Raise Denied where the account lacks a right that one of `plans` needs. Asked in one call; what it was found to
    have is not asked again in this session."""
    needed = Needed(driver)
    for plan in plans:
        needed.by(plan)
    needed.check(plans[0].vm.name if len(plans) == 1 else None)


def of(driver: VsphereDriver, obj: Any, vm: str, *rights: str) -> None:
    """Raise Denied where the account lacks one of `rights` on a VM: vCenter would say so after the first step."""
    needed = Needed(driver)
    needed.add(obj, f"the VM '{vm}'", *rights)
    needed.check(vm)


class Needed:
    """The rights that are needed, by object; `titles` says what each object is."""

    def __init__(self, driver: VsphereDriver) -> None:
        self.driver = driver
        self.rights: dict[Any, set[str]] = {}
        self.titles: dict[Any, str] = {}

    def add(self, obj: Any, title: str, *rights: str) -> None:
        self.titles.setdefault(obj, title)
        self.rights.setdefault(obj, set()).update(rights)

    def by(self, plan: VMPlan) -> None:
        """What one plan needs."""
        if plan.actual is not None and not made(plan):
            self._change(plan) if plan.desired is not None else self._delete(plan.actual)
            return
        if plan.actual is not None:
            self._delete(plan.actual)
        desired = plan.vm
        entry = (self.driver.access["images"] or {}).get(desired["image"]) or {}
        source = None
        if entry.get("template"):
            source = self.driver.template(Template(str(desired["image"]), str(entry["template"])), desired.name)
        self.make(plan, source, content=bool(entry) and source is None)
        if desired["anti_affinity"] or desired["ha_priority"]:
            self.care(self.driver.places.cluster(desired))

    def make(self, plan: VMPlan, source: Any, content: bool, right: str = "DeployTemplate") -> None:
        """What a VM needs that is made: as a copy of `source` (a template, where `right` is no other), of the content
        of an image, or empty."""
        desired = plan.vm
        cluster = self.driver.places.cluster(desired)
        inventory = "Create" if source is None else "CreateFromExisting"
        folder = self.folder(cluster, desired, f"VirtualMachine.Inventory.{inventory}", _MARK)
        if desired["disks"] and source is None:
            self.add(folder, "", "VirtualMachine.Config.AddNewDisk")
        if desired["power"] != "off":
            self.add(folder, "", _ON)
        if source is not None:  # the copy has what its source has, and is changed then
            self.add(folder, "", *(right for field, right in _FIELDS.items() if desired[field]))
            if desired["nics"]:
                self.add(folder, "", "VirtualMachine.Config.AddRemoveDevice")
            self.add(source, "its template" if right == "DeployTemplate" else "the VM that is copied",
                     f"VirtualMachine.Provisioning.{right}")  # fmt: skip
        self.pool(cluster, *(["VApp.Import"] if content else ()))
        self._places(cluster, plan, [str(nic["network"]) for nic in desired["nics"] or ()])

    def _change(self, plan: VMPlan) -> None:
        actual, desired, kinds = plan.there, plan.vm, {change.keys[0] for change in plan.changes if change.keys}
        on, restarts = actual.power == "on", any(change.how == "power_cycle" for change in plan.changes)
        obj = self._vm(actual, *([] if kinds == {"power"} else [_MARK]),
                       *(right for field, right in _FIELDS.items() if field in kinds))  # fmt: skip
        if (on and restarts) or (on and desired["power"] == "off"):
            self.add(obj, "", _OFF)
        if (on and restarts and desired["power"] != "off") or (not on and desired["power"] == "on"):
            self.add(obj, "", _ON)
        networks = []
        for change in plan.changes:
            if change.keys[:1] == ("disks",) and len(change.keys) > 1:
                self.add(obj, "", *_disk(change.keys, on))
            if change.keys[:1] == ("nics",) and len(change.keys) > 1:
                whole = len(change.keys) == 2
                self.add(obj, "", f"VirtualMachine.Config.{'AddRemoveDevice' if whole else 'EditDevice'}")
                if whole and change.after:
                    networks.append(str(change.after["network"]))
                elif change.keys[2:] == ("network",):
                    networks.append(str(change.after))
        if kinds & {*WHERE}:
            self.add(obj, "", _migrate(on))
            there = self.driver.places.cluster(desired)
            if actual["host"] not in there.hosts:
                self.pool(there)
        if "folder" in kinds:
            self.folder(here(self.driver, actual), desired, _ENTER)
            self.add(obj, "", _ENTER)
        if "resource_pool" in kinds:
            self.pool(here(self.driver, actual, desired["resource_pool"]))
            self.add(obj, "", _POOL)
        cluster = cluster_of(self.driver, plan)
        if cluster is not None:
            self._places(cluster, plan, networks)
            if kinds & {"anti_affinity", "ha_priority"}:
                self.care(cluster)

    def _delete(self, actual: VM) -> None:
        self._vm(actual, "VirtualMachine.Inventory.Delete", _MARK, *([_OFF] if actual.power != "off" else ()))
        cluster = next((one for one in self.driver.places.clusters() if actual["host"] in one.hosts), None)
        if cluster is not None and actual["anti_affinity"]:
            self.care(cluster)

    def _vm(self, vm: VM, *rights: str) -> Any:
        obj = vim.VirtualMachine(str(vm.state["moid"]))
        self.add(obj, f"the VM '{vm.name}'", *rights)
        return obj

    def _places(self, cluster: Cluster, plan: VMPlan, networks: Collection[str]) -> None:
        for name in {need.pool for need in taken(self.driver, plan, Origin(), {}) if need.size > 0}:
            if name in cluster.datastores:
                self.add(cluster.datastores[name], f"the datastore '{name}'", _SPACE)
        for name in networks:
            if name in cluster.ports:
                self.add(cluster.ports[name], f"the network '{name}'", _NETWORK)

    def folder(self, cluster: Cluster, desired: VM, *rights: str) -> Any:
        """What takes a VM into its folder: that folder."""
        found = self.driver.places.folder(cluster, desired)
        path = desired["folder"] or "/".join(self.driver.session.folder) or "vm"
        self.add(found, f"the folder '{path}'", *rights)
        return found

    def pool(self, cluster: Cluster, *rights: str) -> None:
        """What takes a VM into the resource pool of the cluster in which it is made, or into which it moves."""
        path = next((path for path, obj in cluster.pools.items() if obj == cluster.pool), "")
        self.add(cluster.pool, f"the resource pool {path and repr(path) + ' '}of '{cluster.name}'", _POOL, *rights)

    def care(self, cluster: Cluster) -> None:
        self.add(cluster.obj, f"the cluster '{cluster.name}'", "Host.Inventory.EditCluster")

    def check(self, vm: str | None) -> None:
        """Raise Denied for what is missing."""
        session = self.driver.session
        had: set[tuple[Any, str]] = session.memory.setdefault("rights", set())
        asked = {obj: rights - {right for one, right in had if one == obj} for obj, rights in self.rights.items()}
        asked = {obj: rights for obj, rights in asked.items() if rights}
        if not asked:
            return
        manager, objects = session.content.authorizationManager, list(asked)
        every = sorted(set().union(*asked.values()))
        told = session.ask("read the rights of its account",
                           lambda: manager.HasPrivilegeOnEntities(objects, session.key, every), vm)
        granted = {(one.entity, right.privId) for one in told for right in one.privAvailability if right.isGranted}
        had |= granted
        lacking = [f"{right} on {self.titles[obj]}" for obj in asked for right in sorted(asked[obj])
                   if (obj, right) not in granted]
        if lacking:
            more = f" and {len(lacking) - _TOLD} more" if len(lacking) > _TOLD else ""
            raise Denied(
                f"its account lacks the right {', '.join(lacking[:_TOLD])}{more}; nothing was changed",
                site=session.site,
                vm=vm,
                todo="Give the account of the site a role with it there, then run again; docs/drivers/vsphere.md has "
                "all that it needs",
            )


def _migrate(on: bool) -> str:
    return "Resource.HotMigrate" if on else "Resource.ColdMigrate"


def _disk(keys: tuple[str, ...], on: bool) -> list[str]:
    """The rights for a change of a disk."""
    if len(keys) == 2:
        return ["VirtualMachine.Config.AddNewDisk"]
    if keys[2:] in PLACES:
        return [_migrate(on)]
    return ["VirtualMachine.Config.DiskExtend"] if keys[2] == "size" else []
