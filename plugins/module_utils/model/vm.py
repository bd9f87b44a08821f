"""The VM: the one shape in which every room of Muster speaks of a virtual machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Mark:
    """The ownership mark that Muster writes on a VM itself: what bears it is Muster's, what does not is not."""

    fleet: str
    vm: str  # the name in the fleet file; the platform's name may drift from it
    operation: str = ""  # id of the operation that made the VM


@dataclass(frozen=True)
class VM:
    """One virtual machine in normal form.

    `spec` holds what is asked for (or, from a driver, what is there): the fields of `fields.VM_FIELDS` in normal
    form, sizes as bytes and durations as seconds; a key that is absent is not managed. `state` holds what only a
    driver can know: power, addresses, os, created, snapshots; under ``disks`` and ``nics`` by name what it knows of
    each beside its fields, such as the path of a disk.
    """

    name: str
    site: str
    spec: Mapping[str, Any] = field(default_factory=dict)
    uuid: str | None = None
    mark: Mark | None = None
    state: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Any:
        """The field `key` of the spec, None where it is not set."""
        return self.spec.get(key)

    @property
    def owner(self) -> Mark:
        """The mark of a VM that bears one, as every VM of a fleet does. Raises AssertionError for any other."""
        if self.mark is None:
            raise AssertionError(f"VM '{self.name}' bears no mark")
        return self.mark

    @property
    def power(self) -> str:
        """``on``, ``off``, ``paused`` or ``crashed``; ``unknown`` where no driver has told."""
        return str(self.state.get("power", "unknown"))

    def document(self, guest: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The VM as rules and reports see it: one plain dict. `guest` is what `guest_info` found inside."""
        document = {
            **self.spec,
            **self.state,
            "name": self.name,
            "site": self.site,
            "uuid": self.uuid,
            "owned": self.mark is not None,
        }
        for key in ("disks", "nics"):
            facts = self.state.get(key)
            if facts is not None:
                document[key] = [{**item, **facts.get(item.get("name"), {})} for item in self.spec.get(key) or ()]
        if guest is not None:
            document["guest"] = dict(guest)
        return document
