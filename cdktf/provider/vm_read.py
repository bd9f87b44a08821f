"""Reading one ``muster_vm``: the refresh of its state, and its import."""

from __future__ import annotations

from muster.model.errors import ModelError
from tf.iface import ImportContext, ReadContext, State

from . import shown, timeouts, values, words
from .vm_request import VmRequest


class VmReading(VmRequest):
    """How a VM is found again."""

    def read(self, ctx: ReadContext, current: State) -> State | None:
        """The state as the site has it. Only an answer that proves the VM's absence removes it."""
        from muster.drivers.driver import DriverError

        diags, what = ctx.diagnostics, f"Unable to read {words.called(current)}"
        try:
            there = self.session(current["site"]).find(current["uuid"])
        except (DriverError, ModelError) as error:
            diags.add_error(what, str(error))
            return current
        if there is None:
            return None
        if not self.bears(there, current["name"]):
            diags.add_error(what, words.NOT_OURS)
            return current
        if there.name != there.owner.vm:
            diags.add_warning(f"{words.called(current)} is called '{there.name}' at the site", words.RENAMED)
        return {**current, **values.refreshed(current, shown.actual(there)), **shown.seen(there)}

    def import_(self, ctx: ImportContext, id: str) -> State | None:  # noqa: A002 - the framework's name
        """The state of the VM that ``SITE/NAME``, ``SITE/UUID`` or, with one site, ``NAME`` means."""
        from muster.drivers.driver import DriverError

        diags = ctx.diagnostics
        site, _slash, name = id.rpartition("/")
        try:
            settings = self.settings
            session = self.session(settings.site(site or None).name)
            found = [vm for vm in session.vms()
                     if name == vm.uuid or (vm.mark is not None and (vm.owner.fleet, vm.owner.vm)
                                            == (settings.fleet.name, name))]
        except (DriverError, ModelError) as error:
            diags.add_error(f"Unable to import '{id}'", str(error))
            return None
        if len(found) != 1 or found[0].mark is None or found[0].mark.fleet != settings.fleet.name:
            what = ("no VM there bears this fleet's mark for it" if not found else
                    "two VMs bear its mark: " + ", ".join(str(vm.uuid) for vm in found) if len(found) > 1 else
                    f"the VM {found[0].uuid} bears no mark of this fleet, and Muster changes nothing else")
            diags.add_error(f"Unable to import '{id}'", f"Site '{session.name}' answers: {what}. Write SITE/NAME or "
                            "SITE/UUID of a VM of the fleet.")
            return None
        there = found[0]
        return {"name": there.owner.vm, "site": there.site, **values.observed(shown.actual(there)), **shown.seen(there),
                timeouts.NAME: timeouts.unset(self.operations)}
