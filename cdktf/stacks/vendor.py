"""What the stacks over the vendors' own providers share.

Such a VM is the vendor's: it bears no ownership mark, and what lives in the mark alone (profile, RPO, RTO, retention,
schedule, health) is judged by the rules at synthesis and written nowhere. What the vendor's resource cannot say is
refused, never left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from muster.model.errors import ModelError
from muster.model.fields import VM_FIELDS, Field
from muster.model.vm import VM

from ..cdk import TerraformDataSource
from .fleet import FleetStack
from .written import escaped

GIB = 1 << 30
MIB = 1 << 20
Spec = Mapping[str, Any]
# Fields that only Muster itself reads.
_OURS = ("profile", "protection", "schedule", "health", "power")


class VendorStack(FleetStack):
    """A `FleetStack` over another provider than Muster's. `says` are the fields that its resource can say, those of
    ``disks`` and ``nics`` below them."""

    vendor = ""  # the platform, as rules see it
    says: Mapping[str, tuple[str, ...]] = {}

    def documents(self, vms: Sequence[VM]) -> list[dict[str, Any]]:
        return [{**document, "platform": self.vendor} for document in super().documents(vms)]

    def check(self, vm: VM) -> None:
        """Refuse what the resource cannot say of `vm`. Raises ModelError."""
        if vm["power"] == "off":
            raise self.refusal(vm, "power", "its VMs run once they are made")
        for name, value in vm.spec.items():
            if name in _OURS:
                continue
            if name not in self.says:
                self._unsaid(vm, name, value, VM_FIELDS[name])
            elif self.says[name]:
                for item in value:
                    for key, inner in item.items():
                        if key not in self.says[name]:
                            self._unsaid(vm, f"{name}.{item['name']}.{key}", inner, VM_FIELDS[name]["options"][key])

    def _unsaid(self, vm: VM, field: str, value: Any, entry: Field) -> None:
        if value is not None and value != entry["muster"].get("default"):
            raise self.refusal(vm, field, f"the resource of {self.vendor} has nothing for it")

    def refusal(self, vm: VM, field: str, why: str) -> ModelError:
        """The sentence on a field that cannot be written."""
        return ModelError(f"VM '{vm.name}' at site '{self.site}': the field '{field}' cannot be written: {why}. Remove "
                          "it, or make the VM by Muster's own provider", (), self.fleet.source)

    def look_up(self, kind: str, name: str, attribute: str = "id", **more: Any) -> str:
        """An attribute of what is there already, by its name."""
        known = self.__dict__.setdefault("_looked_up", {})
        if (kind, name) not in known:
            used = {id_ for (other, _name), id_ in known.items() if other == kind}
            plain = "_" + re.sub(r"[^A-Za-z0-9_-]", "_", name)
            id_ = next(id_ for id_ in (plain, *(f"{plain}_{number}" for number in range(len(used) + 1)))
                       if id_ not in used)
            known[kind, name] = id_
            data = TerraformDataSource(self, f"{kind}{id_}", terraform_resource_type=kind)
            data.override_logical_id(id_)
            for key, value in {"name": escaped(name), **more}.items():
                data.add_override(key, value)
        return f"${{data.{kind}.{known[kind, name]}.{attribute}}}"


def whole(stack: VendorStack, vm: VM, field: str, value: int, unit: int, what: str) -> int:
    """`value` in units of `unit`. Raises ModelError where it is not a whole number of them."""
    if value % unit:
        raise stack.refusal(vm, field, f"the resource of {stack.vendor} takes whole {what} only")
    return value // unit
