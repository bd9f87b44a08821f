"""The vSphere driver: the contract's calls, each handed to the file whose subject it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from ...model.fleet import Site
from ...model.fleet_planner import VMPlan
from ...model.planner import Change
from ...model.vm import VM, Mark
from .. import templates
from ..copies import WHERE_IT_RUNS, spec_of_copy
from ..driver import (
    Backup,
    Capability,
    Conflict,
    Driver,
    Image,
    NotFound,
    Progress,
    Snapshot,
    Survey,
    Template,
    silent,
)
from ..ownership import Written, identity, not_owned, taken_over
from . import backup, build, changes, contents, devices, listing, restore, rights, room, support, survey
from . import mark as marks
from .connection import Session
from .moves import PLACES, move, move_disks, move_into_folder, move_into_pool
from .placement import Placement
from .plan import Plan, cloudinit
from .power import Power
from .site import Places
from .snapshots import Snapshots
from .tasks import Tasks
from .teardown import demolish, reconfigure


class VsphereDriver(Driver):
    """One session with one vCenter.

    Options of the site: `uri` (``https://host[/datacenter[/cluster[/pool …]]]``), `credentials`, `tls`, `pool`
    (datastore of disks that name none), `folder` (of VMs that are made), `tiers` (datastores by tier), `ssh` (`user`,
    `key`).
    """

    platform: ClassVar[str] = "vsphere"
    options = frozenset(("credentials", "tls", "folder"))
    # Named one by one: a capability that the contract gains is not claimed by accident.
    capabilities = frozenset(
        {
            Capability.POWER,
            Capability.CHANGE,
            Capability.SNAPSHOT,
            Capability.REVERT,
            Capability.CLONE,
            Capability.BACKUP,
            Capability.RESTORE,
            Capability.IMAGE,
            Capability.ISOLATE,
            Capability.TEMPLATE,
            Capability.CONSOLE,
            Capability.ADOPT,
            Capability.SURVEY,
        }
    )

    def __init__(self, access: Site) -> None:
        super().__init__(access)
        self.session = Session(access)
        self.tasks = Tasks(self.session)
        self.places = Places(self.session)
        self.placement = Placement(self.session, self.tasks)
        self.power_of = Power(self.session, self.tasks)
        self.snapshots_of = Snapshots(self.session, self.tasks)

    def close(self) -> None:
        self.session.close()

    # Reading

    def list(self) -> list[VM]:
        return listing.every(self.session, self.places)

    def get(self, name_or_uuid: str) -> VM:
        return self.one(listing.some(self.session, self.places, [name_or_uuid]), name_or_uuid)

    def survey(self, vms: Sequence[VM]) -> Survey:
        pools = [str(name) for name in (self.access["pool"], *(self.access["tiers"] or {}).values()) if name]
        return survey.take(self.session, self.places, pools, vms)

    def default_pool(self, vm: str) -> str:
        """The datastore of disks that name none. Raises Conflict where the fleet file does not say."""
        pool = self.access["pool"]
        if not pool:
            raise Conflict(
                "its site names no datastore for its disks; nothing was changed",
                site=self.site,
                vm=vm,
                todo=f"Add sites.{self.site}.pool to the fleet file",
            )
        return str(pool)

    def pool_of(self, disk: Mapping[str, Any], vm: str) -> str:
        """The datastore of a disk: the one that it names, its tier's, or the site's."""
        pool = disk.get("pool") or (self.access["tiers"] or {}).get(disk.get("tier"))
        return str(pool) if pool else self.default_pool(vm)

    def owned(self, vm: VM, doing: str) -> tuple[Any, listing.Properties, Written]:
        """Reference, properties and mark of `vm`, found by its UUID: what bears no mark is never changed."""
        obj, one = listing.find(self.session, vm)
        written = marks.read(one.get("config.extraConfig") or (), one.get("config.instanceUuid"))
        if written is None:
            raise not_owned(doing, self.site, vm.name)
        return obj, one, written

    def check(self, desired: VM) -> None:
        support.check(desired, self.site, self.places.clusters(), self.access.options)
        marks.check(desired, desired.mark or Mark("fleet", desired.name), self.site)
        self.places.check(desired, [self.pool_of(disk, desired.name) for disk in desired["disks"] or ()])

    def check_run(self, plans: Sequence[VMPlan]) -> None:
        rights.check(self, plans)
        room.check(self, plans)

    def refine(self, change: Change, actual: VM) -> str:
        return changes.refine(change, actual, self.places)

    # Making and changing

    def create(self, desired: VM, mark: Mark, image: Image | Template | None, progress: Progress = silent) -> VM:
        uuid = identity(mark, self.site)
        plan = Plan(desired, uuid, mark)
        found = build.earlier(self, plan, progress)
        if found is not None:
            return found
        if isinstance(image, Template):
            plan = self._of_template(plan, image)
        elif image is not None:
            disk = contents.disk_of(desired, image, self.site)
            plan = replace(plan, guest=self._guest(plan), contents={disk: image.path})
        return build.make(self, plan, progress)

    def _guest(self, plan: Plan) -> dict[str, str]:
        """What cloud-init is told of a VM that is made of an image or a template."""
        hostname = str(plan.desired.state.get("hostname") or plan.desired.name)
        return cloudinit(self.access["ssh"] or {}, plan.uuid, hostname, self.site, plan.desired.name)

    def _of_template(self, plan: Plan, image: Template) -> Plan:
        """The plan as a copy of a template."""
        return self._copy_of(plan, self.template(image, plan.desired.name), image.source)

    def template(self, image: Template, vm: str) -> Any:
        """vCenter's reference of the template of this name or UUID, one of the site's own before those of the rest of
        vCenter. Raises NotFound with the nearest name, Ambiguous."""
        self.places.clusters()
        found = [((listing.name_of(one), str(one.get("config.instanceUuid") or ""), obj), self.places.hold(one))
                 for obj, one in listing.templates(self.session)]
        known = [one for one, here in found if here and image.source in one[:2]] or [one for one, _here in found]
        return templates.chosen(image, known, "instance UUID", site=self.site, vm=vm)

    def _copy_of(self, plan: Plan, source: Any, title: str) -> Plan:
        """The plan as a copy of `source`, whose disks are those that the VM names first."""
        desired = plan.desired
        (one,) = self.session.properties([source], listing.PATHS, "read the template", desired.name)
        known = [disk.place for disk in devices.disks(one.get("config.hardware.device") or ())]
        names = [disk["name"] for disk in desired["disks"] or ()]
        places = {**dict(zip(names, known, strict=False)), **plan.places}
        template = bool(one.get("config.template"))
        return replace(
            plan, source=source, template=template, title=title, guest=self._guest(plan), places=places
        )

    def clone(self, vm: VM, desired: VM, mark: Mark, progress: Progress = silent) -> VM:
        obj, one = listing.find(self.session, vm)
        now = listing.now(self.session, obj, one)
        spec = spec_of_copy(now, desired, (*WHERE_IT_RUNS, "anti_affinity"))
        uuid = identity(mark, self.site)
        copy = replace(desired, spec=spec, uuid=uuid)
        places = {name: str(disk["place"]) for name, disk in now.state["disks"].items()}
        plan = Plan(copy, uuid, mark, places=places)
        return build.earlier(self, plan, progress) or build.make(self, self._copy_of(plan, obj, vm.name), progress)

    def apply(
        self, desired: VM, actual: VM, todo: Sequence[Change], progress: Progress = silent, force: bool = False
    ) -> VM:
        self.owned(actual, "change the VM")
        self.check_run([VMPlan(desired, actual, tuple(todo))])
        now = listing.current(self.session, actual)
        running = now.power == "on"
        cycle = [change for change in todo if change.how == "power_cycle" and change.field != "power"]
        restart = running and bool(cycle)
        self.refuse_paused(desired, now, cycle, force)
        if restart:
            progress(f"{actual.name}: shutting down to change " + ", ".join(change.field for change in cycle))
            self._mark(actual, ready=False)  # a run that is killed now leaves a VM that the next run starts again
            now = self.switched_off(now, progress, force)
        self._change(desired, now, [change for change in todo if change.field != "power"], progress)
        self.settle_power(desired, listing.current(self.session, actual), restart, progress, force)
        if restart:
            self._mark(actual, ready=True)
        return listing.current(self.session, actual)

    def _change(self, desired: VM, actual: VM, todo: Sequence[Change], progress: Progress) -> None:
        """All changes in one task, with the mark; a move to another host or cluster before them."""
        kinds = {change.keys[0] for change in todo}
        cared = {change.keys[0]: str(change.after) for change in todo}
        if kinds & {*changes.WHERE} and move(self, desired, actual, progress):
            # What the cluster promised it has left there; the new one promises it anew.
            cared |= {key: str(desired[key]) for key in ("anti_affinity", "ha_priority") if desired[key]}
        if "resource_pool" in kinds:
            move_into_pool(self, desired, actual, progress)
        if "folder" in kinds:
            move_into_folder(self, desired, actual, progress)
        move_disks(self, desired, actual, [change.keys[1] for change in todo if change.keys[2:] in PLACES], progress)
        obj, one, written = self.owned(actual, "change the VM")
        group, priority = cared.get("anti_affinity"), cared.get("ha_priority")
        self.placement.put(obj, one.get("runtime.host"), actual.name, written.mark, progress, group, priority)
        known = marks.devices(written)
        hardware = one.get("config.hardware.device") or ()
        edit = changes.edit_of(self, desired, listing.now(self.session, obj, one), todo, hardware, known)
        places = {name: place for name, place in {**known, **edit.places}.items() if place}
        new = replace(
            written,
            fields={**written.fields, **marks.fields(desired)},
            platform={**written.platform, "devices": places},
        )
        if edit.fields or edit.devices:  # a count that goes with each change shows whether it was made
            new = replace(new, platform={**new.platform, "changes": int(new.platform.get("changes") or 0) + 1})
        if new == written:
            return
        doing = "change " + (", ".join(change.field for change in todo) or "the ownership mark")
        reconfigure(
            self, obj, actual.name, doing, progress, new, one.get("config.changeVersion"), **edit.fields,
            **({"deviceChange": edit.devices} if edit.devices else {}),
        )

    def _mark(self, vm: VM, ready: bool) -> None:
        """Bring the mark up to date; written only where it differs."""
        obj, _one, written = self.owned(vm, "write the ownership mark")
        if written.ready is not ready:
            reconfigure(self, obj, vm.name, "write the ownership mark", mark=replace(written, ready=ready))

    def adopt(self, vm: VM, mark: Mark, owner: str | None = None) -> VM:
        obj, one = listing.find(self.session, vm)
        own = str(one["config.instanceUuid"])
        written = taken_over(marks.read(one.get("config.extraConfig") or (), own), mark, owner, self.site, vm.name)
        if written is not None:
            platform = {"devices": {}, **written.platform, "uuid": own, "site": self.site}
            new = replace(written, fields={**marks.told(vm), **written.fields}, platform=platform)
            version = one.get("config.changeVersion")  # refused where another fleet took it meanwhile
            reconfigure(self, obj, vm.name, "write the ownership mark", mark=new, version=version)
        return listing.current(self.session, vm)

    def delete(self, vm: VM, progress: Progress = silent) -> None:
        self.owned(vm, "delete the VM")
        self.check_run([VMPlan(None, vm, ())])
        progress(f"{vm.name}: deleting the VM and its own disks")
        demolish(self, vm, progress)

    # Power and readiness

    def power(self, vm: VM, state: str, progress: Progress = silent, timeout: float = 180, force: bool = False) -> VM:
        obj, one, written = self.owned(vm, f"switch the VM {state}")
        if state == "on":
            restore.still_isolated(written, one.get("config.hardware.device") or (), self.site, vm.name)
            self.power_of.on(obj, vm.name, progress)
        else:
            self.power_of.off(obj, vm.name, progress, timeout, force)
        return listing.current(self.session, vm)

    def wait_ready(self, vm: VM, progress: Progress = silent, stall: float = 120, timeout: float = 900) -> VM:
        obj, one = listing.find(self.session, vm)
        networked = bool(devices.nics(one.get("config.hardware.device") or ()))
        self.power_of.ready(obj, vm.name, progress, stall, timeout, networked)
        self._mark(vm, ready=True)
        return listing.current(self.session, vm)

    def endpoint(self, vm: VM, port: int) -> tuple[str, int]:
        now = listing.current(self.session, vm)
        address = now.state.get("address")
        if not now["nics"]:
            raise self.without_nic(vm, port)
        if not address:
            raise NotFound(
                f"nothing leads to its port {port}: its VMware Tools tell no address",
                site=self.site,
                vm=vm.name,
                todo="Check that it runs, has a network, and open-vm-tools in it",
            )
        return str(address), port

    # Points in time

    def backup(
        self, vm: VM, directory: Path, restore_point: str, parent: str | None, progress: Progress = silent
    ) -> Backup:
        return backup.take(self, vm, directory, restore_point, parent, progress)

    def restore(
        self, desired: VM, mark: Mark, disks: Mapping[str, Path], isolated: bool = False, progress: Progress = silent
    ) -> VM:
        return restore.make(self, desired, mark, disks, isolated, progress)

    def snapshots(self, vm: VM) -> Sequence[Snapshot]:
        obj, _one = listing.find(self.session, vm)
        return self.snapshots_of.every(obj, vm.name)

    def snapshots_of_all(self, vms: Sequence[VM]) -> Mapping[str, Sequence[Snapshot]]:
        known = {str(vm.state.get("moid")): str(vm.uuid) for vm in vms}
        return {known[one]: found for one, found in self.snapshots_of.all().items() if one in known}

    def take_snapshot(
        self, vm: VM, operation: str, description: str = "", hold: bool = False, progress: Progress = silent
    ) -> Snapshot:
        obj, one, _written = self.owned(vm, "take a snapshot")
        running = one.get("runtime.powerState") == "poweredOn"
        return self.snapshots_of.take(obj, vm.name, operation, description, hold, running, progress)

    def delete_snapshot(self, vm: VM, snapshot: Snapshot, progress: Progress = silent) -> None:
        obj, _one, _written = self.owned(vm, "delete a snapshot")
        self.snapshots_of.delete(obj, vm.name, snapshot, progress)

    def revert_snapshot(self, vm: VM, snapshot: Snapshot, progress: Progress = silent) -> VM:
        obj, _one, written = self.owned(vm, "revert to a snapshot")
        rights.of(self, obj, vm.name, *rights.REVERT)
        ran = self.snapshots_of.revert(obj, vm.name, snapshot, progress)
        # vCenter brings the mark of that day back with the rest, none where the VM was adopted later; what the fleet
        # says of its VM is not of that day.
        obj, one = listing.find(self.session, vm)
        old = marks.read(one.get("config.extraConfig") or (), one.get("config.instanceUuid"))
        now = replace(written, platform=old.platform) if old else written
        if now != old:
            reconfigure(self, obj, vm.name, "write the ownership mark", mark=now)
        if ran:
            self.power_of.on(obj, vm.name, progress)
        return listing.current(self.session, vm)
