"""The functions that an expression may call. Each is pure, bounded and raises `CallError` with a sentence.

They replace JMESPath's own set: fewer, none that can multiply its input, and those that rules on VMs need.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ..model import units
from .patterns import Pattern, PatternError

CLOCK_SKEW = timedelta(minutes=5)


class CallError(ValueError):
    """A function got what it cannot use."""


@dataclass(frozen=True)
class Function:
    """`arguments` is the number of arguments. `run` gets them, none of them absent, after the time that is now."""

    arguments: int
    run: Callable[..., Any]
    text: str


def kind(value: Any) -> str:
    """The name of the type of `value` in JMESPath's words."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return "text" if isinstance(value, str) else "list" if isinstance(value, list) else "object"


def _need(value: Any, function: str, *kinds: str) -> Any:
    if kind(value) not in kinds:
        raise CallError(f"{function}() needs a {' or a '.join(kinds)} and got a {kind(value)}")
    return value


def _numbers(values: Any, function: str) -> list[Any]:
    for value in _need(values, function, "list"):
        _need(value, function, "number")
    found: list[Any] = values
    return found


def _extreme(function: str, choose: Callable[[list[Any]], Any]) -> Callable[..., Any]:
    def run(now: datetime, values: Any) -> Any:
        if not _numbers(values, function):
            raise CallError(f"{function}() of an empty list has no answer; ask for length() first")
        return choose(values)

    return run


def _unit(function: str, parse: Callable[[object], int]) -> Callable[..., int]:
    def run(now: datetime, value: Any) -> int:
        try:
            return parse(_need(value, function, "text", "number"))
        except ValueError as error:
            raise CallError(str(error)) from None

    return run


def _age(now: datetime, value: Any) -> int:
    text = _need(value, "age", "text")
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


def _matches(now: datetime, pattern: Pattern, value: Any) -> bool:
    try:
        return pattern.search(_need(value, "matches", "text"))
    except PatternError as error:
        raise CallError(str(error)) from None


def _number(now: datetime, value: Any) -> int | float:
    text = _need(value, "to_number", "text", "number")
    if not isinstance(text, str):
        number: int | float = text
        return number
    digits = text.strip().removeprefix("-")
    if len(digits) > 15 or not digits.replace(".", "", 1).isdigit() or not digits.isascii():
        raise CallError(f"'{text:.40}' is not a number")
    return float(text) if "." in text else int(text)


FUNCTIONS: dict[str, Function] = {
    "length": Function(1, lambda now, value: len(_need(value, "length", "text", "list", "object")),
                       "Number of characters, items or keys."),
    "keys": Function(1, lambda now, value: list(_need(value, "keys", "object")), "Keys of an object."),
    "values": Function(1, lambda now, value: list(_need(value, "values", "object").values()), "Values of an object."),
    "starts_with": Function(2, lambda now, text, start: _need(text, "starts_with", "text").startswith(
        _need(start, "starts_with", "text")), "Whether a text starts with another."),
    "ends_with": Function(2, lambda now, text, end: _need(text, "ends_with", "text").endswith(
        _need(end, "ends_with", "text")), "Whether a text ends with another."),
    "lower": Function(1, lambda now, text: _need(text, "lower", "text").lower(), "A text in lower case."),
    "min": Function(1, _extreme("min", min), "Smallest number of a list; an error for an empty one."),
    "max": Function(1, _extreme("max", max), "Largest number of a list; an error for an empty one."),
    "sum": Function(1, lambda now, values: sum(_numbers(values, "sum")), "Sum of a list of numbers."),
    "to_number": Function(1, _number, "A number from text such as '22' or '-1.5'."),
    "type": Function(1, lambda now, value: kind(value), "'boolean', 'number', 'text', 'list' or 'object'."),
    "size": Function(1, _unit("size", units.parse_size), "Bytes of a size: size('2 GiB')."),
    "duration": Function(1, _unit("duration", units.parse_duration), "Seconds of a duration: duration('24h')."),
    "age": Function(1, _age, "Seconds since a time in ISO 8601; a time in the future is an error."),
    "matches": Function(2, _matches, "Whether a pattern occurs in a text: matches('^[a-z]+$', name)."),
}

# These decide about absence, equality or a list's items, so the interpreter runs them itself: name, arguments, text.
SPECIAL: dict[str, tuple[int, str]] = {
    "present": (1, "Whether a value is set and not empty. The one way to make a missing value fail."),
    "default": (2, "The first value, or the second where the first is not set."),
    "contains": (2, "Whether a list has an item, or a text a part."),
    "one_of": (2, "Whether a value is one of a list: one_of(tags.environment, ['test', 'production'])."),
    "all": (2, "Whether an expression is true for every item: all(disks, &encrypted)."),
    "any": (2, "Whether an expression is true for an item at least: any(nics, &connected)."),
}
