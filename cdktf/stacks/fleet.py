"""A site of a fleet file as a stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from muster.model.errors import ModelError, ModelErrors
from muster.model.fleet import Fleet
from muster.model.vm import VM

from ..cdk import Aspects, Construct, TerraformStack, TerraformVariable
from .backend import keep_state
from .machines import Machines, called
from .place import from_stack
from .provider import MusterProvider
from .rulebook import Rulebook
from .timeouts import attributes as within
from .vm import KIND
from .written import escaped, grouped, written

_ALLOWED = {
    "allow_power_cycle": "Whether a change may restart a running VM.",
    "allow_force": "Whether the power of a guest is cut that does not shut down.",
}


class FleetStack(TerraformStack):
    """The VMs of one site of `fleet`, with the provider, the backend of the state and the rulebook of its fleet file.

    An entry of ``vms`` is one resource, ``muster_vm.<entry>``; one with a ``count`` has ``for_each``, so that a VM's
    address is made of what its name is made of, and stays when its fields change. `timeouts` are those of all its VMs.
    Raises ModelError, and ModelErrors for `timeouts`.
    """

    platform = ""  # of the sites that the class is for; any if empty

    def __init__(self, scope: Construct, fleet: Fleet, site: str, rulebook: Rulebook | None = None,
                 timeouts: Mapping[str, str] | None = None) -> None:
        super().__init__(scope, site)
        if site not in fleet.sites:
            raise ModelError(f"fleet '{fleet.name}' has no site '{site:.40}'; there are {', '.join(fleet.sites)}")
        if self.platform and fleet.sites[site].platform != self.platform:
            raise ModelError(f"site '{site}' is one of {fleet.sites[site].platform}, and {type(self).__name__} makes "
                             f"VMs of {self.platform}; take the class of its platform", (), fleet.source)
        problems: list[ModelError] = []
        self.fleet, self.site, self.within = fleet, site, within(timeouts, problems)
        if problems:
            raise ModelErrors(problems)
        keep_state(self, fleet, site)
        self.provide()
        scope_of_vms = Construct(self, "vms")  # no name of an entry is one of the stack's own
        for entry, vms in _entries(fleet, site).items():
            kind, attributes = self.resource(vms, counted=entry != vms[0].name)
            machines = Machines(scope_of_vms, entry, kind, attributes, self.documents(vms))
            machines.override_logical_id(called(entry))
        Aspects.of(self).add(rulebook or Rulebook.of(fleet, documents=self.documents(fleet.vms)))

    def provide(self) -> None:
        """Add the provider that makes the VMs. What may be done to a running one is said with the apply, by variables.
        """
        for name, description in _ALLOWED.items():
            TerraformVariable(self, name, type="bool", default=False, description=description)
        MusterProvider(self, fleet_file=escaped(from_stack(self, self.fleet.source)),
                       allow_power_cycle="${var.allow_power_cycle}", allow_force="${var.allow_force}")

    def resource(self, vms: Sequence[VM], counted: bool) -> tuple[str, dict[str, Any]]:
        """The type and the attributes of the resource that makes the `vms` of one entry."""
        return KIND, {"site": self.site, **self.within, **_attributes(vms, counted, written)}

    def documents(self, vms: Sequence[VM]) -> list[dict[str, Any]]:
        """The VMs as rules see them."""
        return self.fleet.documents(vms)


def _entries(fleet: Fleet, site: str) -> dict[str, list[VM]]:
    entries: dict[str, list[VM]] = {}
    for vm in fleet.at(site):
        entries.setdefault(fleet.entries[vm.name], []).append(vm)
    return entries


def _attributes(vms: Sequence[VM], counted: bool, made: Any) -> dict[str, Any]:
    """The attributes of one VM, or of a group; `made` writes those of a spec. VMs of a count share their spec."""
    known: dict[int, Mapping[str, Any]] = {}
    each = {}
    for vm in vms:
        if id(vm.spec) not in known:
            try:
                known[id(vm.spec)] = made(vm.spec)
            except ModelError as error:
                raise ModelError(f"VM '{vm.name}': {error.problem}", error.keys) from None
        each[vm.name] = known[id(vm.spec)]
    return grouped(each) if counted else {"name": vms[0].name, **each[vms[0].name]}
