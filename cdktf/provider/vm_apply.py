"""The apply of one ``muster_vm``, by ``operations.converge``, which reads back what it did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from muster.model.errors import ModelError
from muster.model.vm import VM
from tf.iface import CreateContext, DeleteContext, State, UpdateContext
from tf.types import Unknown
from tf.utils import Diagnostics

from . import words
from .asking import told
from .sites import SiteSession
from .vm_request import VmRequest

if TYPE_CHECKING:
    from muster.drivers.driver import Progress
    from muster.operations.converge import Outcome


class VmApplying(VmRequest):
    """How a VM is made, changed and deleted."""

    def create(self, ctx: CreateContext, planned: State) -> State | None:
        """Make the VM. One that bears its mark already is the one that a lost answer left: it is adopted."""
        done = self._converge(ctx.diagnostics, planned)
        if done is None or self.provider.sites is None:
            return None
        self.provider.sites.made.add(str(done["uuid"]))
        return done

    def update(self, ctx: UpdateContext, current: State, planned: State) -> State | None:
        """Change the VM of the state's UUID. After a failure the state stays: the next refresh reads what is."""
        return self._converge(ctx.diagnostics, planned, current) or current

    def _converge(self, diags: Diagnostics, planned: State, current: State | None = None) -> State | None:
        """The state after ``operations.converge`` of this one VM, which reads it back; None, with an error, if not.
        `current` is that of a VM that is changed."""
        from muster.drivers.driver import DriverError

        what = words.called(planned)
        self.validate(diags, "muster_vm", self.config)  # again, now that every value is known, before anything is made
        desired = None if diags.has_errors() else self.desired(planned)
        if desired is None:
            return None
        try:
            done = self.operation("update" if current else "create", planned, planned["name"],
                                  lambda progress: self._made(desired, current, progress))
        except (DriverError, ModelError) as error:
            self.session(desired.site).forget()
            self.refuse(diags, f"Unable to make {what} as asked", str(error))
            return None
        told(diags, done.notes)
        seen = {"id": done.uuid, "uuid": done.uuid, "address": done.address or None}
        return {key: seen.get(key) if value is Unknown else value for key, value in planned.items()}

    def _made(self, desired: VM, current: State | None, progress: Progress) -> Outcome:
        """What `converge` did. Raises ModelError with all that it refused, or that failed."""
        from muster.operations.converge import Allowed, converge

        session, settings = self.session(desired.site), self.settings
        if current:  # what is changed is what is there now, not what the refresh saw
            there = session.now(current["uuid"])
            if there is None or not self.bears(there, current["name"]):
                raise ModelError(words.NOT_AS_PLANNED)
        else:
            session.vms()
        progress(f"{words.of(desired)}: {'changing' if current else 'making'} it")
        done = converge(settings.fleet_of(desired), {desired.site: session.remembered(desired.name)},
                        allowed=Allowed(settings.allow_power_cycle, force=settings.allow_force), progress=progress)
        errors = [outcome.error for outcome in done if outcome.error]
        if errors:
            session.forget()
            raise ModelError(" ".join(errors if current else [*errors, *self._left(desired, session)]))
        return done[0]

    def _left(self, desired: VM, session: SiteSession) -> list[str]:
        """What to do with the VM that a making which failed has left, if it left one. Terraform is not told of it: it
        would make anew what it is told of with an error."""
        from muster.drivers.driver import DriverError

        try:
            there = [vm for vm in session.about(desired.name) if self.bears(vm, desired.name)]
        except DriverError:
            return []  # the error that there is says it
        return [words.LEFT.format(desired.site, desired.name)] if there else []

    def delete(self, ctx: DeleteContext, current: State) -> State | None:
        """Delete the VM of the state's UUID; what is not ours, or protected, stays, and the state with it."""
        from muster.drivers.driver import DriverError

        diags, what = ctx.diagnostics, f"Unable to delete {words.called(current)}"
        if self.provider.sites is not None and current["uuid"] in self.provider.sites.made:
            diags.add_error(what, words.MADE_JUST_NOW.format("VM"))
            return current
        try:
            self.operation("delete", current, current["name"], lambda progress: self._removed(current, progress))
        except (DriverError, ModelError) as error:
            self.session(current["site"]).forget()
            diags.add_error(what, str(error))
            return current
        return None

    def _removed(self, current: State, progress: Progress) -> None:
        """Delete the VM, and read that it is gone."""
        from muster.drivers.driver import NotFound
        from muster.operations.converge import remove

        session, settings = self.session(current["site"]), self.settings
        there = session.now(current["uuid"])
        if there is None:
            return
        if not self.bears(there, current["name"]):
            raise ModelError(words.NOT_OURS)
        progress(f"{words.called(current)}: deleting it")
        vm = settings.wanted(current["name"], current["site"], {})
        [done] = remove(settings.fleet_of(vm), {vm.site: session.remembered(vm.name)}, progress=progress)
        if done.error:
            raise ModelError(done.error)
        try:
            session.driver.again(there)
        except NotFound:
            session.drop(str(there.uuid))
        else:
            raise ModelError("The site says that it deleted it and lists it still. Apply again.")
