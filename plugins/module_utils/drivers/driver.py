"""The driver contract: what a platform must answer, in VMs, and the errors in which it may fail.

A driver is one connection to one site. It takes and gives `model.VM`, never an object of its SDK, and raises the
errors of this file, never its SDK's. What it lacks it does not declare in `capabilities`; asked for it all the same it
raises `Unsupported` before anything changes. A read that fails is an error: only a proven not-found is `NotFound`.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ..model.fleet import Site
from ..model.planner import Change
from ..model.vm import VM, Mark

if TYPE_CHECKING:
    from ..model.fleet_planner import VMPlan

Progress = Callable[[str], None]


def silent(_message: str) -> None:
    """The progress of a caller that does not want to hear any."""


class DriverError(Exception):
    """A failure at one site, perhaps of one VM.

    `what` says what happened and what was left as it was, `todo` what to do now; str() is the whole sentence.
    """

    def __init__(self, what: str, *, site: str, vm: str | None = None, todo: str = "") -> None:
        self.what, self.site, self.vm, self.todo = what, site, vm, todo
        where = f"VM '{vm}' at site '{site}'" if vm else f"Site '{site}'"
        text = f"{where}: {what.rstrip('.')}."
        super().__init__(_harmless(f"{text} {todo.rstrip('.')}." if todo else text))


def _harmless(text: str) -> str:
    """`text` as a terminal may show it: a platform's words and the names of others' VMs may hold escape codes."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else " " if one.isspace() else ascii(one)[1:-1] for one in text)


class NotFound(DriverError):
    """The platform answered, and the thing is proven not to be there."""


class Ambiguous(DriverError):
    """Two things bear the name; the error lists both."""


class Conflict(DriverError):
    """Something that is not ours, or not as planned, stands in the way. Nothing was changed."""


class Locked(DriverError):
    """The platform, or another operation, holds the VM."""


class Unreachable(DriverError):
    """The site, or a guest, does not answer: nothing is known, least of all that something is absent."""


class Unknown(Unreachable):
    """The site was told to do something and does not answer: it may do it still, or have done it. What it may be making
    is left alone."""


class Denied(DriverError):
    """The site refuses the credentials or the right."""


class Unsupported(DriverError):
    """The platform, or this driver, cannot do what is asked. Nothing was changed."""


class Failed(DriverError):
    """The platform tried and failed; the sentence says with its words what is left."""


class StillOn(Failed):
    """The guest cannot be asked to shut down, or does not in time. The VM was left on; force would cut its power."""


ALLOW_FORCE = "or let its power be cut with allow_force"  # what to do about a guest that stays on


def still_paused(site: str, vm: str, cycle: str = "") -> StillOn:
    """The error of a paused VM that would have to go off, for changes of the fields `cycle` where these are why."""
    what = f"a change of {cycle} switches it off" if cycle else "it would have to go off"
    return StillOn(
        f"it is paused and {what}: its guest cannot be asked to shut down, and what its memory holds would be lost; it "
        "was left as it is",
        site=site,
        vm=vm,
        todo="Let it go on, then run again" if cycle else f"Let it go on, then run again, {ALLOW_FORCE}",
    )


class Capability(enum.StrEnum):
    """What a driver can do beyond listing, creating and deleting."""

    POWER = "power"
    CHANGE = "change"
    SNAPSHOT = "snapshot"
    REVERT = "revert"
    CLONE = "clone"
    BACKUP = "backup"
    INCREMENTAL = "incremental"
    RESTORE = "restore"
    ISOLATE = "isolate"  # a restored twin that reaches nothing outside
    ARCHIVE = "archive"  # backups that the platform keeps in a storage of its own, and restores from
    IMAGE = "image"  # create from the content of an image
    TEMPLATE = "template"  # create as a copy of a template that the site keeps
    CONSOLE = "console"  # boot progress can be followed
    GUEST_EXEC = "guest_exec"  # run a program in the guest without its network
    ADOPT = "adopt"  # put the ownership mark on a VM that somebody else made
    SURVEY = "survey"  # what the hosts and storage pools have, and which disks no VM uses


@dataclass(frozen=True)
class Image:
    """An image on the controller: a qcow2 file that stands alone, with the SHA-256 that it was checked against."""

    name: str
    path: Path
    sha256: str


@dataclass(frozen=True)
class Template:
    """An image that the site itself keeps as a template: `source` is its name or number there."""

    name: str
    source: str


@dataclass(frozen=True)
class Snapshot:
    """A point in time kept beside the VM's own disks. `id` is the platform's; `created` is epoch seconds (UTC); `size`
    the bytes of what was written since and of its memory, None where the platform does not tell."""

    id: str
    created: int
    operation: str
    description: str = ""
    parent: str | None = None
    hold: bool = False
    size: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class BackupDisk:
    """One disk's part of a backup: `path` is a qcow2 file on the controller that stands alone (full), or holds only
    what changed since its parent (incremental)."""

    name: str
    path: Path
    virtual_size: int  # bytes
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Backup:
    """What `Driver.backup` brought home. `kind` is ``full`` or ``incremental``; `why` says why a full was taken where
    an incremental was asked for. `platform` is what no field of a VM says and its restore needs, text by name."""

    kind: str
    created: float  # epoch seconds (UTC) of the point in time that the disks show
    disks: tuple[BackupDisk, ...]
    consistency: str  # ``filesystem`` (frozen by the guest agent), ``crash`` or ``offline``
    why: str = ""
    platform: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Archive:
    """A backup that the platform keeps whole, configuration and disks, because it hands no disks out.

    `id` is the platform's name of it; `created` epoch seconds (UTC); `restore_point` what `Driver.archive` was asked
    to call it, empty for one that is not Muster's.
    """

    id: str
    created: float
    restore_point: str
    bytes: int
    consistency: str  # as `Backup`'s


@dataclass(frozen=True)
class Executed:
    """A program that ran in a guest: exit code and output, cut at a bound, both untrusted."""

    code: int
    output: str


@dataclass(frozen=True)
class HostCapacity:
    """What one host has: CPUs that it can run at once, and memory in bytes; 0 where nobody tells."""

    name: str
    cpus: int
    memory: int


@dataclass(frozen=True)
class PoolCapacity:
    """One storage pool: bytes in all and left, and `promised`, the virtual sizes of the VMs' disks in it. `shared` is
    whether several hosts reach it, None where nobody tells."""

    name: str
    size: int
    free: int
    promised: int
    shared: bool | None = None


@dataclass(frozen=True)
class Together:
    """Hosts that stand in for each other, such as a cluster: how many there are, and whether high availability starts
    VMs of one that fails on another; None where nobody tells."""

    name: str
    hosts: int
    ha: bool | None = None


@dataclass(frozen=True)
class LooseDisk:
    """A disk in a storage pool that no VM uses, bytes of its virtual size."""

    name: str
    pool: str
    size: int


@dataclass(frozen=True)
class Survey:
    """What a site has beside its VMs. `placed` is the host of each VM by UUID. `loose` is None where a pool could not
    be read: then nobody can say which disks are used. `backups` are those that the platform keeps itself, whoever took
    them, by the UUID of their VM, oldest first; None where it keeps none, or where one could not be read. `notes` are
    sentences on what was not seen, and why."""

    hosts: tuple[HostCapacity, ...]
    pools: tuple[PoolCapacity, ...]
    placed: Mapping[str, str]
    loose: tuple[LooseDisk, ...] | None
    backups: Mapping[str, tuple[Archive, ...]] | None = None
    notes: tuple[str, ...] = ()
    clusters: tuple[Together, ...] = ()


Snapshots = list[Snapshot]  # inside the class, `list` is the method


class Driver(ABC):
    """One connection to one site. Instances may be used from several threads.

    `capabilities` of the class are all that the platform can do; a connection may have fewer. They are named one by
    one: what the contract gains later is not claimed by accident.

    A VM that a driver returns holds in `spec` every field of the table that the platform reports or the mark keeps, and
    in `state`:

    power
        ``on``, ``off``, ``paused``, ``crashed`` or ``unknown``. Always there.
    built
        False from the first moment of a making until its disks are complete. Always there; True for VMs of others.
    ready, seed
        As `ownership.Written` has them. There for VMs with a mark.
    address, addresses
        Where the guest is reached: an IP address, or ``127.0.0.1:PORT`` for its port 22; and all that are known.
    endpoints
        Port inside the guest → ``host:port``, where ports are forwarded.
    disks
        Name → what the driver itself needs to find the disk again.

    Beside these a driver may keep what it likes. To `create`, `restore` and their kin the operations hand, in the
    `state` of `desired`: `hostname` (the guest's name, where the VM's is another), `seed` (the identity that the guest
    of a restore point was first booted with) and `platform` (as `Backup` has it; whoever can write to the repository
    may have written it). The mark of a drill's twin is of the fleet ``<fleet>/drill``.
    """

    platform: ClassVar[str]
    options: ClassVar[frozenset[str]] = frozenset()  # of a site, beside those that all platforms have
    shutdown_within: ClassVar[float] = 180  # seconds, of a guest that is asked to
    capabilities: frozenset[Capability]

    def __init__(self, access: Site) -> None:
        self.access = access
        self.site = access.name

    @abstractmethod
    def close(self) -> None:
        """End the session. Calling it twice is fine."""

    @abstractmethod
    def list(self) -> list[VM]:
        """Every VM of the site, in one conversation. Raises Unreachable, Denied."""

    def overview(self) -> Sequence[VM]:
        """`list` for a report, which decides nothing: a VM that nobody can read now is told by its name alone, as one
        of others whose power is unknown, where `list` raises Unreachable."""
        return self.list()

    def get(self, name_or_uuid: str) -> VM:
        """The one VM of this UUID or name. Raises NotFound, and Ambiguous with both where two match."""
        return self.one(self.list(), name_or_uuid)

    def one(self, listed: Sequence[VM], name_or_uuid: str) -> VM:
        """`get`, among VMs that were listed."""
        found = [vm for vm in listed if name_or_uuid in (vm.uuid, vm.name)]
        if not found:
            raise NotFound(
                "there is no such VM",
                site=self.site,
                vm=name_or_uuid,
                todo="List the VMs of the site with muster.fleet.vm_info",
            )
        if len(found) > 1:
            raise Ambiguous(
                f"{len(found)} VMs bear this name: " + ", ".join(str(vm.uuid) for vm in found),
                site=self.site,
                vm=name_or_uuid,
                todo="Name the one that you mean by its UUID",
            )
        return found[0]

    def again(self, vm: VM) -> VM:
        """`vm` as it is now, read anew by its UUID. Raises NotFound."""
        return self.get(str(vm.uuid))

    @abstractmethod
    def check(self, desired: VM) -> None:
        """Raise Unsupported, naming the field, where this platform cannot honour `desired`, and Conflict where the site
        lacks what it needs (a pool, a network). Changes nothing."""

    def check_run(self, plans: Sequence[VMPlan]) -> None:  # noqa: B027 (a platform that cannot tell refuses nothing)
        """Raise the contract's error where the site lacks what these plans need together: Denied for a right of the
        account, with its name and that of the object, Conflict for room in a pool, with what is needed and free,
        NotFound for a template, with the nearest names. A disk counts with its whole size, where the platform does not
        promise more than there is, and one that grows with what it gains. Changes nothing."""

    @abstractmethod
    def refine(self, change: Change, actual: VM) -> str:
        """How this platform must do `change` to `actual`: live, power_cycle, replace or mark."""

    @abstractmethod
    def create(self, desired: VM, mark: Mark, image: Image | Template | None, progress: Progress = silent) -> VM:
        """Make the VM, powered off. A half-made one of an earlier try is carried on with, never doubled."""

    @abstractmethod
    def apply(
        self, desired: VM, actual: VM, todo: Sequence[Change], progress: Progress = silent, force: bool = False
    ) -> VM:
        """Do exactly the changes of `todo`; those by power cycle shut the guest down and start it again. The power is
        else left as it is, where `desired` does not name it. With `force` the power of a guest that does not shut down
        in time is cut."""

    def adopt(self, vm: VM, mark: Mark, owner: str | None = None) -> VM:
        """Put `mark` on a VM that bears none, or that of the fleet `owner`, and change nothing else of it. Conflict
        where it bears another one. Its disks stay nobody's: `delete` leaves them."""
        raise self.lacks(Capability.ADOPT, vm)

    @abstractmethod
    def delete(self, vm: VM, progress: Progress = silent) -> None:
        """Delete the VM with the disks that are its own; disks that Muster did not make are left."""

    def power(self, vm: VM, state: str, progress: Progress = silent, timeout: float = 180, force: bool = False) -> VM:
        """Bring the VM to ``on`` or ``off``. The guest is asked within `timeout` seconds, and StillOn raised where that
        does not help; `force` asks nobody and cuts the power at once."""
        raise self.lacks(Capability.POWER, vm)

    def switched_off(self, vm: VM, progress: Progress, force: bool) -> VM:
        """The VM, off. The guest is always asked first; what it then leaves on is cut with `force` alone."""
        try:
            return self.power(vm, "off", progress, self.shutdown_within)
        except StillOn:
            if not force:
                raise
        progress(f"{vm.name}: its guest does not shut down, so its power is cut, as was allowed")
        return self.power(vm, "off", progress, force=True)

    def settle_power(self, desired: VM, now: VM, restart: bool, progress: Progress, force: bool) -> VM:
        """The VM in the power that `desired` names, or on again where a change switched it off."""
        wanted = desired["power"] or ("on" if restart else now.power)
        if wanted == now.power:
            return now
        return self.switched_off(now, progress, force) if wanted == "off" else self.power(now, "on", progress)

    def refuse_paused(self, desired: VM, now: VM, cycle: Sequence[Change], force: bool) -> None:
        """Raise StillOn for a paused VM that would have to go off: its memory would be lost, and nobody can ask it."""
        if now.power == "paused" and (cycle or (desired["power"] == "off" and not force)):
            raise still_paused(self.site, now.name, ", ".join(change.field for change in cycle))

    def wait_ready(self, vm: VM, progress: Progress = silent, stall: float = 120, timeout: float = 900) -> VM:
        """Wait until the guest answers; fail when it makes no progress for `stall` seconds."""
        raise self.lacks(Capability.CONSOLE, vm)

    def endpoint(self, vm: VM, port: int) -> tuple[str, int]:
        """Address and port at which the guest's TCP port `port` is reached from the controller. Raises Unsupported for
        a VM without a NIC: nobody can ask it."""
        raise self.lacks(Capability.POWER, vm)

    def execute(self, vm: VM, argv: Sequence[str], timeout: float = 60) -> Executed:
        """Run a program in the guest, without a shell and without its network."""
        raise self.lacks(Capability.GUEST_EXEC, vm)

    def snapshots(self, vm: VM) -> Sequence[Snapshot]:
        """The VM's snapshots, oldest first."""
        raise self.lacks(Capability.SNAPSHOT, vm)

    def snapshots_of_all(self, vms: Sequence[VM]) -> Mapping[str, Sequence[Snapshot]] | None:
        """The snapshots of those of `vms` that are there, by UUID, as `snapshots` tells them; None where the platform
        must be asked VM by VM."""
        return None

    def take_snapshot(
        self, vm: VM, operation: str, description: str = "", hold: bool = False, progress: Progress = silent
    ) -> Snapshot:
        """Take a snapshot. One that bears `operation` already is that snapshot: it is returned, not doubled."""
        raise self.lacks(Capability.SNAPSHOT, vm)

    def delete_snapshot(self, vm: VM, snapshot: Snapshot, progress: Progress = silent) -> None:
        """Delete one snapshot; its children stay."""
        raise self.lacks(Capability.SNAPSHOT, vm)

    def revert_snapshot(self, vm: VM, snapshot: Snapshot, progress: Progress = silent) -> VM:
        """Bring the VM back to `snapshot`."""
        raise self.lacks(Capability.REVERT, vm)

    def clone(self, vm: VM, desired: VM, mark: Mark, progress: Progress = silent) -> VM:
        """Make `desired` as a copy of `vm` with an identity of its own."""
        raise self.lacks(Capability.CLONE, vm)

    def backup(
        self, vm: VM, directory: Path, restore_point: str, parent: str | None, progress: Progress = silent
    ) -> Backup:
        """Copy the disks at one point in time into `directory`; only what changed since the restore point `parent`
        where one is named and the platform still knows it, else all."""
        raise self.lacks(Capability.BACKUP, vm)

    def restore(
        self, desired: VM, mark: Mark, disks: Mapping[str, Path], isolated: bool = False, progress: Progress = silent
    ) -> VM:
        """Make the VM from `disks` (name → qcow2 file that stands alone), powered off. `isolated`: as a twin with a
        new identity whose NICs reach nothing; only `endpoint` reaches it."""
        raise self.lacks(Capability.RESTORE, desired)

    def archive(self, vm: VM, restore_point: str, progress: Progress = silent) -> Archive:
        """Back the VM up into the platform's own storage. One that is called `restore_point` already is returned."""
        raise self.lacks(Capability.ARCHIVE, vm)

    def archives(self, vm: VM) -> Sequence[Archive]:
        """The archives of a VM, oldest first; the VM itself may be gone."""
        raise self.lacks(Capability.ARCHIVE, vm)

    def delete_archive(self, vm: VM, archive: Archive) -> None:
        """Delete one archive of Muster's; deleting one that is gone is fine."""
        raise self.lacks(Capability.ARCHIVE, vm)

    def restore_archive(
        self, desired: VM, mark: Mark, archive: Archive, isolated: bool = False, progress: Progress = silent
    ) -> VM:
        """`restore`, from an archive."""
        raise self.lacks(Capability.ARCHIVE, desired)

    def survey(self, vms: Sequence[VM]) -> Survey:
        """What the hosts and the storage pools that Muster uses have; `vms` is what `list` just answered."""
        raise Unsupported(
            f"the platform '{self.platform}' cannot do '{Capability.SURVEY}'; nothing was changed",
            site=self.site,
            todo="See the capability matrix in docs/drivers",
        )

    def needs(self, capability: Capability, vm: VM) -> None:
        """Raise Unsupported where this platform does not declare `capability`."""
        if capability not in self.capabilities:
            raise self.lacks(capability, vm)

    def without_nic(self, vm: VM, port: int) -> Unsupported:
        """The error of `endpoint` for a VM that has no NIC."""
        return Unsupported(
            f"it has no NIC, so nobody can ask its port {port}",
            site=self.site,
            vm=vm.name,
            todo="Ask its services where it has a network; a twin of a drill never has one here",
        )

    def lacks(self, capability: Capability, vm: VM) -> Unsupported:
        """The error of a platform that cannot do `capability`."""
        return Unsupported(
            f"the platform '{self.platform}' cannot do '{capability}'; nothing was changed",
            site=self.site,
            vm=vm.name,
            todo="See the capability matrix in docs/drivers",
        )
