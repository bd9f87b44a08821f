"""The resource ``muster_vm_snapshot``: a snapshot with a name, which the module ``vm_snapshot`` knows as its id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from muster.model.errors import ModelError
from muster.model.units import format_time
from muster.model.vm import VM
from tf.iface import CreateContext, DeleteContext, ReadContext, State, UpdateContext
from tf.schema import Schema

from . import schema_kept, timeouts, words
from .of_vm import OfVm
from .sites import SiteSession

if TYPE_CHECKING:
    from muster.drivers.driver import Progress, Snapshot


class SnapshotResource(OfVm):
    """A request about one snapshot. Its operation's id is its name."""

    what = "snapshot"
    operations = timeouts.OF_SNAPSHOT
    observed = ("id", "created")
    defaults = {"description": "", "hold": True}  # noqa: RUF012
    replaces = ("vm", "site", "name", "description", "hold")

    @classmethod
    def get_name(cls) -> str:
        return "vm_snapshot"

    @classmethod
    def get_schema(cls) -> Schema:
        return schema_kept.snapshot()

    def possible(self, vm: VM, session: SiteSession) -> None:
        from muster.drivers.driver import Capability

        session.driver.needs(Capability.SNAPSHOT, vm)

    def create(self, ctx: CreateContext, planned: State) -> State | None:
        """Take it. One that bears its name already is the one that a lost answer left: it is adopted."""
        from muster.drivers.driver import DriverError

        try:
            made = self.alone(planned, "create", lambda progress: self._taken(planned, progress))
        except (DriverError, ModelError) as error:
            ctx.diagnostics.add_error(f"Unable to take the {self.called(planned)}", str(error))
            return None
        self.made(planned)
        return {**planned, **_seen(made)}

    def _taken(self, planned: State, progress: Progress) -> Snapshot:
        """The snapshot, as the site lists it after it was taken. Raises ModelError, and the contract's errors."""
        from muster.operations import snapshot

        vm = self.vm_of(planned)
        session = self.session(planned["site"])
        for there in _named(session.driver.snapshots(vm), planned["name"]):
            if (there.description, there.hold) != (planned["description"], planned["hold"]):
                raise ModelError(words.OTHER_SNAPSHOT.format(there.description, there.hold))
        fleet = self.settings.fleet_of(self.settings.wanted(planned["vm"], planned["site"], vm.spec))
        [done] = snapshot.take(
            fleet, {vm.site: session.remembered(vm.owner.vm)}, description=planned["description"],
            hold=planned["hold"], operation=planned["name"], progress=progress)
        if done.error:
            raise ModelError(done.error)
        made = _named(done.snapshots, planned["name"])
        if not made:
            raise ModelError("the site says that it was taken and does not list it. Apply again")
        return made[0]

    def update(self, ctx: UpdateContext, current: State, planned: State) -> State | None:
        """Every change takes another snapshot, so only a time-out is another one."""
        return planned

    def read(self, ctx: ReadContext, current: State) -> State | None:
        """The snapshot as the site has it. It is gone where its VM answers without it, or is proven to be gone."""
        from muster.drivers.driver import DriverError

        what = f"Unable to read the {self.called(current)}"
        try:
            session = self.session(current["site"])
            there = self.marked(session, current["vm"])
            if not there:
                session.prove()
            found = _named(session.snapshots(self.vm_of(current)), current["name"]) if there else []
        except (DriverError, ModelError) as error:
            ctx.diagnostics.add_error(what, str(error))
            return current
        if not found:
            return None
        return {**current, "description": found[0].description, "hold": found[0].hold, **_seen(found[0])}

    def delete(self, ctx: DeleteContext, current: State) -> State | None:
        """Delete it; those taken after it stay."""
        from muster.drivers.driver import DriverError

        if self.made_just_now(ctx.diagnostics, current):
            return current
        try:
            self.alone(current, "delete", lambda progress: self._removed(current, progress))
        except (DriverError, ModelError) as error:
            ctx.diagnostics.add_error(f"Unable to delete the {self.called(current)}", str(error))
            return current
        return None

    def _removed(self, current: State, progress: Progress) -> None:
        """Delete it, and read that it is gone. Raises ModelError, and the contract's errors."""
        from muster.operations import snapshot

        session = self.session(current["site"])
        if not self.marked(session, current["vm"]):
            session.prove()
            return
        vm = session.now(str(self.vm_of(current).uuid))
        if vm is None:
            return
        fleet = self.settings.fleet_of(self.settings.wanted(current["vm"], current["site"], vm.spec))
        [done] = snapshot.remove(fleet, {vm.site: session.remembered(current["vm"])}, (), current["name"],
                                 progress=progress)
        if done.error:
            raise ModelError(done.error)
        if _named(done.snapshots, current["name"]):
            raise ModelError("the site says that it deleted it and lists it still. Apply again")

    def found(self, state: State) -> State:
        """The snapshot whose name is the id that ``vm_snapshot`` was given."""
        vm = self.vm_of(state)
        there = _named(self.session(state["site"]).driver.snapshots(vm), state["name"])
        if not there:
            raise ModelError(f"VM '{state['vm']}' at site '{vm.site}' has no snapshot of Muster by that name")
        return {**state, "description": there[0].description, "hold": there[0].hold, **_seen(there[0])}


def _named(snapshots: Any, name: str) -> list[Snapshot]:
    """Muster's snapshot of this name: one, or none."""
    return [snapshot for snapshot in snapshots if snapshot.operation == name][:1]


def _seen(there: Snapshot) -> State:
    return {"id": there.id, "created": format_time(there.created)}
