"""Why an expectation is false: the values that it read, and of a list the items that decided.

``disks is a list of 8`` helps nobody at night; ``disks[data].encrypted is false`` does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from ..model.units import format_duration, format_size
from .documents import Absent
from .expressions import Expression
from .known import UNITS
from .runtime import truthy
from .tree import Node
from .wording import human_size

_SHOWN = 3
_ITEMS = 2
_LENGTH = 60
_SECRET = re.compile("password|secret|token|private|credential|passphrase", re.IGNORECASE)
_NAMES = ("name", "id", "terraform_address")
_NONE_WANTED = (("eq", 0), ("lte", 0), ("lt", 1))  # how a rule says that a list should have no such item


@dataclass(frozen=True)
class _Quantifier:
    """A part of an expectation that looks at the items of `items`: one for which `body` is `wanted` makes it false."""

    path: str
    items: Expression
    body: Expression
    wanted: bool


def observed(expect: Expression, document: dict[str, Any], now: datetime) -> str:
    """The clause of a finding: ``memory is 268435456 and tags.owner is not set``."""
    parts: list[str] = []
    told: set[str] = set()
    for quantifier in _quantifiers(expect):
        found = list(_items(quantifier, document, now))
        if found:
            told.add(quantifier.path)
            parts.extend(found[:_ITEMS])
            if len(found) > _ITEMS:
                parts.append(f"{len(found) - _ITEMS} more like {'it' if len(found) == _ITEMS + 1 else 'them'}")
    parts.extend(_values(expect, document, "", told, False))
    return " and ".join(parts) or "the expectation is false"


def _values(expression: Expression, document: Any, before: str, told: set[str], secret: bool) -> Iterator[str]:
    """What the paths of `expression` are in `document`, as ``path is value``. `secret`: `document` is, as a whole."""
    paths = [path for path, _steps in expression.steps]
    for path, steps in expression.steps[:_SHOWN]:
        if path in told:
            continue
        value = document
        for step in steps:
            value = _step(value, step)
        name = f"{before}{path}"
        if isinstance(value, Absent):
            yield f"{name} is {value.state}"
        elif isinstance(value, (dict, list)) and any(one.startswith((f"{path}[", f"{path}.")) for one in paths):
            continue  # a list of how many says less than the item of it that decides
        elif secret or _is_secret(path):
            yield f"{name} is set to another value"
        else:
            yield f"{name} is {_shown(value, UNITS.get(str(steps[-1]), ''))}"


def _items(quantifier: _Quantifier, document: dict[str, Any], now: datetime) -> Iterator[str]:
    """The items that decided, each with what its body read."""
    budget = [0]  # one for all: the items after the one that decided were not counted yet
    try:
        items = quantifier.items.run(document, now, budget)
        for number, item in enumerate(items if isinstance(items, list) else ()):
            verdict = quantifier.body.run(item, now, budget)
            if not isinstance(verdict, Absent) and truthy(verdict) is quantifier.wanted:
                yield _item(quantifier, item, number)
    except Exception:  # an explanation is never worth a run: without it, the list is told as a list
        return


def _item(quantifier: _Quantifier, item: Any, number: int) -> str:
    secret = _is_secret(quantifier.path)
    if not isinstance(item, dict):
        return f"{quantifier.path} has {'another value' if secret else _shown(item)}"
    label = next((str(item[key])[:_LENGTH] for key in _NAMES if isinstance(item.get(key), str)), str(number))
    what = f"{quantifier.path}[{label}]"
    values = list(_values(quantifier.body, item, f"{what}.", set(), secret))
    return ", ".join([values[0], *(value.removeprefix(f"{what}.") for value in values[1:])]) if values else what


@lru_cache(maxsize=2_000)
def _quantifiers(expect: Expression) -> tuple[_Quantifier, ...]:
    return tuple(_of(expect, expect.tree, True))


def _of(expect: Expression, node: Node, holds: bool) -> Iterator[_Quantifier]:
    """The quantifiers of `node`, a part of `expect` which the rule wants to be `holds`."""
    kind, children = node["type"], node.get("children", ())
    if kind == "not_expression":
        yield from _of(expect, children[0], not holds)
    elif kind in ("and_expression", "or_expression"):
        for child in children:
            yield from _of(expect, child, holds)
    elif kind == "comparator" and holds and children[0].get("value") == "length" and (
            node["value"], children[1].get("value")) in _NONE_WANTED:
        inner = children[0]["children"][0] if children[0]["type"] == "function_expression" else children[0]
        if inner["type"] == "filter_projection":
            yield _quantifier(expect, inner["children"][0], inner["children"][2], True)
    elif kind == "function_expression" and (node["value"], holds) in (("all", True), ("any", False)):
        yield _quantifier(expect, children[0], children[1]["children"][0], node["value"] == "any")


def _quantifier(expect: Expression, items: Node, body: Node, wanted: bool) -> _Quantifier:
    listed = expect.part(items)
    return _Quantifier(listed.paths[0] if listed.paths else "it", listed, expect.part(body), wanted)


@lru_cache(maxsize=2_000)
def _is_secret(path: str) -> bool:
    """Whether `path`, as a rule writes it, leads to a secret. The name of an item, which a VM chose, does not count."""
    return _SECRET.search(path) is not None


def _step(value: Any, step: str | int) -> Any:
    if isinstance(step, int) and isinstance(value, list):
        return value[step] if -len(value) <= step < len(value) else Absent()
    return value.get(step, Absent()) if isinstance(value, dict) else value if isinstance(value, Absent) else Absent()


def _shown(value: Any, unit: str = "") -> str:
    if unit and value.__class__ is int and value > 999:
        return format_duration(value) if unit == "duration" else _size(value)
    if value.__class__ is bool:
        return "true" if value else "false"
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    if isinstance(value, dict) or (isinstance(value, list) and (len(value) > 3 or any(map(_nested, value)))):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    text = json.dumps(value, ensure_ascii=True, default=lambda absent: None)
    return text if len(text) <= _LENGTH else f"{text[:_LENGTH]}…"


def _size(value: int) -> str:
    """``2 GiB``, ``512 MiB``; what is no whole number of MiB is rounded, with the bytes behind it."""
    return f"{human_size(value)} ({value})" if value % (1 << 20) else format_size(value)


def _nested(value: Any) -> bool:
    return isinstance(value, (dict, list))
