"""What compiled expressions call while they run: truth, equality, what is lost on the way, and the bound on their work.

A `Budget` is a list of one number, the work that was done: generated code adds to it before it loops.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .documents import Absent
from .patterns import Pattern

MAX_WORK = 200_000
_TEXT = 64  # characters that are read in about the time of one unit of work
_PATTERN = 4  # steps of a pattern that are done in about the time of one unit of work

Budget = list[int]


class EvaluationError(ValueError):
    """The expression cannot be evaluated on this document; its text is a sentence."""


def spend(budget: Budget, work: int) -> None:
    """Add `work` to what was done. Raises EvaluationError past the bound."""
    budget[0] += work
    if budget[0] > MAX_WORK:
        raise EvaluationError(f"it takes more than {MAX_WORK} steps on this document; narrow the rule")


def kind(value: Any) -> str:
    """The name of the type of `value` in JMESPath's words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def truthy(value: Any) -> bool:
    """JMESPath's truth: false, null, empty text, empty list and empty object are false; 0 is true."""
    return not (value is False or value is None or value == "" or value == [] or value == {})


def lost(value: Any, missing: Absent) -> Absent:
    """What a step into `value` gives where it is no object or list: `missing`, or its unsettled twin."""
    return Absent(missing.path, False, value.hidden) if value.__class__ is Absent and not value.settled else missing


def of_item(absent: Absent, items: Iterable[Any], item: Any) -> Absent:
    """`absent`, met in `item` of a list: it says in which one."""
    number = next((number for number, one in enumerate(items) if one is item), 0)
    return Absent(f"{absent.path} of item {number}", absent.settled, absent.hidden)


def later(first: Any, second: Any) -> Any:
    """Of two absent values between which nothing is decided the one that speaks for both: what is known only after
    apply can still decide, so nothing may settle it before."""
    return second if first is None or (first.settled and second.__class__ is Absent and not second.settled) else first


def hole(items: Iterable[Any]) -> Absent | None:
    """The first absent item."""
    for item in items:
        if item.__class__ is Absent:
            found: Absent = item
            return found
    return None


def same(left: Any, right: Any, budget: Budget) -> Any:
    """Whether two values are equal: true and 1 are not. Absent where a part that decides it is."""
    if left.__class__ is Absent or right.__class__ is Absent:
        return left if left.__class__ is Absent else right
    spend(budget, 1)
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        if len(left) != len(right):
            return False
        spend(budget, len(left))
        if left.keys() != right.keys():
            return False
        pairs = [(left[key], right[key]) for key in left]
    elif isinstance(left, list) and isinstance(right, list):
        if len(left) != len(right):
            return False
        pairs = list(zip(left, right, strict=True))
    else:
        return bool(left == right)
    absent: Absent | None = None
    for pair in pairs:
        verdict = same(*pair, budget)
        if verdict is False:
            return False
        if verdict is not True:
            absent = later(absent, verdict)
    return True if absent is None else absent


def within(whole: Any, part: Any, budget: Budget, function: str) -> Any:
    """Whether the list `whole` has the item `part`, or the text `whole` the part `part`; Absent where it depends."""
    if isinstance(whole, str) and function == "contains":
        spend(budget, len(whole) // _TEXT)
        return isinstance(part, str) and part in whole
    if not isinstance(whole, list):
        raise EvaluationError(f"{function}() looks in a list and got a {kind(whole)}")
    spend(budget, len(whole))
    absent: Absent | None = None
    for item in whole:
        verdict = same(item, part, budget)
        if verdict is True:
            return True
        if verdict is not False:
            absent = later(absent, verdict)
    return False if absent is None else absent


def ordered(left: Any, right: Any) -> None:
    """Two values that are not both numbers have no order. Raises EvaluationError."""
    raise EvaluationError(f"a {kind(left)} and a {kind(right)} have no order; compare two numbers")


def comparable(left: Any, right: Any) -> bool:
    """Whether JMESPath itself gives two values an order: two numbers or two strings."""
    kinds = kind(left), kind(right)
    return kinds in (("number", "number"), ("string", "string"))


def present(value: Any) -> bool:
    """Whether a value that is there is more than nothing: a text with a visible character, a list with an item."""
    return bool(value.strip()) if isinstance(value, str) else value != [] and value != {}


def search(pattern: Pattern, text: str, budget: Budget) -> bool:
    """Whether `pattern` occurs in `text`."""
    if not isinstance(text, str):
        raise EvaluationError(f"matches() needs a string and got a {kind(text)}")
    spend(budget, pattern.work(text) // _PATTERN)
    try:
        return pattern.search(text)
    except ValueError as error:
        raise EvaluationError(str(error)) from None


# Whether all of some types are numbers', or texts'.
numbers = frozenset((int, float)).issuperset
texts = frozenset((str,)).issuperset


def flat(items: list[Any], budget: Budget) -> list[Any]:
    """`items` with the items of each list among them in its place."""
    merged: list[Any] = []
    for item in items:
        if item.__class__ is list:
            spend(budget, len(item))
            merged.extend(item)
        else:
            merged.append(item)
    return merged


def weigh(value: Any, budget: Budget) -> None:
    """Count what a function will read of `value`: the items of a list, the characters of a text."""
    if isinstance(value, str):
        spend(budget, len(value) // _TEXT)
    elif isinstance(value, (list, dict)):
        spend(budget, len(value))


def weigh_all(value: Any, budget: Budget) -> Absent | None:
    """Count all that is in `value`, as often as it is in it. Returns what is absent in it."""
    waiting = [value]
    absent: Absent | None = None
    while waiting:
        one = waiting.pop()
        spend(budget, 1)
        weigh(one, budget)
        if isinstance(one, (list, dict)):
            waiting.extend(one.values() if isinstance(one, dict) else one)
        elif one.__class__ is Absent:
            absent = absent or one
    return absent


def weigh_texts(items: list[Any], budget: Budget, separator: str = "") -> None:
    """Count the characters of texts that are joined or ordered: one text may be in a list many times."""
    spend(budget, (sum(map(len, items)) + len(separator) * len(items)) // _TEXT)
