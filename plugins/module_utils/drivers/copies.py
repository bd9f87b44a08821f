"""What a clone is to be: as its source, but for what is asked for and what only one VM can have."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..model.vm import VM

# What is no part of a copy, where the platform reports it.
WHERE_IT_RUNS = ("host", "resource_pool", "folder", "ha_priority", "power")


def spec_of_copy(source: VM, desired: VM, without: Collection[str] = ()) -> dict[str, Any]:
    """The spec of a copy of `source`: what `desired` says, else what the source has, `without` some fields of it.

    A MAC is its source's own. Topology says how many CPUs there are, so it goes where another number is asked for.
    """
    own = {key: value for key, value in source.spec.items() if key not in without}
    if desired["cpus"] and not desired["cpu_topology"]:
        own.pop("cpu_topology", None)
    nics = desired["nics"] or source["nics"] or ()
    own["nics"] = [{key: value for key, value in nic.items() if key != "mac"} for nic in nics]
    return {**own, **{key: value for key, value in desired.spec.items() if key != "nics"}}
