"""From what a person wrote to the normal form: every value checked by the field table, sizes in bytes, durations in
seconds, items named. Absent stays absent.

Ansible's own `ArgumentSpecValidator` has the last word on every scalar, so the fleet file and the modules take the
same values; what it would take too kindly (a bool for a number, ``1e3`` for a count, a number for a tag) is refused
before, each with its path and the fix.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Mapping
from typing import Any

from . import fields as table
from .consistency import complete
from .errors import ModelError, ModelErrors, Path, nearest, show
from .patterns import MEANING
from .units import format_size, parse_duration, parse_size
from .yaml_reader import Word

MAX_TEXT = 1024
MAX_ITEMS = 64

_TEMPLATE = re.compile(r"\{\{|\{%|\{#")
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,39})")
_PYTHON = {"str": str, "int": int, "bool": bool}
_PLAIN = frozenset(_PYTHON.values())  # asked before the abstract Mapping, which takes ten times as long to say no


class _Reported(Exception):
    """A value that was reported already."""


def normalise(
    spec: Mapping[str, Any], fields: Mapping[str, table.Field] | None = None, path: Path | str = "vm"
) -> dict[str, Any]:
    """The normal form of `spec`, of a VM if no other `fields` are given.

    Raises `ModelErrors`, with everything that is wrong, each error with its path.
    """
    keys = (path,) if isinstance(path, str) else path
    problems: list[ModelError] = []
    normal = without_unset(layer(spec, table.VM_FIELDS if fields is None else fields, keys, problems))
    if not problems and fields in (None, table.VM_FIELDS):
        complete(normal, keys, problems)
    if problems:
        raise ModelErrors(problems)
    return normal


def layer(
    spec: object, fields: Mapping[str, table.Field], path: Path, problems: list[ModelError], partial: bool = False
) -> dict[str, Any]:
    """The normal form of one layer (defaults, a VM, an override): each value for itself, what is wrong in `problems`.

    None is kept: it unsets what a layer below has set. With `partial`, required fields of nested dicts may still come
    from another layer.
    """
    if not isinstance(spec, (dict, Mapping)):
        problems.append(ModelError(f"{show(spec)} is not a mapping; write 'field: value' lines", path))
        return {}
    normal: dict[str, Any] = {}
    for name, value in spec.items():
        entry = fields.get(name) if isinstance(name, str) else None
        if entry is None:
            problems.append(ModelError(f"there is no field {show(name)}; {nearest(name, fields)}", (*path, str(name))))
        elif value is None:
            normal[name] = None
        else:
            with contextlib.suppress(_Reported):
                normal[name] = _value(value, entry, (*path, name), problems, partial)
    if not partial:
        required(normal, fields, path, problems, spec)
    return normal


def required(
    normal: Mapping[str, Any], fields: Mapping[str, table.Field], path: Path, problems: list[ModelError],
    written: Mapping[str, Any] | None = None,
) -> None:
    """Report the required fields that `normal` (and what was `written`, right or wrong) lacks, on this level."""
    for name, entry in fields.items():
        if entry.get("required") and normal.get(name) is None and (written is None or written.get(name) is None):
            example = entry["muster"].get("example")
            hint = f", such as '{name}: {example}'" if example is not None else ""
            problems.append(ModelError(f"'{name}' is missing; add it{hint}", path))


def without_unset(normal: Mapping[str, Any]) -> dict[str, Any]:
    """`normal` without the None that unset something, at every depth of its dicts."""
    return {
        key: value if value.__class__ in _PLAIN or not isinstance(value, Mapping) else without_unset(value)
        for key, value in normal.items()
        if value is not None
    }


def _bad(problem: str, path: Path, problems: list[ModelError]) -> _Reported:
    problems.append(ModelError(problem, path))
    return _Reported()


def _value(value: object, entry: table.Field, path: Path, problems: list[ModelError], partial: bool) -> Any:
    type_ = entry["type"]
    if type_ == "list":
        return _list(value, entry, path, problems)
    if type_ == "dict":
        return _dict(value, entry, path, problems, partial)
    return _scalar(value, entry, path, problems)


def _list(value: object, entry: table.Field, path: Path, problems: list[ModelError]) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise _bad(f"{show(value)} is not a list; begin each item with '- '", path, problems)
    ours = entry["muster"]
    limit = ours.get("max_items", MAX_ITEMS)
    if len(value) > limit:
        raise _bad(f"the list has {len(value)} items; at most {limit} are possible", path, problems)
    if entry.get("elements") != "dict":
        element = {**entry, "type": entry.get("elements", "str")}
        items = []
        for index, item in enumerate(value):
            with contextlib.suppress(_Reported):
                items.append(_scalar(item, element, (*path, index), problems))
        return items
    found = [_item(item, index, entry, (*path, index), problems) for index, item in enumerate(value)]
    _unique(found, entry, path, problems)
    return found


def _item(item: object, index: int, entry: table.Field, path: Path, problems: list[ModelError]) -> dict[str, Any]:
    """One dict of a list: a list replaces as a whole, so nothing of an item comes from another layer."""
    ours = entry["muster"]
    normal = without_unset(layer(item, entry["options"], path, problems))
    if "names" in ours and isinstance(item, Mapping) and item.get("name") is None:
        first, other = ours["names"]
        normal = {"name": first if index == 0 else other.format(index), **normal}
    if isinstance(item, Mapping):
        _one_of(item, ours, path, problems)
    return normal


def _one_of(item: Mapping[str, Any], ours: Mapping[str, Any], path: Path, problems: list[ModelError]) -> None:
    if "one_of" not in ours:
        return
    given = [name for name in ours["one_of"] if item.get(name) is not None]
    if len(given) != 1:
        choices = ", ".join(ours["one_of"])
        what = f"{' and '.join(given)} are given" if given else "none is given"
        problems.append(ModelError(f"exactly one of {choices} belongs here and {what}; write one of them", path))


def _unique(items: list[dict[str, Any]], entry: table.Field, path: Path, problems: list[ModelError]) -> None:
    key = entry["muster"].get("key")
    seen: dict[Any, int] = {}
    for index, item in enumerate(items):
        value = item.get(key) if key else None
        if value is None:
            continue
        if value in seen:
            problems.append(ModelError(f"{key} {show(value)} is already that of item [{seen[value]}]; choose another",
                                       (*path, index)))
        seen.setdefault(value, index)


def _dict(value: object, entry: table.Field, path: Path, problems: list[ModelError], partial: bool) -> dict[str, Any]:
    ours = entry["muster"]
    if "options" in entry:
        if isinstance(value, Mapping):
            _one_of(value, ours, path, problems)
        return layer(value, entry["options"], path, problems, partial)
    if not isinstance(value, Mapping):
        raise _bad(f"{show(value)} is not a mapping; write 'name: value' lines", path, problems)
    limit = ours.get("max_items", MAX_ITEMS)
    if len(value) > limit:
        raise _bad(f"there are {len(value)} entries; at most {limit} are possible", path, problems)
    normal: dict[str, Any] = {}
    for name, item in value.items():
        here = (*path, str(name))
        if not isinstance(name, str) or not re.fullmatch(ours["keys"], name):
            problems.append(ModelError(f"{show(name)} cannot be a name here; {MEANING[ours['keys']]}", here))
        elif item is None:
            normal[name] = None
        elif "values" in ours:
            normal[name] = without_unset(layer(item, ours["values"], here, problems))
            if isinstance(item, Mapping):
                _one_of(item, ours, here, problems)
        else:
            with contextlib.suppress(_Reported):
                normal[name] = _quoted(item, ours, here, problems)
    return normal


def _quoted(value: object, ours: Mapping[str, Any], path: Path, problems: list[ModelError]) -> str:
    """Free text, which must have been text: what YAML's readers disagree about is refused, not guessed."""
    if isinstance(value, Word) or not isinstance(value, str):
        if isinstance(value, (Mapping, list, tuple)):
            raise _bad(f"{show(value)} is not text; write one text value", path, problems)
        text = str(value) if isinstance(value, str) else show(value)
        raise _bad(f"{text} is not text to every reader of YAML; write it in quotes, \"{text}\"", path, problems)
    return _text(value, ours, path, problems)


def _scalar(value: object, entry: table.Field, path: Path, problems: list[ModelError]) -> Any:
    ours = entry["muster"]
    if value.__class__ not in _PLAIN and isinstance(value, (Mapping, list, tuple)):
        raise _bad(f"{show(value)} is given where one value belongs; write a single value", path, problems)
    if "unit" in ours:
        return _with_unit(value, ours, path, problems)
    if entry["type"] == "int":
        if not _WHOLE.fullmatch(str(value)):
            raise _bad(f"{show(value)} is not a whole number; write digits only, such as {ours.get('example', 2)}",
                       path, problems)
    elif entry["type"] == "bool":
        if not isinstance(value, (bool, str)):
            raise _bad(f"{show(value)} is neither true nor false; write true or false", path, problems)
    elif not (isinstance(value, bool) and "choices" in entry):
        if isinstance(value, (bool, float)) or not isinstance(value, (str, int)):
            raise _bad(f"{show(value)} is not text; write it in quotes", path, problems)
        value = _text(str(value), ours, path, problems)
    choices = tuple(entry["choices"]) if "choices" in entry else None
    try:
        result = _ansible(entry["type"], choices, str(value) if isinstance(value, str) else value)
    except ValueError:
        if choices:
            raise _bad(f"{show(value)} is not possible; {nearest(value, choices)}", path, problems) from None
        what = "neither true nor false; write true or false" if entry["type"] == "bool" else f"not {entry['type']}"
        raise _bad(f"{show(value)} is {what}", path, problems) from None
    if entry["type"] == "int":
        _bounds(result, ours, path, problems, str)
    return result


@functools.lru_cache(maxsize=4096, typed=True)
def _ansible(type_: str, choices: tuple[str, ...] | None, value: object) -> Any:
    """What Ansible makes of `value` in an argument of this type. Raises ValueError where it refuses.

    A value that is of the type already is what Ansible would give back. So is most of a fleet file, and reading one
    need not wait for Ansible's own imports, which take longer than all the rest.
    """
    if value.__class__ is _PYTHON.get(type_) and (not choices or value in choices):
        return value
    from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

    argument: dict[str, Any] = {"type": type_}
    if choices:
        argument["choices"] = list(choices)
    result = ArgumentSpecValidator({"value": argument}).validate({"value": value})
    if result.error_messages:
        raise ValueError(result.error_messages[0])
    return result.validated_parameters["value"]


def _with_unit(value: object, ours: Mapping[str, Any], path: Path, problems: list[ModelError]) -> int:
    if ours.get("min") == 0 and not isinstance(value, bool) and str(value).strip() == "0":
        return 0
    try:
        number = parse_size(value) if ours["unit"] == "size" else parse_duration(value)
    except ValueError as error:
        # The sentence quotes the value: what is strange in it is escaped.
        raise _bad(str(error).encode("ascii", "backslashreplace").decode(), path, problems) from None
    _bounds(number, ours, path, problems, format_size if ours["unit"] == "size" else str)
    return number


def _bounds(number: int, ours: Mapping[str, Any], path: Path, problems: list[ModelError], shown: Any) -> None:
    low, high = ours.get("min"), ours.get("max")
    if low is not None and number < low:
        raise _bad(f"{shown(number)} is too small; the least is {shown(low)}", path, problems)
    if high is not None and number > high:
        raise _bad(f"{shown(number)} is too large; the most is {shown(high)}", path, problems)


def _text(value: str, ours: Mapping[str, Any], path: Path, problems: list[ModelError]) -> str:
    limit = ours.get("max_length", MAX_TEXT)
    if len(value) > limit:
        raise _bad(f"the text has {len(value)} characters; at most {limit} are possible", path, problems)
    if "{" in value and _TEMPLATE.search(value):
        raise _bad("a template is not allowed, nothing here is rendered; write the value itself", path, problems)
    if not value.isprintable():
        raise _bad(f"{show(value)} holds a control character; remove it", path, problems)
    pattern = ours.get("pattern")
    if pattern and not re.fullmatch(pattern, value):
        raise _bad(f"{show(value)} is not possible; {MEANING[pattern]}", path, problems)
    return str(value)
