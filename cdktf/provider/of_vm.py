"""What the resources share that keep something of a VM, a snapshot or a restore point, under a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from muster.model.errors import ModelError
from muster.model.vm import VM
from tf.iface import ImportContext, State
from tf.types import Unknown
from tf.utils import Diagnostics

from . import timeouts, words
from .asking import Asking, Plan
from .provider import summary
from .settings import check_name
from .sites import SiteSession

if TYPE_CHECKING:
    from muster.drivers.driver import Progress

Result = TypeVar("Result")
_KEYS = ("vm", "site", "name")


class OfVm(Asking):
    """A request about one thing that is kept of one VM. Another VM, site or name is another thing."""

    what: ClassVar[str]
    observed: ClassVar[tuple[str, ...]]  # attributes that apply tells
    defaults: ClassVar[Mapping[str, Any]] = {}
    replaces: ClassVar[tuple[str, ...]] = _KEYS

    def validate(self, diags: Diagnostics, type_name: str, config: Mapping[str, Any]) -> None:
        problems: list[ModelError] = []
        for key in ("vm", "name"):
            if config.get(key) is not None and config[key] is not Unknown:
                check_name(config[key], problems, key)
        self.site_of(config.get("site"), problems)
        self.check(config, problems)
        timeouts.check(config, problems)
        for problem in problems:
            diags.add_error(summary(problem), path=list(problem.keys))

    def check(self, config: Mapping[str, Any], problems: list[ModelError]) -> None:
        """Report what else is wrong with a configuration."""

    def plan_change(self, diags: Diagnostics, prior: State | None, config: dict[str, Any] | None) -> Plan:
        from muster.drivers.driver import DriverError

        try:
            if config is None:
                self.plan_delete(diags, prior or {})
                return Plan(None)
            state = {**config, **{key: value for key, value in self.defaults.items() if config[key] is None}}
            state[timeouts.NAME] = timeouts.planned(
                config[timeouts.NAME], prior and prior[timeouts.NAME], self.operations)
            if config["site"] is None:
                state["site"] = prior["site"] if prior else self.settings.site(None).name
            if prior is None:
                self._possible(state)
                return Plan({**state, **dict.fromkeys(self.observed, Unknown)})
            replace = self.compared(state, prior)
            seen = dict.fromkeys(self.observed, Unknown) if replace else {key: prior[key] for key in self.observed}
            return Plan({**state, **seen}, replace)
        except (DriverError, ModelError) as error:
            diags.add_error(f"Unable to plan the {self.called(config or prior or {})}", str(error))
            return Plan(prior)

    def compared(self, state: State, prior: State) -> list[str]:
        """The attributes of a planned `state` for which it must be replaced. What stays as it is may be put into it."""
        return [key for key in self.replaces if state[key] != prior[key]]

    def plan_delete(self, diags: Diagnostics, prior: State) -> None:
        """What is said of a deletion before it is done."""

    def possible(self, vm: VM, session: SiteSession) -> None:
        """Raise where the site of a VM that is there lacks what the resource needs."""

    def _possible(self, state: State) -> None:
        if Unknown not in (state["vm"], state["site"]):
            session = self.session(state["site"])
            for vm in self.marked(session, state["vm"]):
                self.possible(vm, session)

    def vm_of(self, state: State) -> VM:
        """The VM that a state or a configuration means. Raises ModelError where it is not there."""
        session = self.session(state["site"])
        found = self.marked(session, state["vm"])
        if len(found) != 1:
            raise ModelError(words.NO_SUCH_VM.format(session.name, f"{len(found)} VMs" if found else "no VM",
                                                     self.settings.fleet.name, state["vm"]))
        return found[0]

    def key(self, state: State) -> str:
        """What tells this thing from all others of the run."""
        return "/".join([self.what, *(str(state[key]) for key in _KEYS)])

    def made(self, state: State) -> None:
        """Remember that this run has just made it."""
        if self.provider.sites is not None:
            self.provider.sites.made.add(self.key(state))

    def made_just_now(self, diags: Diagnostics, state: State) -> bool:
        """Whether this run has just made it under the same name; then with an error."""
        if self.provider.sites is None or self.key(state) not in self.provider.sites.made:
            return False
        diags.add_error(f"Unable to delete the {self.called(state)}", words.MADE_JUST_NOW.format(self.what))
        return True

    def called(self, state: Mapping[str, Any]) -> str:
        """The thing as sentences name it."""
        return f"{self.what} '{state.get('name')}' of {words.called({'name': state.get('vm'), **_site(state)})}"

    def import_(self, ctx: ImportContext, id: str) -> State | None:  # noqa: A002 - the framework's name
        """The state of the thing that ``SITE/VM/NAME`` means."""
        from muster.drivers.driver import DriverError

        state = self.parts(ctx, id)
        if state is None:
            return None
        try:
            return {**self.found(state), timeouts.NAME: timeouts.unset(self.operations)}
        except (DriverError, ModelError) as error:
            ctx.diagnostics.add_error(f"Unable to import '{id}'", str(error))
            return None

    def found(self, state: State) -> State:
        """The whole state of the thing that site, VM and name mean. Raises ModelError where it is not there, and the
        contract's errors."""
        raise NotImplementedError

    def parts(self, ctx: ImportContext, id_: str) -> State | None:
        """Site, VM and name of ``SITE/VM/NAME``, or of ``VM/NAME`` where there is one site; None, with an error."""
        parts = id_.split("/")
        try:
            if len(parts) not in (2, 3) or not all(parts):
                raise ModelError("write SITE/VM/NAME, or VM/NAME where there is one site")
            problems: list[ModelError] = []
            for key, part in zip(("vm", "name"), parts[-2:], strict=True):
                check_name(part, problems, key)
            if problems:
                raise problems[0]
            site = self.settings.site(parts[0] if len(parts) == 3 else None).name
            return {"site": site, "vm": parts[-2], "name": parts[-1]}
        except ModelError as error:
            ctx.diagnostics.add_error(f"Unable to import '{id_}'", str(error))
            return None

    def alone(self, state: State, operation: str, work: Callable[[Progress], Result]) -> Result:
        """What comes of an operation on the VM, which waits until no other of this run works on it."""
        def turn(progress: Progress) -> Result:
            with self.session(state["site"]).alone(state["vm"]):
                progress(f"{self.called(state)}: its turn")  # which ends what was given up while it waited
                return work(progress)

        return self.operation(operation, state, state["vm"], turn)


def _site(state: Mapping[str, Any]) -> dict[str, Any]:
    return {"site": state["site"]} if isinstance(state.get("site"), str) else {}
