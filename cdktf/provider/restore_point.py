"""The resource ``muster_restore_point``: a backup that was taken once, kept and counted by the VM's own retention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from muster.model.errors import ModelError, nearest, show
from muster.model.units import format_time
from muster.model.vm import VM
from tf.iface import CreateContext, DeleteContext, ReadContext, State, UpdateContext
from tf.schema import Schema
from tf.types import Unknown
from tf.utils import Diagnostics

from . import schema_kept, timeouts, words
from .of_vm import OfVm
from .sites import SiteSession

if TYPE_CHECKING:
    from muster.drivers.driver import Progress
    from muster.operations.repository import Repository, RestorePoint

KINDS = ("auto", "full", "incremental")


class RestorePointResource(OfVm):
    """A request about one restore point. The repository knows it by its name until Terraform lets it go."""

    what = "restore point"
    operations = timeouts.OF_RESTORE_POINT
    observed = ("id", "created", "taken", "bytes", "consistency")

    @classmethod
    def get_name(cls) -> str:
        return "restore_point"

    @classmethod
    def get_schema(cls) -> Schema:
        return schema_kept.restore_point()

    def check(self, config: Mapping[str, Any], problems: list[ModelError]) -> None:
        kind = config.get("kind")
        if kind is not None and kind is not Unknown and kind not in KINDS:
            problems.append(ModelError(f"{show(kind)} is no kind of a backup; {nearest(kind, KINDS)}", ("kind",)))

    def possible(self, vm: VM, session: SiteSession) -> None:
        from muster.drivers.driver import Capability

        self._repository(vm.site, vm.owner.vm)
        if Capability.ARCHIVE not in session.driver.capabilities:
            session.driver.needs(Capability.BACKUP, vm)

    def create(self, ctx: CreateContext, planned: State) -> State | None:
        """Take it. One that bears its name already is the one that a lost answer left: it is adopted."""
        from muster.drivers.driver import DriverError

        try:
            point = self.alone(planned, "create", lambda progress: self._taken(planned, progress))
        except (DriverError, ModelError) as error:
            ctx.diagnostics.add_error(f"Unable to take the {self.called(planned)}", str(error))
            return None
        self.made(planned)
        return {**planned, **_seen(point)}

    def _taken(self, planned: State, progress: Progress) -> RestorePoint:
        """The restore point, as the repository has it. Raises ModelError, and the contract's errors."""
        from muster.operations.backup import backup

        there = self.vm_of(planned)
        # Its own protection: retention is what the VM says, whoever asks.
        vm = self.settings.wanted(planned["vm"], planned["site"], there.spec)
        session = self.session(planned["site"])
        [done] = backup(self.settings.fleet_of(vm), {vm.site: session.remembered(vm.name)},
                        kind=planned["kind"] or "auto", progress=progress, name=planned["name"])
        if done.error:
            raise ModelError(done.error)
        point = self._point(self._repository(vm.site, planned["vm"]), vm, done.restore_point)
        if point is None:
            raise ModelError(f"{done.restore_point} was taken and is not in the repository. Apply again")
        return point

    def compared(self, state: State, prior: State) -> list[str]:
        """What was taken stays, however it is asked for now. One without a name may be given one."""
        if prior["kind"] is not None:
            state["kind"] = prior["kind"]
        replace = super().compared(state, prior)
        if replace != ["name"] or prior["name"] != prior["id"]:
            return replace
        if state["name"] is not Unknown:
            self._free(state)
        return []

    def update(self, ctx: UpdateContext, current: State, planned: State) -> State | None:
        """Give one that has none its name; a time-out is the state's alone."""
        from muster.operations import named

        if planned["name"] == current["name"]:
            return planned
        try:
            repository, vm = self._free(planned)
            named.give(repository, vm, planned["name"], planned["id"])
        except (ModelError, OSError) as error:
            ctx.diagnostics.add_error(f"Unable to give a name to the {self.called(planned)}", str(error))
            return current
        return planned

    def _free(self, state: State) -> tuple[Repository, VM]:
        """The repository, and the VM as it knows it. Raises ModelError where another restore point has the name."""
        from muster.operations import named

        vm = self.settings.wanted(state["vm"], state["site"], {})
        repository = self._repository(vm.site, vm.name)
        if named.of(repository, vm, state["name"]) not in (None, state["id"]):
            raise ModelError(words.OTHER_RESTORE_POINT.format(state["name"], state["id"]))
        return repository, vm

    def read(self, ctx: ReadContext, current: State) -> State | None:
        """The restore point as the repository has it. It is gone where others are there: retention removed it."""
        what = f"Unable to read the {self.called(current)}"
        try:
            vm = self.settings.wanted(current["vm"], current["site"], {})
            repository = self._repository(vm.site, current["vm"])
            point = self._point(repository, vm, current["id"])
            if point is None and not repository.points(vm)[0]:
                raise ModelError(words.NO_RESTORE_POINT_AT_ALL.format(repository.root, current["vm"]))
        except ModelError as error:
            ctx.diagnostics.add_error(what, str(error))
            return current
        return None if point is None else {**current, **_seen(point)}

    def plan_delete(self, diags: Diagnostics, prior: State) -> None:
        diags.add_warning(f"The {self.called(prior)} stays", words.RESTORE_POINT_STAYS)

    def delete(self, ctx: DeleteContext, current: State) -> State | None:
        """Let it go: it stays in the repository, and retention removes it in its time."""
        from muster.operations import named

        if self.made_just_now(ctx.diagnostics, current):
            return current
        try:
            vm = self.settings.wanted(current["vm"], current["site"], {})
            named.release(self._repository(vm.site, current["vm"]), vm, [current["id"]])
        except (ModelError, OSError) as error:
            ctx.diagnostics.add_error(f"Unable to let go of the {self.called(current)}", str(error))
            return current
        return None

    def found(self, state: State) -> State:
        """The restore point of that name, which may be its id."""
        from muster.operations import named

        vm = self.settings.wanted(state["vm"], state["site"], {})
        repository = self._repository(vm.site, vm.name)
        point = self._point(repository, vm, named.of(repository, vm, state["name"]) or state["name"])
        if point is None:
            raise ModelError(f"{repository.root} has no restore point of that name or id of VM '{vm.name}'")
        names = [name for name, id_ in named.every(repository, vm).items() if id_ == point.id]
        return {**state, "name": names[0] if names else point.id, "kind": point.kind, **_seen(point)}

    def _repository(self, site: str, name: str) -> Repository:
        """The repository of a site. Raises ModelError where there is none."""
        from muster.drivers.driver import DriverError
        from muster.operations.backup import repository_of

        vm = self.settings.wanted(name, site, {})
        try:
            return repository_of(self.settings.fleet_of(vm), vm)
        except DriverError as error:
            raise ModelError(str(error)) from error

    def _point(self, repository: Repository, vm: VM, id_: str) -> RestorePoint | None:
        """The restore point of this id; None where it is not there. Raises ModelError where it cannot be read."""
        points, damaged = repository.points(vm)
        for point in points:
            if point.id == id_:
                return point
        for sentence in damaged:
            if id_ in sentence:
                raise ModelError(f"{sentence}. The state was left as it is")
        return None


def _seen(point: RestorePoint) -> State:
    return {"id": point.id, "created": format_time(point.created), "taken": point.kind, "bytes": point.bytes,
            "consistency": point.consistency}
