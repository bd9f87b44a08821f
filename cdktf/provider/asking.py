"""One request about one resource: what the resources share, whatever they are about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from muster.model.errors import ModelError
from muster.model.fleet import Site
from muster.model.vm import VM
from tf.iface import Resource, State
from tf.types import Unknown
from tf.utils import Diagnostics

from . import timeouts
from .configuration import Configuration
from .provider import MusterProvider
from .settings import Settings
from .sites import SiteSession

if TYPE_CHECKING:
    from muster.drivers.driver import Progress

Result = TypeVar("Result")


@dataclass
class Plan:
    """A planned state, and the attributes for which the resource must be replaced."""

    state: State | None
    replace: list[str] = field(default_factory=list)


class Asking(Resource):
    """A request. `config` is the configuration, where the request has one; `operations` are those with a time-out."""

    operations: ClassVar[tuple[str, ...]] = ()
    replacing = False  # whether a plan is the second half of a replacement: Terraform asked for the first one before

    def __init__(self, provider: MusterProvider) -> None:
        self.provider = provider
        self.config = Configuration()

    def plan_change(self, diags: Diagnostics, prior: State | None, config: dict[str, Any] | None) -> Plan:
        """What apply will make of `prior` (None: there is nothing yet) for `config` (None: it is destroyed)."""
        raise NotImplementedError

    @property
    def settings(self) -> Settings:
        """The settings. Raises ModelError before they are known."""
        if self.provider.settings is None:
            raise ModelError("the provider is not configured")
        return self.provider.settings

    def session(self, site: str) -> SiteSession:
        """The site of this name. Raises ModelError."""
        if self.provider.sites is None:
            raise ModelError("the provider is not configured")
        return self.provider.sites[self.settings.site(site).name]

    def limit(self, operation: str, state: State) -> timeouts.Limit:
        """How long an operation may take: a deletion knows the `state` alone."""
        values = state if operation == "delete" else self.config
        return timeouts.limit(operation, values, self.settings.timeout)

    def operation(self, name: str, state: State, vm: str, work: Callable[[Progress], Result]) -> Result:
        """`work` on the VM `vm`, within the time that the operation `name` has. Raises what it raises, and Failed where
        it had to end."""
        return self.provider.patience.run(state["site"], vm, self.limit(name, state), work)

    def site_of(self, name: Any, problems: list[ModelError]) -> Site | None:
        """The site of a configuration, as far as it is known; a wrong one is reported."""
        if self.provider.settings is None or name is Unknown:
            return None
        try:
            return self.provider.settings.site(name)
        except ModelError as error:
            problems.append(error)
            return None

    def marked(self, session: SiteSession, name: str) -> list[VM]:
        """The whole VMs of a site that bear the fleet's mark for `name`: one, or none."""
        return [vm for vm in session.about(name) if vm.state.get("built", True) and self.bears(vm, name)]

    def bears(self, there: VM, name: str) -> bool:
        """Whether a VM bears the fleet's mark for `name`."""
        mark = there.mark
        return mark is not None and (mark.fleet, mark.vm) == (self.settings.fleet.name, name)


def told(diags: Diagnostics, notes: tuple[str, ...] | list[str]) -> None:
    """Each of `notes` as a warning."""
    for note in notes:
        diags.add_warning(note if note.endswith(".") else f"{note}.")
