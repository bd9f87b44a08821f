"""Fields that a platform cannot honour, refused by name before anything changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..model.vm import VM
from .driver import Unsupported

Refuse = Callable[[str, str], Unsupported]


def refusing(vm: VM, site: str) -> Refuse:
    """What makes the error of a field of `vm`, with the reason."""

    def refuse(field: str, why: str) -> Unsupported:
        return Unsupported(
            f"the field '{field}' cannot be honoured: {why}; nothing was changed",
            site=site,
            vm=vm.name,
            todo=f"Remove '{field}' from this VM, or place it at a site that can",
        )

    return refuse


def check_tiers(vm: VM, options: Mapping[str, Any], refuse: Refuse) -> None:
    """Raise Unsupported for a disk whose tier the site maps to no pool."""
    for disk in vm["disks"] or ():
        if disk.get("tier") and disk["tier"] not in (options.get("tiers") or {}):
            raise refuse(f"disks.{disk['name']}.tier", f"the site maps no pool to the tier '{disk['tier']}'")


def named(vms: Sequence[str]) -> str:
    """`vms` as a sentence names them: five, and how many more there are."""
    return ", ".join(vms[:5]) + (f" and {len(vms) - 5} more" if len(vms) > 5 else "")
