"""The resource ``muster_vm``: what Terraform asks, answered by the planner and by ``operations.converge``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from muster.model.errors import ModelError
from muster.model.fields import VM_FIELDS
from muster.model.fleet import Site
from muster.model.vm import VM
from tf.iface import CreateContext, DeleteContext, ImportContext, ReadContext, Resource, State, UpdateContext
from tf.schema import Schema
from tf.types import Unknown
from tf.utils import Diagnostics

from . import schema, shown, values, words
from .provider import MusterProvider, summary
from .settings import Settings, check_name
from .sites import SiteSession

if TYPE_CHECKING:
    from muster.model.planner import Change

_OBSERVED = ("id", "uuid", "address")
_FIELDS: dict[str, Any] = {"name": {"type": "str", "muster": {}}, "site": {"type": "str", "muster": {}}, **VM_FIELDS}


@dataclass
class Plan:
    """A planned state, and the attributes for which the VM must be replaced."""

    state: State | None
    replace: list[str] = field(default_factory=list)


class VmResource(Resource):
    """One request about one VM. `config` is the configuration, where the request has one."""

    def __init__(self, provider: MusterProvider) -> None:
        self.provider = provider
        self.config: dict[str, Any] = {}

    @classmethod
    def get_name(cls) -> str:
        return "vm"

    @classmethod
    def get_schema(cls) -> Schema:
        return schema.vm()

    # Validation

    def validate(self, diags: Diagnostics, type_name: str, config: Mapping[str, Any]) -> None:
        """What is wrong with `config` as far as it is known, and the rules that it fails."""
        desired = values.read(config)
        problems = list(desired.problems)
        name, site_name = (config.get(key) for key in ("name", "site"))
        if name is not None and name is not Unknown:
            check_name(name, problems)
        settings = self.provider.settings
        site = self._site(settings, site_name, problems)
        if settings is not None and site is not None:
            from muster.model.catalogue import catalogue

            catalogue(site.name, site.options, desired.spec, problems)
        for problem in problems:
            diags.add_error(summary(problem), path=values.path(problem.keys, config, _FIELDS) or [problem.keys[0]])
        if settings is not None and not problems:
            rulebook = self.provider.rulebook(diags)
            if rulebook is not None:
                there = site or Site("", "")
                rulebook.refuse(diags, desired, None if name is Unknown else name, there, config)

    def _site(self, settings: Settings | None, name: Any, problems: list[ModelError]) -> Site | None:
        if settings is None or name is Unknown:
            return None
        try:
            return settings.site(name)
        except ModelError as error:
            problems.append(error)
            return None

    # The plan

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
            diags.add_error(f"Unable to plan {words.called(config or prior or {})}", str(error))
            return Plan(prior)

    def _plan_delete(self, diags: Diagnostics, prior: State) -> Plan:
        there = self._session(prior["site"]).find(prior["uuid"])
        if there is not None and _protected(there):
            diags.add_error(f"Unable to delete {words.called(prior)}", words.PROTECTED.format(words.called(prior)))
        return Plan(None)

    def _plan_create(self, diags: Diagnostics, config: dict[str, Any]) -> Plan:
        state = {**config, **values.planned(config, None), **dict.fromkeys(_OBSERVED, Unknown)}
        if config["site"] is None:
            state["site"] = self._settings().site(None).name
        desired = self._desired(state)
        if desired is not None and not _later(config):
            self._predicted(diags, self._session(desired.site), desired)
        return Plan(state)

    def _predicted(self, diags: Diagnostics, session: SiteSession, desired: VM) -> None:
        """An error for what would stop the making of a VM: a stranger of its name, an image that is missing…

        One that bears the mark is there when this is the second half of a replacement, or when an answer was lost:
        which of the two is decided by apply.
        """
        from muster.operations.converge import converge

        settings, listed = self._settings(), session.vms()
        if not any(vm.mark is not None and self._is(vm, self.config) for vm in listed):
            drivers = {session.name: session.remembered()}
            for outcome in converge(settings.fleet_of(desired), drivers, check=True):
                if outcome.error:
                    diags.add_error(f"Unable to make {words.called(self.config)}", outcome.error)

    def _plan_update(self, diags: Diagnostics, prior: State, config: dict[str, Any]) -> Plan:
        state = {**prior, **config, **values.planned(config, prior), **{key: prior[key] for key in _OBSERVED}}
        if config["site"] is None:
            state["site"] = prior["site"]
        session = self._session(prior["site"])
        there = session.find(prior["uuid"])
        replace = [key for key in ("name", "site") if state[key] != prior[key]]
        if replace:
            if there is not None and _protected(there):
                diags.add_error(f"Unable to replace {words.called(prior)}", words.PROTECTED.format(words.called(prior)),
                                path=[replace[0]])
            return Plan({**state, **dict.fromkeys(_OBSERVED, Unknown)}, replace)
        desired = self._desired(state)
        if desired is None or there is None:
            return Plan(state)
        return self._compared(diags, state, prior, desired, there, session)

    def _compared(self, diags: Diagnostics, state: State, prior: State, desired: VM, there: VM,
                  session: SiteSession) -> Plan:
        """The planner's word: refused, replaced, changed with a power cycle or without."""
        from muster.model.planner import compare

        changes, notes = compare(desired, there, session.driver.refine)
        for note in notes:
            diags.add_warning(note if note.endswith(".") else f"{note}.")
        if not changes:
            if desired["power"] != "off" and there.state.get("ready") is False:
                state["address"] = Unknown  # an interrupted run made it and never saw it ready: that is finished
            return Plan(state)
        replaces = [change for change in changes if change.how == "replace"]
        if replaces:
            return Plan({**state, **dict.fromkeys(_OBSERVED, Unknown)},
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
        where = words.called({"name": there.owner.vm, "site": there.site})
        if self._settings().allow_power_cycle:
            diags.add_warning(f"{where} will be restarted", f"{cycles} needs a power cycle.")
        else:
            diags.add_error(f"Unable to change {where}", words.NO_POWER_CYCLE.format(cycles))

    # Apply

    def create(self, ctx: CreateContext, planned: State) -> State | None:
        """Make the VM. One that bears its mark already is the one that a lost answer left: it is adopted."""
        done = self._converge(ctx.diagnostics, planned, new=True)
        if done is None or self.provider.sites is None:
            return None
        self.provider.sites.made.add(str(done["uuid"]))
        return done

    def update(self, ctx: UpdateContext, current: State, planned: State) -> State | None:
        """Change the VM of the state's UUID. After a failure the state stays: the next refresh reads what is."""
        session = self._session(current["site"])
        there = session.find(current["uuid"])
        if there is None or not self._is(there, current):
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
        desired = None if diags.has_errors() else self._desired(planned)
        if desired is None:
            return None
        session, settings = self._session(desired.site), self._settings()
        allowed = Allowed(power_cycle=settings.allow_power_cycle)
        try:
            with self.provider.stop.progress(desired.site, desired.name) as progress:
                if not new:
                    session.forget()  # what is changed is what is there now, not what the refresh saw
                drivers = {desired.site: session.remembered()}
                [done] = converge(settings.fleet_of(desired), drivers, allowed=allowed, progress=progress)
            error = done.error
        except (DriverError, ModelError) as failure:
            error = str(failure)
        if error:
            session.forget()
            diags.add_error(f"Unable to make {what} as asked", error)
            return None
        for note in done.notes:
            diags.add_warning(note if note.endswith(".") else f"{note}.")
        seen = {"id": done.uuid, "uuid": done.uuid, "address": done.address or None}
        return {key: seen.get(key) if value is Unknown else value for key, value in planned.items()}

    def delete(self, ctx: DeleteContext, current: State) -> State | None:
        """Delete the VM of the state's UUID; what is not ours, or protected, stays, and the state with it."""
        from muster.drivers.driver import DriverError
        from muster.operations.converge import remove

        diags, what = ctx.diagnostics, f"Unable to delete {words.called(current)}"
        session, settings = self._session(current["site"]), self._settings()
        if self.provider.sites is not None and current["uuid"] in self.provider.sites.made:
            diags.add_error(what, words.MADE_JUST_NOW)
            return current
        try:
            session.forget()
            there = session.find(current["uuid"])
            if there is None:
                return None
            if not self._is(there, current):
                diags.add_error(what, words.NOT_OURS)
                return current
            vm = settings.wanted(current["name"], current["site"], {})
            [done] = remove(settings.fleet_of(vm), {vm.site: session.driver})
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

    # Reading

    def read(self, ctx: ReadContext, current: State) -> State | None:
        """The state as the site has it. Only an answer that proves the VM's absence removes it."""
        from muster.drivers.driver import DriverError

        diags, what = ctx.diagnostics, f"Unable to read {words.called(current)}"
        try:
            session = self._session(current["site"])
            there = session.find(current["uuid"])
            listed = session.vms()
        except (DriverError, ModelError) as error:
            diags.add_error(what, str(error))
            return current
        if there is None and not listed:
            diags.add_error(what, words.NO_VM_AT_ALL.format(session.name))
            return current
        if there is None:
            return None
        if not self._is(there, current):
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
            settings = self._settings()
            session = self._session(settings.site(site or None).name)
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
        return {"name": there.owner.vm, "site": there.site, **values.observed(shown.actual(there)), **shown.seen(there)}

    # What all of these need

    def _settings(self) -> Settings:
        if self.provider.settings is None:
            raise ModelError("the provider is not configured")
        return self.provider.settings

    def _session(self, site: str) -> SiteSession:
        settings = self._settings()
        if self.provider.sites is None:
            raise ModelError("the provider is not configured")
        return self.provider.sites[settings.site(site).name]

    def _desired(self, state: State) -> VM | None:
        """What the configuration asks for, as far as it is known; None while it is not known which VM it is."""
        if Unknown in (state["name"], state["site"]):
            return None
        return self._settings().wanted(state["name"], state["site"], values.read(self.config).spec)

    def _is(self, there: VM, current: Mapping[str, Any]) -> bool:
        """Whether a VM bears the mark that the state's VM had."""
        mark = there.mark
        return mark is not None and (mark.fleet, mark.vm) == (self._settings().fleet.name, current["name"])


def _protected(vm: VM) -> bool:
    return bool((vm["protection"] or {}).get("deletion"))


def _later(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_later, value.values()))
    return any(map(_later, value)) if isinstance(value, list) else value is Unknown


__all__ = ["Plan", "VmResource"]
