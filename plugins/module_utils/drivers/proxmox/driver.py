"""The Proxmox driver: the contract's calls, each handed to the file whose subject it is."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from ...model.errors import nearest
from ...model.fleet import Site
from ...model.fleet_planner import VMPlan
from ...model.planner import Change
from ...model.units import format_size
from ...model.vm import VM, Mark
from .. import qcow2, templates
from ..copies import WHERE_IT_RUNS, spec_of_copy
from ..driver import (
    Archive,
    Capability,
    Conflict,
    Driver,
    Executed,
    Image,
    NotFound,
    Progress,
    Snapshot,
    Survey,
    Template,
    silent,
)
from ..ownership import Written, identity, not_owned, taken_over
from . import archive as archives
from . import build, changes, guest, listing, needs, snapshots, support, survey
from . import config as text
from . import mark as marks
from .connection import Api
from .placement import Placement
from .plan import Plan
from .power import Power
from .room import Room
from .storage import Storages, Upload
from .tasks import Tasks
from .teardown import demolish, write_mark


class ProxmoxDriver(Driver):
    """One session with one Proxmox VE cluster, by API token.

    Options of the site: `uri` (``https://host:8006``, any node), `credentials`, `tls`, `pool` (storage of disks that
    name none), `tiers` (storages by tier), `archive` (storage of backups), `ssh` (`user`, `key`).
    """

    platform: ClassVar[str] = "proxmox"
    options = frozenset(("credentials", "tls", "archive"))
    # Named one by one: a capability that the contract gains is not claimed by accident. BACKUP and INCREMENTAL are
    # not among them, as no API of Proxmox hands disks out: its backups stay at the site (ARCHIVE).
    capabilities = frozenset(
        {
            Capability.POWER,
            Capability.CHANGE,
            Capability.SNAPSHOT,
            Capability.REVERT,
            Capability.CLONE,
            Capability.RESTORE,
            Capability.ISOLATE,
            Capability.ARCHIVE,
            Capability.IMAGE,
            Capability.TEMPLATE,
            Capability.CONSOLE,
            Capability.GUEST_EXEC,
            Capability.ADOPT,
            Capability.SURVEY,
        }
    )

    def __init__(self, access: Site) -> None:
        super().__init__(access)
        self.api = Api(access)
        self.tasks = Tasks(self.api)
        self.storage = Storages(self.api, self.tasks)
        self.placement = Placement(self.api, self.tasks)
        self.power_of = Power(self.api, self.tasks)
        self.room = Room(self.api)
        self._nodes: dict[str, bool] | None = None
        self._pools: list[str] = []  # that were there when one was asked for
        self._sources: dict[str, listing.Resource] = {}  # the templates of a run, by what the fleet file calls them
        self._uuids: dict[int, str] = {}  # of each VM that was read, by its number
        try:
            self.api.get("version", "open the site")
        except BaseException:
            self.api.close()
            raise

    def close(self) -> None:
        self.api.close()

    # Reading

    def list(self) -> list[VM]:
        return [*self._read(lambda _one: True)]

    def overview(self) -> Sequence[VM]:
        return listing.every(self.api, lambda _one: True, strict=False)

    def twins(self, name: str, uuid: str) -> Sequence[VM]:
        """The VMs of that name or identity. What was read before is known to have another identity and is not read
        again: a fleet would else read the whole cluster once for each VM that it makes."""
        found = self._read(lambda one: one.get("name") == name or self._uuids.get(one["vmid"], uuid) == uuid)
        return [vm for vm in found if vm.uuid == uuid or vm.name == name]

    def _read(self, wanted: Callable[[listing.Resource], bool]) -> Sequence[VM]:
        found = listing.every(self.api, wanted)
        self._uuids |= {vm.state["vmid"]: str(vm.uuid) for vm in found}
        return found

    def survey(self, vms: Sequence[VM]) -> Survey:
        pools = [str(self.access["pool"] or ""), *map(str, (self.access["tiers"] or {}).values())]
        pools += [str(disk["pool"]) for vm in vms for disk in vm["disks"] or () if disk.get("pool")]
        return survey.take(self.api, pools, vms)

    def default_pool(self, vm: str) -> str:
        """The storage of disks that name none. Raises Conflict where the fleet file does not say."""
        pool = self.access["pool"]
        if not pool:
            raise Conflict(
                "its site names no storage for its disks; nothing was changed",
                site=self.site,
                vm=vm,
                todo=f"Add sites.{self.site}.pool, such as local-lvm, to the fleet file",
            )
        return str(pool)

    def pool_of(self, disk: Mapping[str, Any]) -> str:
        """The storage of a disk: the one that it names, its tier's, or the site's."""
        pool = disk.get("pool") or (self.access["tiers"] or {}).get(disk.get("tier"))
        return str(pool) if pool else self.default_pool(str(disk.get("name")))

    def owned(self, vm: VM, doing: str) -> tuple[str, text.Config, Written]:
        """Path, configuration and mark of `vm`, found by its UUID: what bears no mark is never changed."""
        node, vmid, config = listing.find(self.api, vm)
        written = marks.read(config, vmid)
        if written is None:
            raise not_owned(doing, self.site, vm.name)
        return f"nodes/{node}/qemu/{vmid}", config, written

    def again(self, vm: VM) -> VM:
        return listing.current(self.api, listing.pooled(self.api, vm))

    def path(self, vm: VM) -> str:
        """Where Proxmox has `vm` now."""
        node, vmid, _config = listing.find(self.api, vm)
        return f"nodes/{node}/qemu/{vmid}"

    def check(self, desired: VM) -> None:
        if desired["host"] and self._nodes is None:
            self._nodes = self.placement.nodes()
        support.check(desired, self.site, self._nodes or {}, self.access.options)
        marks.check(desired, desired.mark or Mark("fleet", desired.name), self.site)
        if desired["resource_pool"]:
            self._check_pool(desired)
        pools = [self.pool_of(disk) for disk in desired["disks"] or ()]
        self.room.check(desired, pools, str(desired["host"] or self.placement.any(desired.name)))

    def _check_pool(self, desired: VM) -> None:
        """Raise Conflict for a pool that is not there, with the nearest name."""
        pool = desired["resource_pool"]
        if pool not in self._pools:
            self._pools = self.placement.pools()
        if pool not in self._pools:
            raise Conflict(
                f"its token is shown no pool '{pool}' of the cluster ({nearest(pool, self._pools).rstrip('?')}); "
                "nothing was changed",
                site=self.site,
                vm=desired.name,
                todo="Mend the fleet file, make the pool (pveum pool add), or give the token Pool.Audit and "
                f"Pool.Allocate on /pool/{pool}",
            )

    def check_run(self, plans: Sequence[VMPlan]) -> None:
        wanted = list[needs.Need]()
        self._sources = {}
        for plan in plans:
            home = ""
            entry = (self.access["images"] or {}).get(plan.vm["image"]) or {}
            if plan.desired is not None and entry.get("template") and (plan.actual is None or plan.how == "replace"):
                image = Template(str(plan.vm["image"]), str(entry["template"]))
                home = str(self._template(image, plan.desired)["node"])
            wanted += needs.taken(self, plan, home)
        if wanted:
            nodes = sorted(node for node, online in self.placement.nodes().items() if online)
            self.room.space(wanted, nodes)

    def refine(self, change: Change, actual: VM) -> str:
        return changes.refine(change, actual)

    # Making and changing

    def create(self, desired: VM, mark: Mark, image: Image | Template | None, progress: Progress = silent) -> VM:
        uuid = identity(mark, self.site)
        plan = Plan(desired, uuid, mark)
        found = build.earlier(self, plan, progress)
        if found is not None:
            return found
        if isinstance(image, Template):
            plan = replace(plan, source=self._template(image, desired), seed=uuid, cloudinit=True)
        elif image is not None:
            disks = {(desired["disks"] or [{"name": "root"}])[0]["name"]: image.path}
            plan = replace(plan, contents=self._bring(desired, disks, progress), seed=uuid, cloudinit=True)
        return build.make(self, plan, progress)

    def _template(self, image: Template, desired: VM) -> listing.Resource:
        """The template of this name or number, looked for once in a run. Raises NotFound with the nearest names,
        Ambiguous with both."""
        if image.source not in self._sources:
            known = [(str(one.get("name")), str(one["vmid"]), one) for one in listing.templates(self.api)]
            found = templates.chosen(image, known, "number", site=self.site, vm=desired.name)
            self._sources[image.source] = found
        return self._sources[image.source]

    def _bring(self, desired: VM, disks: Mapping[str, Path], progress: Progress) -> dict[str, Upload]:
        """Bring images to a storage of the site from which Proxmox can import them; each is looked at before."""
        sizes = {disk["name"]: disk["size"] for disk in desired["disks"] or ()}
        for name, path in disks.items():
            qcow2.check_image(path, self.site, desired.name)
            size = qcow2.virtual_size(path)
            if size > sizes.get(name, 0):
                raise Conflict(
                    f"{path} has {format_size(size)} and does not fit into the disk '{name}' of "
                    f"{format_size(sizes.get(name, 0))}; nothing was made",
                    site=self.site,
                    vm=desired.name,
                    todo=f"Give the disk at least {format_size(size)}",
                )
        node = str(desired["host"] or self.placement.emptiest(desired.name))
        return {name: self.storage.upload(node, path, desired.name, progress) for name, path in disks.items()}

    def restore(
        self, desired: VM, mark: Mark, disks: Mapping[str, Path], isolated: bool = False, progress: Progress = silent
    ) -> VM:
        plan = self._return(desired, mark, isolated)
        found = build.earlier(self, plan, progress)
        if found is not None:
            return found
        uploads = self._bring(desired, disks, progress)
        try:
            return build.make(self, replace(plan, contents=uploads), progress)
        finally:
            for upload in uploads.values():  # a restore point is no image: it is not kept a second time
                self.storage.delete(upload.node, upload.volume, desired.name)

    def _return(self, desired: VM, mark: Mark, isolated: bool) -> Plan:
        """The plan of a VM that comes back: under its own identity, or as a twin with a new one."""
        uuid = str(uuids.uuid4()) if isolated else identity(mark, self.site)
        seed = str(desired.state.get("seed") or desired.uuid or uuid)
        return Plan(desired, uuid, mark, seed=seed, isolated=isolated)

    def clone(self, vm: VM, desired: VM, mark: Mark, progress: Progress = silent) -> VM:
        now = listing.current(self.api, vm)
        spec = spec_of_copy(now, desired, WHERE_IT_RUNS)
        uuid = identity(mark, self.site)
        plan = Plan(
            VM(desired.name, self.site, spec, uuid, desired.mark),
            uuid,
            mark,
            source={"node": now.state["node"], "vmid": now.state["vmid"], "name": now.name},
            seed=uuid,
            places={name: str(place["key"]) for name, place in now.state["disks"].items()},
        )
        return build.earlier(self, plan, progress) or build.make(self, plan, progress)

    def apply(
        self, desired: VM, actual: VM, todo: Sequence[Change], progress: Progress = silent, force: bool = False
    ) -> VM:
        self.owned(actual, "change the VM")
        now = listing.current(self.api, actual)
        running = now.power == "on"
        cycle = [change for change in todo if change.how == "power_cycle" and change.field != "power"]
        restart = running and bool(cycle)
        self.refuse_paused(desired, now, cycle, force)
        if restart:
            progress(f"{actual.name}: shutting down to change " + ", ".join(change.field for change in cycle))
            # A run that is killed now leaves a VM that the next run starts again.
            self._mark(actual, ready=False, progress=progress)
            now = self.switched_off(now, progress, force)
        for change in todo:
            if change.how != "mark" and change.field != "power":
                changes.make(self, desired, now, change, progress)
        self._mark(actual, fields=marks.fields(desired), progress=progress)
        self.settle_power(desired, listing.current(self.api, actual), restart, progress, force)
        if restart:
            self._mark(actual, ready=True, progress=progress)
        pool = desired["resource_pool"] or actual["resource_pool"]
        return listing.current(self.api, actual if pool is None else listing.into(actual, pool))

    def adopt(self, vm: VM, mark: Mark, owner: str | None = None) -> VM:
        node, vmid, config = listing.find(self.api, vm)
        written = taken_over(marks.read(config, vmid), mark, owner, self.site, vm.name)
        if written is not None:
            own = text.uuid_of(config)
            if own is None:
                raise Conflict(
                    "unable to adopt the VM: it has no UUID, by which it would be known again",
                    site=self.site,
                    vm=vm.name,
                    todo=f"Give it one, while it is off: qm set {vmid} --smbios1 uuid=$(uuidgen)",
                )
            fields = {**marks.fields(vm), **written.fields}
            platform = {"vmid": vmid, "devices": {}, **written.platform, "uuid": own}
            new = replace(written, fields=fields, platform=platform)
            write_mark(self, f"nodes/{node}/qemu/{vmid}", vm.name, new, config)
        return listing.current(self.api, vm)

    def _mark(
        self,
        vm: VM,
        ready: bool | None = None,
        fields: Mapping[str, Any] | None = None,
        devices: Mapping[str, str] | None = None,
        progress: Progress = silent,
    ) -> None:
        """Bring the mark up to date; written only where it differs."""
        path, config, written = self.owned(vm, "write the ownership mark")
        new = replace(
            written,
            ready=written.ready if ready is None else ready,
            fields={**written.fields, **(fields or {})},
            platform={**written.platform, "devices": written.platform.get("devices") if devices is None else devices},
        )
        if new != written:
            write_mark(self, path, vm.name, new, config, progress)

    def places(self, vm: VM, config: text.Config) -> dict[str, str]:
        """The places of the VM's devices by name, as its mark knows them."""
        written = marks.find(config)
        return dict((written.platform.get("devices") or {}) if written else {})

    def remember(self, vm: VM, places: Mapping[str, str | None], progress: Progress) -> None:
        """Note places of devices in the mark; None for one that is gone."""
        _path, config, _written = self.owned(vm, "write the ownership mark")
        both = {**self.places(vm, config), **places}
        self._mark(vm, devices={name: key for name, key in both.items() if key}, progress=progress)

    def delete(self, vm: VM, progress: Progress = silent) -> None:
        self.owned(vm, "delete the VM")
        progress(f"{vm.name}: deleting the VM and its own disks")
        demolish(self, vm, progress)

    # Power and readiness

    def power(self, vm: VM, state: str, progress: Progress = silent, timeout: float = 180, force: bool = False) -> VM:
        path, config, written = self.owned(vm, f"switch the VM {state}")
        if state == "on":
            if written.mark.fleet.endswith("/drill") and text.nics(config):
                raise Conflict(
                    "the twin has a NIC that is not isolated; it was not started",
                    site=self.site,
                    vm=vm.name,
                    todo="Delete it; the drill makes a new one",
                )
            self.power_of.on(path, vm.name, progress)
        else:
            self.power_of.off(path, vm.name, progress, timeout, force)
        return listing.current(self.api, vm)

    def wait_ready(self, vm: VM, progress: Progress = silent, stall: float = 120, timeout: float = 900) -> VM:
        guest.wait(self.tasks, self.path(vm), vm.name, progress, stall, timeout)
        self._mark(vm, ready=True, progress=progress)
        return listing.current(self.api, vm)

    def endpoint(self, vm: VM, port: int) -> tuple[str, int]:
        path = self.path(vm)
        if not text.nics(self.api.get(f"{path}/config", "read the VM", vm.name)):
            raise self.without_nic(vm, port)
        found = guest.addresses(self.api, path, vm.name)
        if not found:
            raise NotFound(
                f"nothing leads to its port {port}: its guest agent tells no address",
                site=self.site,
                vm=vm.name,
                todo="Check that it runs, has a network, and qemu-guest-agent in it",
            )
        return found[0], port

    def execute(self, vm: VM, argv: Sequence[str], timeout: float = 60) -> Executed:
        return guest.execute(self.api, self.path(vm), vm.name, argv, timeout)

    # Points in time

    def snapshots(self, vm: VM) -> Sequence[Snapshot]:
        return snapshots.every(self.api, self.path(vm), vm.name)

    def snapshots_of_all(self, vms: Sequence[VM]) -> Mapping[str, Sequence[Snapshot]]:
        return listing.snapshots(self.api, vms)

    def take_snapshot(
        self, vm: VM, operation: str, description: str = "", hold: bool = False, progress: Progress = silent
    ) -> Snapshot:
        path, _config, _written = self.owned(vm, "take a snapshot")
        running = self.power_of.state(path, vm.name) == "running"
        return snapshots.take(self.api, self.tasks, path, vm.name, operation, description, hold, running, progress)

    def delete_snapshot(self, vm: VM, snapshot: Snapshot, progress: Progress = silent) -> None:
        path, _config, _written = self.owned(vm, "delete a snapshot")
        snapshots.delete(self.api, self.tasks, path, vm.name, snapshot, progress)

    def revert_snapshot(self, vm: VM, snapshot: Snapshot, progress: Progress = silent) -> VM:
        path, _config, _written = self.owned(vm, "revert to a snapshot")
        if snapshots.revert(self.api, self.tasks, path, vm.name, snapshot, progress):
            self.power_of.on(path, vm.name, progress)
        return listing.current(self.api, vm)

    def archive(self, vm: VM, restore_point: str, progress: Progress = silent) -> Archive:
        path, _config, written = self.owned(vm, "back the VM up")
        return archives.take(self, replace(vm, mark=written.mark), path, restore_point, progress)

    def archives(self, vm: VM) -> Sequence[Archive]:
        return [held.archive for held in archives.every(self, vm)]

    def delete_archive(self, vm: VM, archive: Archive) -> None:
        archives.delete(self, vm, archive)

    def restore_archive(
        self, desired: VM, mark: Mark, archive: Archive, isolated: bool = False, progress: Progress = silent
    ) -> VM:
        plan = self._return(desired, mark, isolated)
        found = build.earlier(self, plan, progress)
        if found is not None:
            return found
        owner = Mark(mark.fleet.removesuffix("/drill"), mark.vm)
        held = archives.find(self, replace(desired, mark=owner), archive)
        plan = replace(
            plan,
            archive=archive.id,
            source={"node": held.node, "vmid": 0},
            places=archives.places(self, held, desired),
        )
        return build.make(self, plan, progress)
