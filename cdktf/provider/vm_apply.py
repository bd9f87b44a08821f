"""The apply of one ``muster_vm``, by ``operations.converge``, which reads back what it did."""

from __future__ import annotations

from muster.model.errors import ModelError
from tf.iface import CreateContext, DeleteContext, State, UpdateContext
from tf.types import Unknown
from tf.utils import Diagnostics

from . import words
from .asking import told
from .vm_request import VmRequest


class VmApplying(VmRequest):
    """How a VM is made, changed and deleted."""

    def create(self, ctx: CreateContext, planned: State) -> State | None:
        """Make the VM. One that bears its mark already is the one that a lost answer left: it is adopted."""
        done = self._converge(ctx.diagnostics, planned, new=True)
        if done is None or self.provider.sites is None:
            return None
        self.provider.sites.made.add(str(done["uuid"]))
        return done

    def update(self, ctx: UpdateContext, current: State, planned: State) -> State | None:
        """Change the VM of the state's UUID. After a failure the state stays: the next refresh reads what is."""
        session = self.session(current["site"])
        there = session.find(current["uuid"])
        if there is None or not self.bears(there, current["name"]):
            ctx.diagnostics.add_error(f"Unable to change {words.called(current)}",
                                      "The VM is not as it was planned for. Nothing was changed: plan again.")
            return current
        return self._converge(ctx.diagnostics, planned) or current

    def _converge(self, diags: Diagnostics, planned: State, new: bool = False) -> State | None:
        """The state after ``operations.converge`` of this one VM, which reads it back; None, with an error, if not."""
        from muster.drivers.driver import DriverError
        from muster.operations.converge import Allowed, converge

        what = words.called(planned)
        self.validate(diags, "muster_vm", self.config)  # again, now that every value is known, before anything is made
        desired = None if diags.has_errors() else self.desired(planned)
        if desired is None:
            return None
        session, settings = self.session(desired.site), self.settings
        allowed = Allowed(power_cycle=settings.allow_power_cycle)
        try:
            if not new:
                session.forget()  # what is changed is what is there now, not what the refresh saw
            fleet, drivers = settings.fleet_of(desired), {desired.site: session.remembered(desired.name)}
            [done] = self.provider.patience.run(
                desired.site, desired.name, self.limit("create" if new else "update", planned),
                lambda progress: converge(fleet, drivers, allowed=allowed, progress=progress))
            error = done.error
        except (DriverError, ModelError) as failure:
            error = str(failure)
        if error:
            session.forget()
            diags.add_error(f"Unable to make {what} as asked", error)
            return None
        told(diags, done.notes)
        seen = {"id": done.uuid, "uuid": done.uuid, "address": done.address or None}
        return {key: seen.get(key) if value is Unknown else value for key, value in planned.items()}

    def delete(self, ctx: DeleteContext, current: State) -> State | None:
        """Delete the VM of the state's UUID; what is not ours, or protected, stays, and the state with it."""
        from muster.drivers.driver import DriverError
        from muster.operations.converge import remove

        diags, what = ctx.diagnostics, f"Unable to delete {words.called(current)}"
        session, settings = self.session(current["site"]), self.settings
        if self.provider.sites is not None and current["uuid"] in self.provider.sites.made:
            diags.add_error(what, words.MADE_JUST_NOW.format("VM"))
            return current
        try:
            session.forget()
            there = session.find(current["uuid"])
            if there is None:
                return None
            if not self.bears(there, current["name"]):
                diags.add_error(what, words.NOT_OURS)
                return current
            vm = settings.wanted(current["name"], current["site"], {})
            [done] = self.provider.patience.run(
                vm.site, vm.name, self.limit("delete", current),
                lambda progress: remove(settings.fleet_of(vm), {vm.site: session.driver}, progress=progress))
            error = done.error
            session.forget()
            if not error and session.find(current["uuid"]) is not None:
                error = "The site says that it deleted it and lists it still. Apply again."
        except (DriverError, ModelError) as failure:
            error = str(failure)
        if error:
            diags.add_error(what, error)
            return current
        return None
