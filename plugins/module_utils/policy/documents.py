"""A VM document as expressions may see it: plain, bounded, and honest about what is not known.

Documents come from guests, plans and hypervisors, which are not trusted: they are copied into plain JSON types with
bounds on depth, number of values and length of text before any expression touches them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

MAX_DEPTH = 24
MAX_VALUES = 100_000
MAX_TEXT = 65_536
MAX_KEY = 1_024
MAX_TEXTS = 4 << 20  # characters of all texts and keys together
MAX_UNKNOWN = 1_000
_MAX_NUMBER = 1 << 63
_STEP = re.compile(r"([A-Za-z_][A-Za-z0-9_-]{0,127})|\[([0-9]{1,6})\]")
_PATH = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_-]{0,127})(?:\.[A-Za-z_][A-Za-z0-9_-]{0,127}|\[[0-9]{1,6}\]){0,31}")


LATER = "known only after apply"  # of a plan
HIDDEN = "sensitive, so it was not read"  # of a plan or a state
UNTOLD = "not told by the platform"  # of what runs


class DocumentError(ValueError):
    """The document cannot be judged. Its text is a clause that goes after the VM's name."""


@dataclass(frozen=True)
class Absent:
    """A value that is not there. `settled` is False where it will be there later, such as after Terraform's apply, and
    where it is `hidden`: there, and not for us."""

    path: str = ""
    settled: bool = True
    hidden: bool = False

    @property
    def state(self) -> str:
        """In which way it is missing."""
        return "not set" if self.settled else HIDDEN if self.hidden else LATER

    def reason(self) -> str:
        """A clause for a sentence: what is missing and in which way."""
        return f"{self.path or 'a value'} is {self.state}"


def normal(document: Mapping[str, Any]) -> dict[str, Any]:
    """A plain, bounded copy of `document`. Keys that are null are left out: null is "not set".

    The key ``unknown`` lists the paths (``memory``, ``tags.owner``, ``disks[0].size``) whose values come only later;
    each becomes an unsettled `Absent`, a hidden one where ``sensitive`` lists it too. Raises DocumentError.
    """
    if not isinstance(document, Mapping):
        raise DocumentError("is not a mapping of fields")
    copy = _Copier().mapping(document, 0)
    paths = copy.pop("unknown", [])
    if not isinstance(paths, list) or len(paths) > MAX_UNKNOWN:
        raise DocumentError(f"has a field 'unknown' that is not a list of at most {MAX_UNKNOWN} paths")
    sensitive = copy.get("sensitive")
    hidden = sensitive if isinstance(sensitive, list) else ()
    for path in paths:
        _forget(copy, path, path in hidden)
    plain: dict[str, Any] = copy
    return plain


class _Copier:
    """Copies one value and counts what it copied, so that the bound holds for the whole document."""

    def __init__(self) -> None:
        self.values = 0
        self.texts = 0

    def mapping(self, value: Mapping[str, Any], depth: int) -> dict[str, Any]:
        """A copy of `value` without the keys that are null."""
        self.count(len(value), depth)
        copied: dict[str, Any] = {}
        for key, item in value.items():
            if item is None:
                continue
            if key.__class__ is not str or len(key) > MAX_KEY:
                key = self.key(key)
            self.texts += len(key)
            copied[key] = item if item.__class__ is bool else self.copy(item, depth + 1)
        return copied

    def count(self, values: int, depth: int) -> None:
        self.values += values
        if depth > MAX_DEPTH:
            raise DocumentError(f"is nested deeper than {MAX_DEPTH} levels")
        if self.values > MAX_VALUES:
            raise DocumentError(f"holds more than {MAX_VALUES} values")
        if self.texts > MAX_TEXTS:
            raise DocumentError(f"holds more than {MAX_TEXTS} characters of text")

    def copy(self, value: Any, depth: int) -> Any:
        """A copy of one value in plain types. Only values of other classes than JSON's take the longer way."""
        kind = value.__class__
        if kind is str:
            if len(value) > MAX_TEXT:
                raise DocumentError(f"holds a text of more than {MAX_TEXT} characters")
            self.texts += len(value)
            if self.texts > MAX_TEXTS:
                raise DocumentError(f"holds more than {MAX_TEXTS} characters of text")
            return value
        if kind is int:
            if -_MAX_NUMBER < value < _MAX_NUMBER:
                return value
            raise DocumentError("holds a number of more than 63 bits")
        if kind is dict:
            return self.mapping(value, depth)
        if kind is list:
            self.count(len(value), depth)
            return [self.copy(item, depth + 1) for item in value]
        return self.other(value, depth)

    def other(self, value: Any, depth: int) -> Any:
        if value is None:
            return Absent()
        if isinstance(value, bool):
            return bool(value)
        if isinstance(value, int):
            return self.copy(int(value), depth)
        if isinstance(value, float):
            if not math.isfinite(value):
                raise DocumentError("holds a number that is not finite")
            return float(value)
        if isinstance(value, str):
            return self.copy(str.__str__(value), depth)
        if isinstance(value, Mapping):
            return self.mapping(value, depth)
        if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
            return self.copy(list(value), depth)
        raise DocumentError(f"holds a {type(value).__name__}, which is not a value of JSON")

    @staticmethod
    def key(key: Any) -> str:
        if not isinstance(key, str) or len(key) > MAX_KEY:
            raise DocumentError(f"has a key that is not a text of at most {MAX_KEY} characters")
        return str.__str__(key)


@lru_cache(maxsize=4_096)
def _steps(path: str) -> tuple[str | int, ...]:
    """The keys and indices of a path; none where it is not one. The VMs of a plan have nearly the same ones."""
    if not _PATH.fullmatch(path):
        return ()
    return tuple(int(index) if index else name for name, index in _STEP.findall(path))


def _forget(document: dict[str, Any], path: Any, hidden: bool) -> None:
    """Put an unsettled `Absent` at `path`. Where the way there is missing, its first missing step is not known."""
    steps = _steps(path) if isinstance(path, str) else ()
    if not steps:
        raise DocumentError("has a path in 'unknown' that does not look like disks[0].size")
    place: Any = document
    for number, step in enumerate(steps):
        last = number == len(steps) - 1
        if isinstance(step, str) and isinstance(place, dict):
            if last or not isinstance(place.get(step), (dict, list)):
                place[step] = Absent(path, settled=False, hidden=hidden)
                return
        elif isinstance(step, int) and isinstance(place, list) and step < len(place):
            if last or not isinstance(place[step], (dict, list)):
                place[step] = Absent(path, settled=False, hidden=hidden)
                return
        else:
            raise DocumentError(f"has no place {path} that could be unknown")
        place = place[step]
