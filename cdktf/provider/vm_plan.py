"""The plan of one ``muster_vm``: the planner's word on it, and what would stop the apply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from muster.model.errors import ModelError
from muster.model.vm import VM
from tf.iface import State
from tf.types import Unknown
from tf.utils import Diagnostics

from . import timeouts, values, words
from .asking import Plan, told
from .settings import later
from .sites import SiteSession
from .vm_request import OBSERVED, VmRequest, protected, unfinished

if TYPE_CHECKING:
    from muster.model.planner import Change


class VmPlanning(VmRequest):
    """How Terraform's question for a plan is answered."""

    def plan_change(self, diags: Diagnostics, prior: State | None, config: dict[str, Any] | None) -> Plan:
        """What apply will make of `prior` (None: there is no VM yet) for `config` (None: it is destroyed)."""
        from muster.drivers.driver import DriverError

        try:
            if config is None:
                return self._plan_delete(diags, prior or {})
            if prior is None:
                return self._plan_create(diags, config)
            return self._plan_update(diags, prior, config)
        except (DriverError, ModelError) as error:
            self.refuse(diags, f"Unable to plan {words.called(config or prior or {})}", str(error))
            return Plan(prior)

    def _plan_delete(self, diags: Diagnostics, prior: State) -> Plan:
        there = self.session(prior["site"]).find(prior["uuid"])
        if there is not None and protected(there):
            diags.add_error(f"Unable to delete {words.called(prior)}", words.PROTECTED.format(words.called(prior)))
        elif there is not None:
            self._planned(diags, there, "deleted")
        return Plan(None)

    def _planned(self, diags: Diagnostics, there: VM, planned: str) -> None:
        """Refuse a plan that keeps a VM as one resource and deletes it as another: whichever apply does first, the VM
        is gone."""
        sites = self.provider.sites
        if sites is not None and sites.both(str(there.uuid), planned):
            name = words.called({"name": there.name, "site": there.site})
            just_now = str(there.uuid) in sites.made  # during an apply: create_before_destroy
            diags.add_error(f"Unable to keep and to delete {name}",
                            words.MADE_JUST_NOW.format("VM") if just_now else words.KEPT_AND_DELETED)

    def _plan_create(self, diags: Diagnostics, config: dict[str, Any]) -> Plan:
        state = {**config, **values.planned(config, None), **dict.fromkeys(OBSERVED, Unknown),
                 timeouts.NAME: timeouts.planned(config[timeouts.NAME], None, self.operations)}
        if config["site"] is None:
            state["site"] = self.settings.site(None).name
        desired = self.desired(state)
        if desired is not None:
            if not self.replacing:
                self._twice(diags, state)
            self._predicted(diags, self.session(desired.site), desired)
        return Plan(state)

    def _twice(self, diags: Diagnostics, state: State) -> None:
        """Refuse a second resource of one VM. Of a replacement only the first half says which it is."""
        sites = self.provider.sites
        if sites is not None and Unknown not in (state["name"], state["site"]) and \
                sites.twice(state["site"], state["name"]):
            diags.add_error(f"Two resources are {words.called(state)}", words.TWICE, path=["name"])

    def _predicted(self, diags: Diagnostics, session: SiteSession, desired: VM) -> None:
        """What would stop the making of a VM: a stranger of its name, an image that is missing…; or what is done to one
        that is there already and bears the mark, as it does where an answer was lost. It is there too where it is to be
        made anew: then the state has it."""
        from muster.operations.converge import converge
        from muster.operations.session import only

        sites, bearing = self.provider.sites, [vm for vm in session.about(desired.name) if self.bears(vm, desired.name)]
        for vm in bearing:
            self._planned(diags, vm, "kept")
        for vm in only(vm for vm in bearing if vm.state.get("built", True)):
            if sites is not None and vm.uuid in sites.in_state:
                self._made_anew(diags, desired, vm, session)
            else:
                self._taken_over(diags, desired, vm, session)
        if not bearing and not later(self.config):
            drivers = {session.name: session.remembered(desired.name)}
            for outcome in converge(self.settings.fleet_of(desired), drivers, check=True):
                if outcome.error:
                    self.refuse(diags, f"Unable to make {words.called(self.config)}", outcome.error)

    def _made_anew(self, diags: Diagnostics, desired: VM, there: VM, session: SiteSession) -> None:
        """What would stop the making of a VM that is deleted before: then neither is done."""
        from muster.model.fleet_planner import VMPlan
        from muster.model.planner import Change
        from muster.operations.needed import missing

        session.driver.check(desired)
        if not later(self.config):
            anew = Change((), dict(there.spec), dict(desired.spec), "replace")
            session.driver.check_run([VMPlan(desired, there, (anew,))])
        for sentence in missing(self.settings.fleet_of(desired), [desired], fetch=False).values():
            self.refuse(diags, f"Unable to make {words.of(desired)} anew", sentence)

    def _taken_over(self, diags: Diagnostics, desired: VM, there: VM, session: SiteSession) -> None:
        """Say what apply will do to a VM that is there and in no state; an error for what it would refuse."""
        from muster.model.planner import compare, describe

        called = words.of(desired)
        changes, notes = compare(desired, there, session.driver.refine)
        told(diags, notes)
        replaces = "; ".join(describe(change) for change in changes if change.how == "replace")
        if replaces:
            diags.add_error(f"Unable to take over {called}",
                            words.NOT_TAKEN_OVER.format(replaces, desired.site, desired.name))
        session.driver.check(desired)
        self._power_cycles(diags, changes, there)
        what = "; ".join(describe(change) for change in changes) or "nothing"
        finishes = ", finishes what an interrupted run began" if unfinished(desired, there) else ""
        diags.add_warning(f"{called} is there already",
                          words.TAKEN_OVER.format(finishes, what + " that is known yet" * later(self.config)))

    def _plan_update(self, diags: Diagnostics, prior: State, config: dict[str, Any]) -> Plan:
        state = {**prior, **config, **values.planned(config, prior), **{key: prior[key] for key in OBSERVED},
                 timeouts.NAME: timeouts.planned(config[timeouts.NAME], prior[timeouts.NAME], self.operations)}
        if config["site"] is None:
            state["site"] = prior["site"]
        self._twice(diags, state)
        session = self.session(prior["site"])
        there = session.find(prior["uuid"])
        if there is not None:
            self._planned(diags, there, "kept")
        replace = [key for key in ("name", "site") if state[key] != prior[key]]
        if replace:
            if there is not None and protected(there):
                diags.add_error(f"Unable to replace {words.called(prior)}", words.PROTECTED.format(words.called(prior)),
                                path=[replace[0]])
            return Plan({**state, **dict.fromkeys(OBSERVED, Unknown)}, replace)
        desired = self.desired(state)
        if desired is None or there is None:
            return Plan(state)
        return self._compared(diags, state, prior, desired, there, session)

    def _compared(self, diags: Diagnostics, state: State, prior: State, desired: VM, there: VM,
                  session: SiteSession) -> Plan:
        """The planner's word: refused, replaced, changed with a power cycle or without."""
        from muster.model.planner import compare

        changes, notes = compare(desired, there, session.driver.refine)
        told(diags, notes)
        if not changes:
            if unfinished(desired, there):
                state["address"] = Unknown
            return Plan(state)
        replaces = [change for change in changes if change.how == "replace"]
        if replaces:
            return Plan({**state, **dict.fromkeys(OBSERVED, Unknown)},
                        list(dict.fromkeys(change.keys[0] for change in replaces)))
        session.driver.check(desired)
        self._power_cycles(diags, changes, there)
        if state == prior or any(change.how == "power_cycle" or change.keys[0] in ("power", "nics")
                                 for change in changes):
            state["address"] = Unknown
        return Plan(state)

    def _power_cycles(self, diags: Diagnostics, changes: list[Change], there: VM) -> None:
        from muster.model.planner import describe

        cycles = "; ".join(describe(change) for change in changes if change.how == "power_cycle")
        if not cycles or there.power != "on":
            return
        where = words.of(there)
        if self.settings.allow_power_cycle:
            diags.add_warning(f"{where} will be restarted", f"{cycles} needs a power cycle.")
        else:
            diags.add_error(f"Unable to change {where}", words.NO_POWER_CYCLE.format(cycles))
