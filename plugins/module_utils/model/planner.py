"""The planner: what must change so that a VM is what the fleet file says, and how each change is done.

One plan serves everybody: check mode prints it, apply executes exactly it, drift is this plan when nobody asked for a
change. Only fields that are set in `desired` are compared. Items of a list are told apart by their key:

* a NIC or a forward that nobody named is a change that removes it;
* a **disk** that nobody named is never removed, it may be somebody's data: it is a note;
* tags are compared as a whole: a tag that is not in the file is a change that removes it.

A field that is fixed when a VM is made and that the platform does not report is a note, never a reason to replace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .errors import Impossible
from .fields import VM_FIELDS, Field, compared
from .units import format_duration, format_size
from .vm import VM

# From the mildest to the hardest; a driver's `refine` may only go up, among the first four.
SEVERITY = ("none", "mark", "live", "power_cycle", "replace", "create", "delete")
_REASONS = {
    "power_cycle": "it takes effect while the VM is off",
    "replace": "it is fixed when the VM is made",
}


@dataclass(frozen=True)
class Change:
    """One thing to do to one VM.

    `keys` lead to the field in the spec: ``("cpus",)``, ``("disks", "root", "size")``, ``("nics", "nic1")`` for a
    whole item, ``()`` for the VM itself. `before` and `after` are in normal form; None is "not there". `how` is one of
    `SEVERITY`.
    """

    keys: tuple[str, ...]
    before: Any
    after: Any
    how: str
    reason: str = ""

    @property
    def field(self) -> str:
        """The path of the field as text: ``disks.root.size``; ``vm`` for the VM itself."""
        return ".".join(self.keys) or "vm"


Refine = Callable[[Change, VM], str]


def plan(desired: VM, actual: VM | None, refine: Refine | None = None) -> list[Change]:
    """The changes that make `actual` what `desired` says, in the order of the fields; none if it is.

    `refine(change, actual)` is the driver's word on how a change can be done here; it may raise the severity, never
    lower it, and may raise `Impossible`. Raises `Impossible`, before anything is done, with every reason.
    """
    changes, _notes = compare(desired, actual, refine)
    return changes


def compare(desired: VM, actual: VM | None, refine: Refine | None = None) -> tuple[list[Change], list[str]]:
    """`plan`, and with it the notes: what differs and is left as it is, in sentences."""
    if actual is None:
        return [Change((), None, dict(desired.spec), "create", "it does not exist yet")], []
    if desired.site != actual.site:
        raise Impossible(
            f"VM '{desired.name}' belongs to site '{desired.site}' and is at site '{actual.site}'; a plan moves no VM "
            "between sites. Nothing was changed: put the old site back, or back the VM up and restore it there.")
    found = _Comparison(desired, actual)
    if actual.name != desired.name and actual.mark is not None:
        found.notes.append(f"{found.where} is called '{actual.name}' there: it was renamed past Muster and found by "
                           "its mark. Nothing depends on that name; rename it back at the site, or leave it")
    changes = []
    for change in found.changes:
        try:
            changes.append(_refined(change, actual, refine))
        except Impossible as error:
            found.refusals.append(error.problem)
    protected = (actual["protection"] or {}).get("deletion")
    for change in changes:
        if change.how == "replace" and protected:
            found.refusals.append(f"{change.field} can be changed by replacing the VM only, and the VM is protected "
                                  "from deletion; remove the protection in a run of its own before")
    if found.refusals:
        raise Impossible(f"VM '{desired.name}' at site '{desired.site}' stays as it is: " + "; ".join(found.refusals))
    return changes, found.notes


def applied(actual: VM, changes: Iterable[Change]) -> VM:
    """`actual` as it is after `changes`, none of them of the whole VM: what check mode predicts."""
    spec = _copy(actual.spec)
    state = dict(actual.state)
    for change in changes:
        _put(spec, VM_FIELDS, change.keys, change.after)
        if change.keys == ("power",) and "power" in state:
            state["power"] = change.after
    return replace(actual, spec=spec, state=state)


def worst(changes: Iterable[Change]) -> str:
    """The hardest `how` of `changes`; ``none`` if there is no change."""
    return max((change.how for change in changes), key=SEVERITY.index, default="none")


def render(changes: Iterable[Change]) -> dict[str, dict[str, Any]]:
    """`changes` as Ansible's diff: nested dicts of what is changed, sizes and durations as people write them."""
    diff: dict[str, dict[str, Any]] = {"before": {}, "after": {}}
    for change in changes:
        for side, value in (("before", change.before), ("after", change.after)):
            if value is None:
                continue
            shown = people(value, entry_of(change.keys))
            if not change.keys:
                diff[side].update(shown)
                continue
            here = diff[side]
            for key in change.keys[:-1]:
                here = here.setdefault(key, {})
            here[change.keys[-1]] = shown
    return diff


def describe(change: Change) -> str:
    """One line for people: ``cpus: 2 → 4 (live)``."""
    entry = entry_of(change.keys)
    how = change.how.replace("_", " ")
    if change.how in ("create", "delete"):
        spec = change.after if change.how == "create" else change.before
        return f"{change.field}: {how} ({_inline(people(spec, None))})"
    before, after = (_inline(people(value, entry)) for value in (change.before, change.after))
    if change.after is None:
        return f"{change.field}: remove {before} ({how})"
    if change.before is None:
        verb = "add" if isinstance(change.after, Mapping) else "set to"
        return f"{change.field}: {verb} {after} ({how})"
    return f"{change.field}: {before} → {after} ({how})"


def entry_of(keys: tuple[str, ...]) -> Field | None:
    """The entry of the field table to which `keys` lead; None for the VM itself."""
    fields: Mapping[str, Field] = VM_FIELDS
    entry: Field | None = None
    rest = list(keys)
    while rest:
        entry = fields[rest.pop(0)]
        if entry["type"] == "list" and entry["muster"].get("key") and rest:
            rest.pop(0)
            entry = {**entry, "type": "dict"}
        if "options" not in entry:
            break
        fields = entry["options"]
    return entry


def people(value: Any, entry: Field | None) -> Any:
    """`value` in the units that people write: sizes and durations as text, at every depth."""
    if isinstance(value, Mapping):
        fields = VM_FIELDS if entry is None else entry.get("options", {})
        return {key: people(item, fields.get(key, {})) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [people(item, entry) for item in value]
    unit = (entry or {}).get("muster", {}).get("unit")
    if unit and isinstance(value, int) and value:
        return format_size(value) if unit == "size" else format_duration(value)
    return value


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_inline(item)}" for key, item in value.items())
    if isinstance(value, list):
        return "[" + "; ".join(_inline(item) for item in value) + "]"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


class _Comparison:
    """Compares two VMs of one site, field by field."""

    def __init__(self, desired: VM, actual: VM) -> None:
        self.changes: list[Change] = []
        self.notes: list[str] = []
        self.refusals: list[str] = []
        self.where = f"VM '{desired.name}' at site '{desired.site}'"
        have = dict(actual.spec)
        if "power" in actual.state:
            have["power"] = actual.power
        self.fields(desired.spec, have, VM_FIELDS, ())

    def fields(
        self, want: Mapping[str, Any], have: Mapping[str, Any], fields: Mapping[str, Field], keys: tuple[str, ...]
    ) -> None:
        for name, entry in fields.items():
            if want.get(name) is not None:
                self.field(want[name], have.get(name), entry, (*keys, name))

    def field(self, want: Any, have: Any, entry: Field, keys: tuple[str, ...]) -> None:
        ours = entry["muster"]
        if "options" in entry and entry["type"] == "dict":
            self.fields(want, have or {}, entry["options"], keys)
        elif "keys" in ours:
            for key in sorted({*want, *(have or {})}):
                self.leaf(want.get(key), (have or {}).get(key), entry, (*keys, key))
        elif "key" in ours:
            self.items(want, have or [], entry, keys)
        else:
            self.leaf(filled(want, entry), filled(have, entry), entry, keys)

    def items(self, want: list[Any], have: list[Any], entry: Field, keys: tuple[str, ...]) -> None:
        key = entry["muster"]["key"]
        there = {item[key]: item for item in have}
        for item in want:
            here = (*keys, str(item[key]))
            if item[key] in there:
                self.fields(item, there.pop(item[key]), entry["options"], here)
            else:
                self.add(here, None, item, entry)
        for name, item in there.items():
            if entry["muster"].get("foreign"):
                self.notes.append(f"{self.where} has {'.'.join((*keys, str(name)))}, which is not in the fleet file; "
                                  "it is left as it is")
            else:
                self.add((*keys, str(name)), item, None, entry)

    def leaf(self, want: Any, have: Any, entry: Field, keys: tuple[str, ...]) -> None:
        if want == have:
            return
        ours = entry["muster"]
        if not compared(entry, have):
            self.notes.append(f"{self.where} does not report {'.'.join(keys)}; it is not compared")
        elif ours.get("grows") and have is not None and want < have:
            before, after = people(have, entry), people(want, entry)
            self.refusals.append(f"{'.'.join(keys)} cannot shrink from {before} to {after}, that would cut off data; "
                                 f"write {before}, or move the data to a new disk")
        else:
            self.add(keys, have, want, entry)

    def add(self, keys: tuple[str, ...], before: Any, after: Any, entry: Field) -> None:
        how = entry["muster"]["change"]
        self.changes.append(Change(keys, before, after, how, _REASONS.get(how, "")))


def filled(value: Any, entry: Field) -> Any:
    """`value` with the defaults of the table in the place of what is absent, at every depth."""
    if value is None:
        return entry["muster"].get("default")
    if isinstance(value, (list, tuple)):
        return [filled(item, {**entry, "type": "dict"}) for item in value]
    if isinstance(value, Mapping) and "options" in entry:
        options: Mapping[str, Field] = entry["options"]
        complete = {}
        for name, option in options.items():
            item = value.get(name)
            if item is None and option["type"] == "dict":
                continue
            whole = filled(item, option)
            if whole is not None:
                complete[name] = whole
        return complete
    return value


def _refined(change: Change, actual: VM, refine: Refine | None) -> Change:
    if refine is None:
        return change
    how = refine(change, actual)
    if how not in SEVERITY[1:5]:
        raise ValueError(f"a driver says '{how}' for {change.field}; it may say {', '.join(SEVERITY[1:5])}")
    if SEVERITY.index(how) <= SEVERITY.index(change.how):
        return change
    return replace(change, how=how, reason=_REASONS.get(how, "the platform asks for it"))


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, (list, tuple)) else value


def _put(spec: dict[str, Any], fields: Mapping[str, Field], keys: tuple[str, ...], value: Any) -> None:
    """Set what `keys` lead to; None removes it. A list is entered by the key of its items."""
    name, *rest = keys
    if not rest:
        if value is None:
            spec.pop(name, None)
        else:
            spec[name] = _copy(value)
        return
    entry = fields[name]
    key = entry["muster"].get("key")
    if key is None:
        _put(spec.setdefault(name, {}), entry.get("options", {}), tuple(rest), value)
        return
    items = spec.setdefault(name, [])
    found = next((item for item in items if str(item[key]) == rest[0]), None)
    if len(rest) > 1 and found is not None:
        _put(found, entry["options"], tuple(rest[1:]), value)
    elif value is None:
        items.remove(found)
    else:
        items.append(_copy(value))
