"""Between a VM in normal form and the values of a resource in Terraform's JSON.

Text of a fleet file is data: what Terraform would evaluate in it is escaped. Text that somebody's own program hands to
a construct may be an expression or a token of the CDK, whose value comes with the apply.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from muster.model.errors import ModelError, format_path
from muster.model.fields import VM_FIELDS, Field
from muster.model.normal import layer, without_unset
from muster.model.planner import people

Keys = tuple[str | int, ...]
Spec = Mapping[str, Any]
_TOKEN = "TfToken["  # noqa: S105 - how the CDK writes a value that it fills in later
_PLAIN = (str, int, float, bool, type(None))


def escaped(text: str) -> str:
    """`text` so that Terraform takes it as it is. Raises ModelError for what the CDK would fill in."""
    if _TOKEN in text:
        raise ModelError(f"text with '{_TOKEN}' means a value of the CDK and cannot be written; write another text")
    return text.replace("${", "$${").replace("%{", "%%{")


def written(spec: Spec, fields: Mapping[str, Field] = VM_FIELDS) -> dict[str, Any]:
    """The attributes of a ``muster_vm`` that say what `spec`, in normal form, says."""
    return {name: _written(value, fields[name]) for name, value in spec.items() if value is not None}


def _written(value: Any, entry: Field) -> Any:
    if "options" in entry:
        if isinstance(value, Mapping):
            return written(value, entry["options"])
        return [written(item, entry["options"]) for item in value]
    if isinstance(value, Mapping):
        return {escaped(key): escaped(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_written(item, {**entry, "type": entry.get("elements", "str")}) for item in value]
    return escaped(str(people(value, entry))) if entry["type"] == "str" else value


def grouped(each: Mapping[str, Spec]) -> dict[str, Any]:
    """The attributes of one resource for several VMs, by their names: what is equal is written once, and the rest
    comes from ``each.value``."""
    distinct = list({id(attributes): attributes for attributes in each.values()}.values())
    first = distinct[0]
    every = list(dict.fromkeys(name for attributes in distinct for name in attributes))
    differs = [name for name in every if any(other.get(name) != first.get(name) for other in distinct[1:])]
    common = {name: value for name, value in first.items() if name not in differs}
    if not differs:
        names = ", ".join(f'"{name}"' for name in each)
        return {"for_each": f"${{toset([{names}])}}", "name": "${each.key}", **common}
    values = {name: {key: attributes[key] for key in differs if key in attributes} for name, attributes in each.items()}
    own = {key: f"${{each.value.{key}}}" if all(key in attributes for attributes in distinct) else
           f"${{try(each.value.{key}, null)}}" for key in differs}  # the CDK drops a null
    return {"for_each": values, "name": "${each.key}", **common, **own}


# What a program of somebody hands in.


def unresolved(value: Any) -> bool:
    """Whether `value` is an expression or a token: of text, of a number, of a list, or an object of the CDK."""
    if isinstance(value, str):
        return "${" in value or "%{" in value or _TOKEN in value
    if isinstance(value, float):
        return value < -1e200  # the CDK writes the token of a number as a number that nobody writes
    return not isinstance(value, (*_PLAIN, Mapping, list, tuple))


def read(given: Spec) -> tuple[dict[str, Any], dict[str, Any], tuple[str, ...], list[ModelError]]:
    """What a program asks for: the spec in normal form as far as it is known, the attributes with what comes later,
    the paths that come later, and what is wrong."""
    later: dict[Keys, Any] = {}
    known = _known(given, (), later)
    found: list[ModelError] = []
    spec = without_unset(layer(known, VM_FIELDS, (), found))
    problems = [error for error in found if not _touches(error.keys, later)]
    attributes = {} if problems else written(spec)
    if not problems:
        for keys, value in later.items():
            _put(attributes, keys, value)
    return spec, attributes, tuple(format_path(keys) for keys in later), problems


def _known(value: Any, keys: Keys, later: dict[Keys, Any]) -> Any:
    if unresolved(value) or (isinstance(value, (list, tuple)) and any(map(unresolved, value))):
        later[keys] = value
        return None
    if isinstance(value, Mapping):
        return {name: _known(item, (*keys, name), later) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_known(item, (*keys, index), later) for index, item in enumerate(value)]
    return value


def _touches(keys: Keys, later: Iterable[Keys]) -> bool:
    """Whether a problem is about what comes later, or about something that holds it."""
    return any(other[: len(keys)] == keys or keys[: len(other)] == other for other in later)


def _put(attributes: dict[str, Any], keys: Keys, value: Any) -> None:
    here: Any = attributes
    for key in keys[:-1]:
        here = here.setdefault(key, {}) if isinstance(here, dict) else here[key]
    here[keys[-1]] = value
