"""VM specs in normal form, drawn from the field table itself: a new field is tested as soon as it is declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st
from muster.model.fields import VM_FIELDS, Field
from muster.model.patterns import CPUSET, FOLDER, IMAGE, LABEL, MAC, NAME, PLACE, TIME, URL_PATH, ZONE

# A few texts for each pattern, few enough that two draws often meet.
TEXTS = {
    NAME: ["root", "disk1", "data", "nic0", "nic1", "a"],
    LABEL: ["blue", "user", "Fast.1", "x_y"],
    FOLDER: ["gold", "shop/web 1"],
    PLACE: ["blue", "user", "VM Network", "datastore1 (1)"],
    IMAGE: ["debian-12", "debian-13"],
    MAC: ["52:54:00:12:34:56", "52:54:00:aa:bb:cc"],
    CPUSET: ["0-3,8", "1"],
    TIME: ["07:00", "19:00"],
    ZONE: ["Europe/Berlin", "UTC"],
    URL_PATH: ["/", "/health?x=1"],
}


def values(entry: Field) -> st.SearchStrategy[Any]:
    """Values of one field, in normal form."""
    ours = entry["muster"]
    if entry["type"] == "list":
        if entry.get("elements") == "dict":
            return st.lists(items(entry), max_size=3, unique_by=lambda item: str(item.get(ours.get("key"), item)))
        return st.lists(values({**entry, "type": "str"}), max_size=3)
    if entry["type"] == "dict":
        if "options" in entry:
            return dicts(entry["options"])
        return st.dictionaries(st.sampled_from(TEXTS[ours["keys"]]), st.sampled_from(["a", "1e3", "NO"]), max_size=3)
    if "unit" in ours or entry["type"] == "int":
        top = 10**9 if ours.get("unit") == "duration" else 1 << 43
        return st.integers(ours.get("min", 1), min(ours.get("max", top), top))
    if entry["type"] == "bool":
        return st.booleans()
    if "choices" in entry:
        return st.sampled_from(entry["choices"])
    return st.sampled_from(TEXTS[ours["pattern"]] if "pattern" in ours else ["text", "other text"])


def items(entry: Field) -> st.SearchStrategy[dict[str, Any]]:
    """Items of a list of dicts: named, or of exactly one kind."""
    ours, options = entry["muster"], entry["options"]
    if "one_of" in ours:
        return st.one_of([st.fixed_dictionaries({name: values(options[name])}) for name in ours["one_of"]])
    return dicts(options, {ours["key"]})


def dicts(fields: Mapping[str, Field], needed: set[str] | frozenset[str] = frozenset()) -> st.SearchStrategy[Any]:
    """Dicts of some of `fields`, always with what is required or `needed`."""
    always = {name for name, entry in fields.items() if entry.get("required")} | needed
    return st.fixed_dictionaries(
        {name: values(fields[name]) for name in sorted(always)},
        optional={name: values(entry) for name, entry in fields.items() if name not in always},
    )


def consistent(spec: dict[str, Any]) -> dict[str, Any]:
    """`spec` with what does not fit together taken out."""
    topology = spec.get("cpu_topology")
    if topology:
        spec.pop("cpus", None)
    if spec.get("secure_boot"):
        spec["firmware"] = "uefi"
    if "memory" in spec:
        for name in ("memory_minimum", "memory_reservation"):
            if name in spec:
                spec[name] = min(spec[name], spec["memory"])
    for what in ("cpu", "memory"):
        if spec.get(f"{what}_limit"):
            spec[f"{what}_limit"] = max(spec[f"{what}_limit"], spec.get(f"{what}_reservation", 0))
    schedule = spec.get("schedule")
    if schedule is not None:
        schedule.update(start="07:00", stop="19:00")
    keep = spec.get("protection", {}).get("keep")
    if keep is not None:
        keep["last"] = 1
    macs = set()
    for nic in spec.get("nics", ()):
        if nic["network"] != "user":
            nic.pop("forwards", None)
        if "mac" in nic and nic["mac"] in macs:
            nic.pop("mac")
        macs.add(nic.get("mac"))
    return spec


specs = dicts(VM_FIELDS).map(consistent)
