"""The functions that an expression may call: JMESPath's own, and those that rules on VMs need.

Each is pure. `signature` has the accepted types of each argument in JMESPath's words; compiled expressions check
them, and that nothing absent is among the arguments, before they call `run`. A `run` raises `CallError` with a
sentence, or returns None where JMESPath answers null. What decides about absence, equality or an expression for each
item is in `calls.py`; `SPECIAL` lists it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ..model import units
from .runtime import kind

CLOCK_SKEW = timedelta(minutes=5)
ANY = ("boolean", "number", "string", "array", "object", "null")
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?([eE][-+]?[0-9]{1,2})?")
_VERSION = re.compile(r"v?([0-9]{1,9})(?:\.([0-9]{1,9}))?(?:\.([0-9]{1,9}))?"
                      r"(?:-([0-9A-Za-z.-]{1,80}))?(?:\+[0-9A-Za-z.-]{0,80})?")


class CallError(ValueError):
    """A function got what it cannot use."""


@dataclass(frozen=True)
class Function:
    """`signature` has the types of each argument; the last repeats where `variadic`. `run` gets the arguments after
    the time that is now where `timed`. `elements`: the types of the items of a list argument, all of one of them.
    `deep`: it reads all that is in its arguments, not only their first level. `answer`: the type of what it gives,
    where it gives something of one type for all that it accepts. `flat`: it does the same little work however long its
    arguments are."""

    signature: tuple[tuple[str, ...], ...]
    run: Callable[..., Any]
    text: str
    variadic: bool = False
    timed: bool = False
    elements: tuple[str, ...] = ()
    deep: bool = False
    answer: str = ""
    flat: bool = False

    def accept(self, name: str, values: tuple[Any, ...]) -> None:
        """Raises CallError where one of `values` is not of its type."""
        for number, value in enumerate(values):
            kinds = self.signature[min(number, len(self.signature) - 1)]
            if kind(value) not in kinds:
                raise CallError(f"{name}() needs a {' or a '.join(kinds)} and got a {kind(value)}")
            if self.elements and isinstance(value, list):
                found = {kind(item) for item in value}
                if len(found) > 1 or not found <= set(self.elements):
                    raise CallError(f"{name}() needs a list of {' or '.join(self.elements)}s and got "
                                    f"{' and '.join(sorted(found))}")


def _unit(parse: Callable[[object], int]) -> Callable[..., int]:
    def run(value: Any) -> int:
        try:
            return parse(value)
        except ValueError as error:
            raise CallError(str(error)) from None

    return run


def _age(now: datetime, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text[:64])
    except ValueError:
        raise CallError(f"'{text:.40}' is not a time; write it as 2026-01-31T12:00:00Z") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        age = now - moment
    except OverflowError:
        raise CallError(f"'{text:.40}' is out of range for a time") from None
    if age < -CLOCK_SKEW:
        # A restore point from the future would stay young for ever.
        raise CallError(f"'{text:.40}' lies in the future; check the clock of the host that wrote it")
    return max(0, int(age.total_seconds()))


def _sum(values: list[Any]) -> int | float:
    try:
        total: int | float = sum(values)
    except OverflowError:
        total = math.inf
    if not -math.inf < total < math.inf:  # it would compare as it likes
        raise CallError("sum() of these numbers is out of range")
    return total


def _number(value: Any) -> int | float | None:
    if not isinstance(value, str):
        return value if kind(value) == "number" else None
    text = value.strip()
    if not text.isascii() or not _NUMBER.fullmatch(text):
        return None
    return float(text) if set(text) & set(".eE") else int(text)


def _network(text: str) -> Any:
    import ipaddress  # few rules ask, and it takes longer to read than most rules take to run

    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise CallError(f"'{text:.60}' is not a network; write it as 10.0.0.0/8") from None


def _cidr_contains(network: str, address: str) -> bool:
    outer, inner = _network(network), _network(address)
    return outer.version == inner.version and bool(inner.subnet_of(outer))


def _version(text: str) -> tuple[Any, ...]:
    match = _VERSION.fullmatch(text)
    if not match:
        raise CallError(f"'{text:.60}' is not a version; write it as 2.4.1")
    numbers = tuple(int(part or 0) for part in match.groups()[:3])
    # Semantic Versioning: a pre-release comes before its release; its numbers come before its words.
    before = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in (match[4] or "").split("."))
    return (*numbers, 0 if match[4] else 1, before if match[4] else ())


def _semver_compare(left: str, right: str) -> int:
    first, second = _version(left), _version(right)
    return (first > second) - (first < second)


def _merge(*objects: dict[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for one in objects:
        merged.update(one)
    return merged


def _to_string(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


_LIST, _TEXT, _NUMBERS, _OBJECT = ("array",), ("string",), ("number",), ("object",)
_ORDERED = ("number", "string")

FUNCTIONS: dict[str, Function] = {
    "abs": Function((_NUMBERS,), abs, "A number without its sign.", answer="number"),
    "age": Function((_TEXT,), _age, "Seconds since a time in ISO 8601; a time in the future is an error.", timed=True,
                    answer="number", flat=True),
    "avg": Function((_LIST,), lambda values: _sum(values) / len(values) if values else None,
                    "Average of a list of numbers; not known for an empty one.", elements=_NUMBERS),
    "ceil": Function((_NUMBERS,), math.ceil, "The next whole number upwards.", answer="number"),
    "cidr_contains": Function((_TEXT, _TEXT), _cidr_contains,
                              "Whether a network holds an address or network: cidr_contains('10.0.0.0/8', address).",
                              answer="boolean"),
    "duration": Function((("string", "number"),), _unit(units.parse_duration),
                         "Seconds of a duration: duration('24h').", answer="number"),
    "ends_with": Function((_TEXT, _TEXT), str.endswith, "Whether a text ends with another.",
                          answer="boolean", flat=True),
    "floor": Function((_NUMBERS,), math.floor, "The next whole number downwards.", answer="number"),
    "join": Function((_TEXT, _LIST), str.join, "The texts of a list, joined by a text.", elements=_TEXT,
                     answer="string"),
    "keys": Function((_OBJECT,), list, "Keys of an object.", answer="array"),
    "length": Function((("string", "array", "object"),), len, "Number of characters, items or keys.",
                       answer="number", flat=True),
    "lower": Function((_TEXT,), str.lower, "A text in lower case.", answer="string"),
    "max": Function((_LIST,), lambda values: max(values) if values else None,
                    "Largest of a list of numbers or texts; not known for an empty one.", elements=_ORDERED),
    "merge": Function((_OBJECT,), _merge, "Objects in one; the last has the word.", variadic=True, answer="object"),
    "min": Function((_LIST,), lambda values: min(values) if values else None,
                    "Smallest of a list of numbers or texts; not known for an empty one.", elements=_ORDERED),
    "reverse": Function((("string", "array"),), lambda value: value[::-1], "A text or a list from its end."),
    "semver_compare": Function((_TEXT, _TEXT), _semver_compare,
                               "-1, 0 or 1: whether a semantic version is before, the same as or after another.",
                               answer="number"),
    "size": Function((("string", "number"),), _unit(units.parse_size), "Bytes of a size: size('2 GiB').",
                     answer="number"),
    "sort": Function((_LIST,), sorted, "A list of numbers or texts in their order.", elements=_ORDERED, answer="array"),
    "starts_with": Function((_TEXT, _TEXT), str.startswith, "Whether a text starts with another.",
                            answer="boolean", flat=True),
    "sum": Function((_LIST,), _sum, "Sum of a list of numbers.", elements=_NUMBERS, answer="number"),
    "to_array": Function((ANY,), lambda value: value if isinstance(value, list) else [value],
                         "A list as it is, anything else as a list of it.", answer="array", flat=True),
    "to_number": Function((ANY,), _number, "A number from text such as '22' or '-1.5'; not known for other text."),
    "to_string": Function((ANY,), _to_string, "A text as it is, anything else as JSON.", deep=True, answer="string"),
    "type": Function((ANY,), kind, "'boolean', 'number', 'string', 'array', 'object' or 'null'.",
                     answer="string", flat=True),
    "values": Function((_OBJECT,), lambda value: list(value.values()), "Values of an object.", answer="array"),
    "version_at_least": Function((_TEXT, _TEXT), lambda found, wanted: _semver_compare(found, wanted) >= 0,
                                 "Whether a semantic version is another one or newer: version_at_least(v, '2.4.1').",
                                 answer="boolean"),
}


@dataclass(frozen=True)
class Special:
    """A function that compiled code carries out itself. `item`: the argument that is an expression for each item."""

    arguments: int
    text: str
    item: int | None = None
    variadic: bool = False


SPECIAL: dict[str, Special] = {
    "all": Special(2, "Whether an expression is true for every item: all(disks, &encrypted).", item=1),
    "any": Special(2, "Whether an expression is true for an item at least: any(nics, &connected).", item=1),
    "contains": Special(2, "Whether a list has an item, or a text a part."),
    "default": Special(2, "The first value, or the second where the first is not set."),
    "map": Special(2, "What an expression gives for each item: map(&size, disks).", item=0),
    "matches": Special(2, "Whether a pattern occurs in a text: matches('^[a-z]+$', name)."),
    "max_by": Special(2, "The item for which an expression is largest; not known for an empty list.", item=1),
    "min_by": Special(2, "The item for which an expression is smallest; not known for an empty list.", item=1),
    "not_null": Special(1, "The first of its arguments that is set.", variadic=True),
    "one_of": Special(2, "Whether a value is one of a list: one_of(tags.environment, ['test', 'production'])."),
    "present": Special(1, "Whether a value is set and not empty. The one way to make a missing value fail."),
    "sort_by": Special(2, "A list in the order of what an expression gives for its items.", item=1),
}
