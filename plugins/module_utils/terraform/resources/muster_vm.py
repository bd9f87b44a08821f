"""``muster_vm``: read by the field table alone, so a new field of the model is read without a line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...model.errors import nearest
from ...model.fields import VM_FIELDS, Field
from ...model.units import parse_duration, parse_size
from ..draft import Draft, Part
from ..errors import TerraformError, named
from ..resource import Resource
from ..shapes import MAX_NUMBER
from ..world import World

_TYPES = {"str": str, "int": int, "bool": bool}
_TIMEOUTS: Any = {"options": {"create": {}, "update": {}, "delete": {}}}  # of the resource, and nothing of a VM
_WORDS = {"str": "text", "int": "a whole number", "bool": "true or false", "list": "a list", "dict": "a mapping"}


def read_vm(resource: Resource, draft: Draft, world: World) -> None:
    """The document of a ``muster_vm``."""
    for name, entry in {**VM_FIELDS, "timeouts": _TIMEOUTS}.items():
        if "options" in entry:
            written = world.references.expression(resource, (name,))
            if isinstance(written, dict):
                _all_known(written.get("constant_value"), entry, name, resource.address)
    values = resource.read(dict)
    draft.document["owned"] = True  # Muster's own resource writes the ownership mark
    draft.root.put("name", _scalar(values.get("name"), {"type": "str", "muster": {}}, "name", resource.address), "name")
    for name in ("site", "uuid"):
        draft.root.put(name, _scalar(values.get(name), {"type": "str", "muster": {}}, name, resource.address), name)
    _fill(draft.root, values, VM_FIELDS, "", resource.address)


def _all_known(written: Any, entry: Mapping[str, Any], path: str, address: str) -> None:
    """Refuse what Terraform dropped without a word, as it does with each key of an object that its schema lacks. The
    configuration still has it, where the attribute is a constant."""
    if isinstance(written, list):
        for index, item in enumerate(written):
            _all_known(item, entry, f"{path}[{index}]", address)
    elif isinstance(written, dict) and "options" in entry:
        for key, value in written.items():
            if key not in entry["options"]:
                told = f"{named(f'{path}.{key}')} is no field, and Terraform dropped it without a word"
                raise TerraformError(f"{named(address)}: {told}; {nearest(key, entry['options'])}")
            _all_known(value, entry["options"][key], f"{path}.{key}", address)


def _fill(part: Part, values: Mapping[str, Any], fields: Mapping[str, Field], where: str, address: str) -> None:
    for name, entry in fields.items():
        value = values.get(name)
        path = f"{where}.{name}" if where else name
        if entry["type"] == "dict":
            _mapping(part, name, value, entry, path, address)
        elif entry["type"] == "list":
            _list(part, name, value, entry, path, address)
        else:
            part.put(name, _scalar(value, entry, path, address))


def _mapping(part: Part, name: str, value: Any, entry: Field, path: str, address: str) -> None:
    """A dict: a nested attribute, or a block that Terraform writes as a list of one."""
    block = isinstance(value, list)
    if block:
        value = value[0] if value else None
    if value is None:
        part.put(name, None)
        return
    if not isinstance(value, dict):
        raise _wrong(path, "dict", address)
    if "options" not in entry:
        part.texts(name, {key: _scalar(item, {"type": "str", "muster": {}}, f"{path}.{key}", address)
                          for key, item in value.items()})
        return
    inner = part.inner(name, 0 if block else None)
    if inner is not None:
        _fill(inner, value, entry["options"], path, address)


def _list(part: Part, name: str, value: Any, entry: Field, path: str, address: str) -> None:
    if value is None:
        part.put(name, None)
        return
    if not isinstance(value, list):
        raise _wrong(path, "list", address)
    if entry.get("elements") != "dict":
        items = [_scalar(item, {**entry, "type": entry.get("elements", "str")}, f"{path}[]", address)
                 for item in value]
        part.put(name, items or None)
        return
    first, other = entry["muster"].get("names", (None, None))
    for index, item in enumerate(value):
        inner = part.inner_item(name, index)
        if inner is None:
            return
        if item is None:
            continue
        if not isinstance(item, dict):
            raise _wrong(f"{path}[{index}]", "dict", address)
        _fill(inner, item, entry["options"], f"{path}[{index}]", address)
        if first and "name" not in inner.values and not inner.covers("name"):
            inner.values["name"] = first if index == 0 else other.format(index)


def _scalar(value: Any, entry: Field, path: str, address: str) -> Any:
    if value is None:
        return None
    unit = entry["muster"].get("unit")
    wanted = entry["type"]
    if unit and isinstance(value, (str, int)) and not isinstance(value, bool):
        if value in (0, "0"):
            return 0
        try:
            return parse_size(value) if unit == "size" else parse_duration(value)
        except ValueError:
            example = "2 GiB" if unit == "size" else "24h"
            raise TerraformError(f"{named(address)}: {named(path)} is not a {unit}; write a number with a unit, such "
                                 f"as {example}") from None
    if wanted == "str" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, _TYPES[wanted]) or (wanted == "int" and isinstance(value, bool)):
        raise _wrong(path, wanted, address)
    if isinstance(value, int) and abs(value) > MAX_NUMBER:
        raise TerraformError(f"{named(address)}: {named(path)} is a number beyond all bounds; write a smaller one")
    return value


def _wrong(path: str, wanted: str, address: str) -> TerraformError:
    return TerraformError(f"{named(address)}: {named(path)} is not {_WORDS[wanted]}; make the plan again with the "
                          "provider of this version of Muster")
