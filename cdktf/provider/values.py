"""Between Terraform's values and the normal form, by the field table alone.

Terraform's side is plain data in which None is null and `Unknown` a value that comes with the apply; sizes and
durations are text. Text that means the same (``2 GiB``, ``2048 MiB``) is the same value: what is in the state stays as
it is written there.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from muster.model.consistency import complete
from muster.model.errors import ModelError
from muster.model.fields import VM_FIELDS, Field, compared
from muster.model.normal import layer, without_unset
from muster.model.planner import filled, people
from muster.model.units import parse_duration, parse_size
from tf.types import Unknown

Keys = tuple[str | int, ...]
Fields = Mapping[str, Field]
Values = Mapping[str, Any]
# What `complete` holds against each other: with one of them unknown it would see less than there is.
_TOGETHER = ("cpus", "cpu_topology", "cpu_reservation", "cpu_limit", "memory", "memory_minimum", "memory_reservation",
             "memory_limit", "firmware", "secure_boot", "schedule", "protection", "nics")


@dataclass(frozen=True)
class Desired:
    """What a configuration asks of a VM: `spec` in normal form without what is `unknown` yet, and what is wrong."""

    spec: dict[str, Any]
    unknown: tuple[Keys, ...]
    problems: tuple[ModelError, ...]

    def document(self) -> dict[str, Any]:
        """The spec as rules see it, with the paths that are known only after apply."""
        return {**self.spec, "unknown": [path_text(keys) for keys in self.unknown]}


def read(config: Values) -> Desired:
    """The VM that `config` asks for."""
    unknown: list[Keys] = []
    spec = _known(config, VM_FIELDS, (), unknown)
    found: list[ModelError] = []
    normal: dict[str, Any] = {}
    for name, value in spec.items():
        kept, wrong = _normal_field(name, json.dumps(value))
        normal.update(kept)
        found.extend(wrong)
    problems = [error for error in found if not _touches(error.keys, unknown)]
    if not problems and not any(keys[0] in _TOGETHER for keys in unknown):
        complete(normal, (), problems)
    return Desired(normal, tuple(unknown), tuple(problems))


@functools.lru_cache(maxsize=1024)
def _normal_field(name: str, text: str) -> tuple[dict[str, Any], tuple[ModelError, ...]]:
    """The normal form of one field, given as JSON, and what is wrong with it. Nobody changes it: most of it is the same
    for a thousand VMs."""
    found: list[ModelError] = []
    normal = without_unset(layer({name: json.loads(text)}, {name: VM_FIELDS[name]}, (), found))
    return normal, tuple(found)


def _known(values: Values, fields: Fields, path: Keys, unknown: list[Keys]) -> dict[str, Any]:
    spec = {}
    for name, entry in fields.items():
        value = values.get(name)
        if value is not None:  # most fields are not set
            known = _known_value(value, entry, (*path, name), unknown)
            if known is not None:
                spec[name] = known
    return spec


def _known_value(value: Any, entry: Field, path: Keys, unknown: list[Keys]) -> Any:
    if value is Unknown:
        unknown.append(path)
        return None
    if isinstance(value, list):
        key = entry["muster"].get("key")
        if Unknown in value or (key and any(item and item.get(key) is Unknown for item in value)):
            unknown.append(path)  # nobody can say which item is which
            return None
        if "options" in entry:
            return [_known(item or {}, entry["options"], (*path, index), unknown) for index, item in enumerate(value)]
        return value
    if isinstance(value, dict):
        if "options" in entry:
            return _known(value, entry["options"], path, unknown)
        unknown.extend((*path, name) for name, item in value.items() if item is Unknown)
        return {name: item for name, item in value.items() if item is not Unknown}
    return value


def _touches(keys: Keys, unknown: list[Keys]) -> bool:
    """Whether a problem is about a field that is unknown, or about something that holds one."""
    return any(other[: len(keys)] == keys or keys[: len(other)] == other for other in unknown)


def planned(config: Values, prior: Values | None, fields: Fields = VM_FIELDS) -> dict[str, Any]:
    """What will be after apply: the configuration, where it says nothing what was there, and where both mean the same
    the text that is in the state."""
    before = prior or {}
    after = {}
    for name, entry in fields.items():
        value, there = config.get(name), before.get(name)
        after[name] = there if value is None or value == there else _planned(value, there, entry)
    return after


def _planned(config: Any, prior: Any, entry: Field) -> Any:
    if config is Unknown:
        return Unknown
    if "options" in entry:
        if entry["type"] == "dict":
            return planned(config, prior, entry["options"])
        if "key" not in entry["muster"]:
            return prior if _same(config, prior, entry) else config
        if Unknown in config:
            return config  # nobody can say which item is which
        there = dict(_named(prior or [], entry))
        items = []
        for index, (name, item) in enumerate(_named(config, entry)):
            old = there.get(name)
            merged = planned(item, old, entry["options"])
            if old is not None and (index >= len(prior) or prior[index] is not old):
                # Terraform compares by place: text of another place would be one that nobody wrote.
                merged.update({key: value for key, value in item.items() if value is not None})
            items.append(merged)
        return items
    return prior if _same(config, prior, entry) else config


def _named(items: list[Any], entry: Field) -> Iterator[tuple[Any, Any]]:
    """Each item with what identifies it, which its place decides where nothing else does."""
    ours = entry["muster"]
    first, other = ours.get("names", (None, ""))
    for index, item in enumerate(items):
        name = item.get(ours["key"]) if isinstance(item, dict) else None
        yield name if name is not None else (first if index == 0 else other.format(index)), item


def _same(one: Any, two: Any, entry: Field) -> bool:
    if two is None:
        return False
    return bool(one == two or (_comparable(one) and _normal(one, entry) == _normal(two, entry)))


def _comparable(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_comparable, value.values()))
    return all(map(_comparable, value)) if isinstance(value, list) else value is not Unknown


def _normal(value: Any, entry: Field) -> Any:
    """`value` in normal form with the table's defaults; what is wrong equals nothing but itself."""
    problems: list[ModelError] = []
    normal = layer({"it": value}, {"it": entry}, (), problems).get("it")
    return ("wrong", repr(value)) if problems else filled(_clean(normal), entry)


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items() if item is not None}
    return [_clean(item) for item in value] if isinstance(value, list) else value


def refreshed(prior: Values, actual: Values, fields: Fields = VM_FIELDS) -> dict[str, Any]:
    """The state as it is now: of the fields that it holds, what `actual` (normal form) has. What is the same keeps its
    text, and what the state does not hold is not managed and stays out."""
    return {name: None if (value := prior.get(name)) is None else _refreshed(value, actual.get(name), entry)
            for name, entry in fields.items()}


def _refreshed(value: Any, have: Any, entry: Field) -> Any:
    ours = entry["muster"]
    if "options" in entry and entry["type"] == "dict":
        return refreshed(value, have or {}, entry["options"])
    if "key" in ours:
        there = {item[ours["key"]]: item for item in have or ()}
        items = [refreshed(item, there.pop(name), entry["options"])
                 for name, item in _named(value, entry) if name in there]
        extra = [] if ours.get("foreign") else there.values()  # a disk that nobody named may be somebody's data
        return [*items, *(observed(item, entry["options"]) for item in extra)]
    if value == have or (isinstance(value, str) and "unit" in ours and _parsed(value, ours["unit"]) == have):
        return value  # as most of it is: the rest of this takes its time
    if "keys" in ours:
        return value if _normal(value, entry) == (have or {}) else dict(have or {})
    if _normal(value, entry) == filled(have, entry) or not compared(entry, have):
        return value
    return _observed(have, entry)


@functools.lru_cache(maxsize=4096)
def _parsed(text: str, unit: str) -> int | None:
    """The number that a size or a duration is; None where it is none."""
    try:
        return parse_size(text) if unit == "size" else parse_duration(text)
    except ValueError:
        return None


def observed(actual: Values, fields: Fields = VM_FIELDS) -> dict[str, Any]:
    """All that `actual` (normal form) says, as Terraform has it: what an import begins with."""
    return {name: _observed(actual.get(name), entry) for name, entry in fields.items()}


def _observed(have: Any, entry: Field) -> Any:
    if have is None:
        return None
    if "options" in entry:
        if entry["type"] == "dict":
            return observed(have, entry["options"])
        return [observed(item, entry["options"]) for item in have]
    if isinstance(have, (list, tuple)):
        return list(have)
    shown = people(have, entry)
    return str(shown) if entry["type"] == "str" and not isinstance(shown, str) else shown


def path_text(keys: Keys) -> str:
    """``("disks", 0, "size")`` as ``disks[0].size``."""
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text


def path(keys: Keys, values: Values, fields: Fields = VM_FIELDS) -> list[Any]:
    """`keys` as the framework writes a path, as far as `values` has it: Terraform shows the line of what is there."""
    steps: list[Any] = []
    here: Any = values
    entries: Fields | None = fields
    for key in keys:
        if isinstance(here, dict) and entries is not None and key in entries:
            steps.append(key)
            entry = entries[str(key)]
            here, entries = here.get(str(key)), entry.get("options") or entry["muster"].get("values")
        elif _inside(key, here, entries):
            steps.append((key,))
            here = here[key]
        else:
            break
        if here is None or here is Unknown:
            if here is None and len(steps) > 1:
                steps.pop()  # it is not written: what should hold it is
            break
    return steps


def named(field: str, values: Values) -> list[Any]:
    """`path` of a field as drivers and the planner name it, items by their names: ``disks.root.size``."""
    keys: list[str | int] = []
    here: Any = values
    entry: Any = {"options": VM_FIELDS}
    for part in field.split("."):
        if isinstance(here, list):
            places = {name: index for index, (name, item) in enumerate(_named(here, entry)) if item is not Unknown}
            if part not in places:
                break
            keys.append(places[part])
            here = here[places[part]]
        else:
            keys.append(part)
            entry = (entry.get("options") or {}).get(part) or {}
            here = here.get(part) if isinstance(here, dict) else None
    return path(tuple(keys), values)


def _inside(key: str | int, here: Any, entries: Fields | None) -> bool:
    """Whether `key` is the place of an item of a list, or a free name of a mapping."""
    if isinstance(here, list):
        return isinstance(key, int) and key < len(here)
    return isinstance(here, dict) and entries is None and key in here
