"""The libvirt driver: the contract's calls, each handed to the file whose subject it is."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid as uuids
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from ...model.fleet import Site
from ...model.planner import Change
from ...model.vm import VM, Mark
from ..driver import (
    ALLOW_FORCE,
    Backup,
    Capability,
    Conflict,
    Driver,
    Executed,
    Image,
    NotFound,
    Progress,
    Snapshot,
    StillOn,
    Survey,
    Template,
    silent,
    still_paused,
)
from ..ownership import adopted, identity, not_owned, taken_over
from . import backup, build, changes, forwards, guest, listing, room, snapshots, support, survey
from . import domain as xml
from . import mark as marks
from .connection import code_is, connect, is_remote, libvirt, told
from .volumes import Volumes

_BUTTON = 5.0  # seconds between two presses of the power button


class LibvirtDriver(Driver):
    """One connection to one libvirt daemon: ``qemu:///system``, ``qemu:///session``, ``qemu+ssh://…``, ``test:///…``.

    Options of the site: `uri` (the system's daemon for root, the user's own for others if unset), `pool` (storage
    pool, ``default`` if unset), `tiers` (pools by tier), `ssh` (`user`, `key`).
    """

    platform: ClassVar[str] = "libvirt"
    capabilities = frozenset(
        {
            Capability.POWER,
            Capability.CHANGE,
            Capability.SNAPSHOT,
            Capability.REVERT,
            Capability.CLONE,
            Capability.BACKUP,
            Capability.INCREMENTAL,
            Capability.RESTORE,
            Capability.ISOLATE,
            Capability.IMAGE,
            Capability.CONSOLE,
            Capability.GUEST_EXEC,
            Capability.ADOPT,
            Capability.SURVEY,
        }
    )

    def __init__(self, access: Site) -> None:
        super().__init__(access)
        self.connection = connect(access)
        with told(self.site, None, "ask the host what it is"):
            self.type = self.connection.getType().lower()
            self.hostname = self.connection.getHostname()
        if self.type == "test":  # libvirt's own test driver keeps all in memory: it runs no guest and holds no bytes
            self.capabilities = frozenset(
                {Capability.POWER, Capability.CHANGE, Capability.SNAPSHOT, Capability.REVERT, Capability.ADOPT,
                 Capability.SURVEY}
            )
        self.remote = is_remote(str(access["uri"] or ""))
        self.volumes = Volumes(self.connection, self.site, str(access.options.get("pool") or "default"))
        self._accelerator: str | None = None
        self._ports = threading.Lock()  # between choosing a free port and QEMU's taking it

    def close(self) -> None:
        with contextlib.suppress(libvirt.libvirtError):
            self.connection.close()

    @property
    def accelerator(self) -> str:
        """libvirt's domain type for new VMs: ``kvm`` only where it really works, else ``qemu``."""
        if self._accelerator is None:
            self._accelerator = "test" if self.type == "test" else listing.accelerator(self.connection, self.remote)
        return self._accelerator

    # Reading

    def list(self) -> list[VM]:
        return listing.every(self.connection, self.site)

    def pool_of(self, disk: Mapping[str, Any]) -> str | None:
        """The pool of a disk: the one that it names, its tier's, or None for the site's default."""
        return disk.get("pool") or (self.access["tiers"] or {}).get(disk.get("tier"))

    def survey(self, vms: Sequence[VM]) -> Survey:
        named = (disk.get("pool") for vm in vms for disk in vm["disks"] or ())
        tiers = (self.access["tiers"] or {}).values()
        pools = [name for name in (self.volumes.default_pool, *tiers, *named) if name]
        return survey.take(self.connection, self.site, self.hostname, pools, vms)

    def domain(self, vm: VM) -> Any:
        """libvirt's object of `vm`, found by its UUID alone."""
        with told(self.site, vm.name, "find the VM"):
            return self.connection.lookupByUUIDString(str(vm.uuid))

    def owned(self, vm: VM, doing: str) -> Any:
        """libvirt's object of `vm`, which must bear the ownership mark: what does not is never changed."""
        domain = self.domain(vm)
        with told(self.site, vm.name, "read the VM"):
            root = xml.parse(domain.XMLDesc(0))
        if marks.read(root) is None:
            raise not_owned(doing, self.site, vm.name)
        return domain

    def again(self, vm: VM) -> VM:
        return self.reread(self.domain(vm))

    def reread(self, domain: Any) -> VM:
        """The VM as it is now, after a change."""
        with told(self.site, domain.name(), "read the VM"):
            return listing.one(domain, self.site)

    def check(self, desired: VM) -> None:
        support.check(desired, self.site, self.hostname, self.remote, self.access.options)
        pools = {self.pool_of(disk) or self.volumes.default_pool for disk in desired["disks"] or ()}
        room.check(self.connection, desired, self.site, pools)

    def refine(self, change: Change, actual: VM) -> str:
        if change.keys[0] == "disks" and change.keys[2:] in (("pool",), ("tier",)):
            (there,) = (disk for disk in actual["disks"] if disk["name"] == change.keys[1])
            stays = self._pool_name(there) == self._pool_name({change.keys[2]: change.after})
            return change.how if stays else "replace"
        return changes.refine(change, actual)

    def _pool_name(self, disk: Mapping[str, Any]) -> str:
        return self.pool_of(disk) or self.volumes.default_pool

    # Making and changing

    def create(self, desired: VM, mark: Mark, image: Image | Template | None, progress: Progress = silent) -> VM:
        if isinstance(image, Template):
            raise self.lacks(Capability.TEMPLATE, desired)
        if image is not None:
            self.needs(Capability.IMAGE, desired)
        uuid = identity(mark, self.site)
        first = (desired["disks"] or [{"name": None}])[0]["name"]
        contents = {first: image.path} if image else {}
        return self._make(desired, uuid, mark, contents, seed=uuid if image else "", isolation=None, progress=progress)

    def restore(
        self, desired: VM, mark: Mark, disks: Mapping[str, Path], isolated: bool = False, progress: Progress = silent
    ) -> VM:
        self.needs(Capability.ISOLATE if isolated else Capability.RESTORE, desired)
        isolation = None
        uuid = identity(mark, self.site)
        if isolated:
            uuid = str(uuids.uuid4())
            ports = {rule["guest"] for nic in desired["nics"] or () for rule in nic.get("forwards") or ()}
            with self._ports:
                isolation = xml.Isolation({port: forwards.free_port() for port in ports})
        return self._make(
            desired,
            uuid,
            mark,
            dict(disks),
            seed=str(desired.state.get("seed") or desired.uuid or uuid),
            isolation=isolation,
            progress=progress,
        )

    def _make(
        self,
        desired: VM,
        uuid: str,
        mark: Mark,
        contents: Mapping[str, Path],
        *,
        seed: str,
        isolation: xml.Isolation | None,
        progress: Progress,
    ) -> VM:
        with told(self.site, desired.name, "look for a VM of this name"):
            twins = [d for d in self.connection.listAllDomains() if uuid == d.UUIDString() or d.name() == desired.name]
        for twin in twins:
            found = adopted(desired, uuid, mark, self.reread(twin))
            if found is not None:
                return found
            progress(f"{desired.name}: an earlier run stopped half way; its unfinished disks are made again")
            build.demolish(self, twin)
        return build.make(self, desired, uuid, mark, contents, seed=seed, isolation=isolation, progress=progress)

    def apply(
        self, desired: VM, actual: VM, todo: Sequence[Change], progress: Progress = silent, force: bool = False
    ) -> VM:
        domain = self.owned(actual, "change the VM")
        cycle = [change for change in todo if change.how == "power_cycle" and change.field != "power"]
        running = actual.power == "on"
        restart = running and bool(cycle)
        self.refuse_paused(desired, actual, cycle, force)
        if restart:
            progress(f"{actual.name}: shutting down to change " + ", ".join(change.field for change in cycle))
            self._ready(domain, False)  # a run that is killed now leaves a VM that the next run starts again
            self.switched_off(actual, progress, force)
        for change in todo:
            if change.how != "mark" and change.field != "power":
                self._change(domain, desired, actual, change, running and not restart, progress)
        self._remark(domain, desired)
        before = self.reread(domain)
        now = self.settle_power(desired, before, restart, progress, force)
        if before.power == now.power == "on":
            self._forward(domain, desired)
        if restart:
            self._ready(domain, True)
        return self.reread(domain)

    def adopt(self, vm: VM, mark: Mark, owner: str | None = None) -> VM:
        domain = self.domain(vm)
        with told(self.site, vm.name, "adopt the VM"):
            now = marks.read(xml.parse(domain.XMLDesc(0)))
            written = taken_over(now, mark, owner, self.site, vm.name)
            if written is not None:
                build.write_mark(domain, replace(written, fields={**build.mark_fields(vm), **written.fields}))
        return self.reread(domain)

    def _ready(self, domain: Any, ready: bool) -> None:
        """Write into the mark whether the VM is as a run wants to leave it."""
        with told(self.site, domain.name(), "write the ownership mark"):
            written = marks.read(xml.parse(domain.XMLDesc(0)))
            if written is not None and written.ready != ready:
                build.write_mark(domain, replace(written, ready=ready))

    def _change(
        self, domain: Any, desired: VM, actual: VM, change: Change, live: bool, progress: Progress
    ) -> None:
        kind, _sep, rest = change.field.partition(".")
        name, _sep, field = rest.partition(".")
        if kind == "disks" and not field:
            build.add_disk(self, domain, desired, change.after, live, progress)
        elif kind == "nics" and field.startswith("forwards"):
            return  # set from the mark, after all else
        elif kind == "host" or field in ("pool", "tier"):
            return  # `check` lets no other host through, and `refine` no other pool
        elif live:
            changes.live(domain, self.site, actual, change)
        elif kind == "disks" and field == "size":
            build.grow_stopped(self, domain, name, change.after)
        else:
            with told(self.site, actual.name, f"change {change.field}"):
                root = xml.parse(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
                changes.edit(root, change, desired, domain.UUIDString())
                self.connection.defineXML(ET.tostring(root, encoding="unicode"))

    def _remark(self, domain: Any, desired: VM) -> None:
        """Bring the fields that live in the mark up to date."""
        with told(self.site, desired.name, "write the ownership mark"):
            written = marks.read(xml.parse(domain.XMLDesc(0)))
            if written is None:
                raise Conflict(
                    "its ownership mark is gone", site=self.site, vm=desired.name, todo="Find out who took it"
                )
            fields = {**written.fields, **build.mark_fields(desired)}
            # Where a disk lies is what the mark says of it since it was made: none is moved.
            lies = {disk.get("name"): disk.get("pool") for disk in written.fields.get("disks") or ()}
            for disk in fields.get("disks") or ():
                if disk.get("name") in lies:
                    disk.pop("pool", None)
                    disk |= {"pool": pool} if (pool := lies[disk["name"]]) else {}
            if fields != written.fields:
                build.write_mark(domain, replace(written, fields=fields))

    def _forward(self, domain: Any, desired: VM | None) -> None:
        """See to the forwarded ports of a running domain and keep in its mark which they are."""
        with told(self.site, domain.name(), "read the VM"):
            written = marks.read(xml.parse(domain.XMLDesc(0)))
        if written is None or self.type == "test":
            return
        nics = (desired["nics"] if desired else None) or written.fields.get("nics") or []
        if not any(nic.get("forwards") for nic in nics):
            return
        known = build.known_ports(written)
        with self._ports:
            running = forwards.present(domain, self.site)
            ports = forwards.choose(nics, known, self.site, domain.name(), running)
            forwards.ensure(domain, self.site, ports)
        if ports != known:
            fields = {**written.fields, "ports": ports}
            with told(self.site, domain.name(), "write the ownership mark"):
                build.write_mark(domain, replace(written, fields=fields))

    def delete(self, vm: VM, progress: Progress = silent) -> None:
        domain = self.owned(vm, "delete the VM")
        progress(f"{vm.name}: deleting the VM and its own disks")
        build.demolish(self, domain)

    # Power and readiness

    def power(self, vm: VM, state: str, progress: Progress = silent, timeout: float = 180, force: bool = False) -> VM:
        domain = self.owned(vm, f"switch the VM {state}")
        with told(self.site, vm.name, f"switch the VM {state}"):
            active = bool(domain.isActive())
            if state == "on" and not active:
                self._start(domain)
            elif state == "on" and domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
                domain.resume()
            elif state == "off" and active:
                self._stop(domain, progress, timeout, force)
        return self.reread(domain)

    def _start(self, domain: Any) -> None:
        root = xml.parse(domain.XMLDesc(0))
        written = marks.read(root)
        twin = root.find(f"{{{xml.QEMU_NS}}}commandline") is not None
        if twin and not xml.is_isolated(domain.XMLDesc(0)):
            raise Conflict(
                "the twin has a NIC that is not isolated; it was not started",
                site=self.site,
                vm=domain.name(),
                todo="Delete it; the drill makes a new one",
            )
        if written is not None and not twin and self.type != "test":  # a taken port must fail before the start
            forwards.choose(
                list(written.fields.get("nics") or []), build.known_ports(written), self.site, domain.name()
            )
        domain.create()
        if not twin:
            try:
                self._forward(domain, None)
            except Exception:
                domain.destroy()  # it has not booted yet: without its ports nobody could reach it
                raise

    def _stop(self, domain: Any, progress: Progress, timeout: float, force: bool) -> None:
        name = domain.name()
        if not force and listing.power_of(domain) == "paused":
            raise still_paused(self.site, name)
        if force or self.type == "test":
            with contextlib.suppress(libvirt.libvirtError):
                domain.destroy()
            return
        end, ask = time.monotonic() + timeout, 0.0
        while domain.isActive():
            now = time.monotonic()
            if now > end:
                raise StillOn(
                    f"the guest did not shut down within {timeout:.0f} s; it was left running",
                    site=self.site,
                    vm=name,
                    todo=f"Look into the guest, {ALLOW_FORCE}",
                )
            if now >= ask:  # a guest that is still booting ignores the button; one that shuts down ignores a second
                ask = now + _BUTTON
                try:
                    domain.shutdown()
                except libvirt.libvirtError as error:
                    if not code_is(error, "VIR_ERR_OPERATION_INVALID"):
                        raise
                progress(f"{name}: shutting down")
            time.sleep(0.3)

    def wait_ready(self, vm: VM, progress: Progress = silent, stall: float = 120, timeout: float = 900) -> VM:
        self.needs(Capability.CONSOLE, vm)
        domain = self.domain(vm)
        agent = guest.Agent(domain, self.site)

        def ready() -> bool:
            if not agent.answers():
                return False
            try:
                state = agent.execute(["systemctl", "is-system-running"], timeout=20).output.strip()
            except Exception:
                return False  # the agent came up and went again: the guest is still starting
            return state in ("running", "degraded")

        guest.wait_for_boot(self.connection, domain, self.site, ready, progress, stall, timeout)
        self._ready(domain, True)
        return self.reread(domain)

    def endpoint(self, vm: VM, port: int) -> tuple[str, int]:
        found = self.reread(self.domain(vm))
        text = found.state.get("endpoints", {}).get(port)
        if text:
            host, _sep, mapped = text.rpartition(":")
            return host, int(mapped)
        address = found.state.get("address")
        if address and not found.state.get("endpoints"):
            return address, port
        raise NotFound(
            f"nothing leads to its port {port}",
            site=self.site,
            vm=vm.name,
            todo=f"Add a forward for port {port} to its NIC in the fleet file",
        )

    def execute(self, vm: VM, argv: Sequence[str], timeout: float = 60) -> Executed:
        self.needs(Capability.GUEST_EXEC, vm)
        return guest.Agent(self.domain(vm), self.site).execute(argv, timeout)

    # Points in time

    def snapshots(self, vm: VM) -> Sequence[Snapshot]:
        return snapshots.every(self.domain(vm), self.site)

    def take_snapshot(
        self, vm: VM, operation: str, description: str = "", hold: bool = False, progress: Progress = silent
    ) -> Snapshot:
        return snapshots.take(self.owned(vm, "take a snapshot"), self.site, operation, description, hold)

    def delete_snapshot(self, vm: VM, snapshot: Snapshot, progress: Progress = silent) -> None:
        snapshots.delete(self.owned(vm, "delete a snapshot"), self.site, snapshot)

    def revert_snapshot(self, vm: VM, snapshot: Snapshot, progress: Progress = silent) -> VM:
        domain = self.owned(vm, "revert to a snapshot")
        snapshots.revert(domain, self.site, snapshot, progress)
        if domain.isActive():
            self._forward(domain, None)
            guest.set_clock(domain, progress)
        return self.reread(domain)

    def clone(self, vm: VM, desired: VM, mark: Mark, progress: Progress = silent) -> VM:
        self.needs(Capability.CLONE, vm)
        return backup.clone(self, vm, desired, mark, progress)

    def backup(
        self, vm: VM, directory: Path, restore_point: str, parent: str | None, progress: Progress = silent
    ) -> Backup:
        self.needs(Capability.BACKUP, vm)
        return backup.take(self, self.owned(vm, "take a backup"), directory, restore_point, parent, progress)
