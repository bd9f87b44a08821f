"""A check of what runs: the VMs of a fleet at one site, asked of its platform."""

from __future__ import annotations

from collections.abc import Sequence

from .errors import CannotCheckError
from .sources import Given

_FLEETS = ("snapshots", "restore_points", "health", "sites")
_EVERY = ("snapshots", "restore_points", "sites")  # how others' VMs are asked whether they serve nobody wrote down


def ask(fleet_file: str, name: str, every: bool = False) -> Given:
    """The fleet's VMs at the site `name` (`every`: all that are there), and the site itself, as they are now. Raises
    CannotCheckError.

    Nothing is changed, and no guest is logged in to.
    """
    from ..drivers.driver import DriverError
    from ..drivers.registry import open_site
    from ..model.errors import ModelError
    from ..operations.inspect import look
    from ..operations.session import read_fleet

    try:
        fleet = read_fleet(fleet_file)
        if name not in fleet.sites:
            there = ", ".join(sorted(fleet.sites))
            raise CannotCheckError(f"{fleet_file}: has no site '{name:.80}'. There are: {there}.")
        wanted = [vm.name for vm in fleet.at(name)]
        if not wanted and not every:
            raise CannotCheckError(f"{fleet_file}: has no VM at the site '{name}'. Give a site that has some.")
        driver = open_site(fleet.sites[name])
        try:
            seen = look(fleet, {name: driver}, wanted, gather=_EVERY if every else _FLEETS, every=every)
        finally:
            driver.close()
    except (DriverError, ModelError) as error:
        raise CannotCheckError(str(error)) from None
    if wanted and not seen["vms"] and not every:
        raise CannotCheckError(f"Site '{name}': it has none of the fleet's VMs, {_named(wanted)}, so nothing was "
                               "judged. Make them with provision or bring them back with restore.")
    found = {document["name"] for document in seen["vms"]}
    missing = [one for one in wanted if one not in found] if seen["missing"] else []  # by their marks, first of all
    told = f"Not judged, for they are in the fleet file and not at the site: {_named(missing)}." if missing else ""
    notes = [*([fleet.sites[name].warning] if fleet.sites[name].warning else []), *seen["notes"]]
    documents = [*seen["vms"], *seen["sites"]]
    return Given(f"site {name}", "live", documents, notes=tuple(notes), missing=told, fleet=fleet)


def _named(names: Sequence[str]) -> str:
    """``a, b and c``, the first five by name."""
    from ..policy.formats.words import join

    return join([*names[:5], *([f"{len(names) - 5} more"] if len(names) > 5 else [])])
