"""Errors of the model: one sentence each, with the path of the field, the place in the file, and the fix."""

from __future__ import annotations

import bisect
import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Union

Path = tuple[Union[str, int], ...]  # noqa: UP007 - ansible-test reads it as an older Python

_SHOWN_ERRORS = 20
_SHOWN_CHARACTERS = 60
_COMPARED = 100
_PASSWORD = re.compile(r"//\S*@")  # of an address


class ModelError(ValueError):
    """Something that a person wrote cannot be what they meant.

    `path` names the field (``vms.web.disks[0].size``), `problem` says what is wrong and how to mend it; `source` and
    `line` name the place where it is known.
    """

    def __init__(self, problem: str, path: Path | str = (), source: str = "", line: int | None = None) -> None:
        self.keys: Path = (path,) if isinstance(path, str) else tuple(path)
        self.problem = problem
        self.source = source
        self.line = line
        super().__init__(problem)

    @property
    def path(self) -> str:
        """The path of the field as text."""
        return format_path(self.keys)

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}" if self.source and self.line else self.source
        return ": ".join(part for part in (place, self.path, self.problem) if part)


class ModelErrors(ModelError):
    """All that is wrong with one document: `errors`, in the order of the document. `str()` is one line for each."""

    def __init__(self, errors: Iterable[ModelError]) -> None:
        self.errors: tuple[ModelError, ...] = tuple(errors)
        if not self.errors:
            raise AssertionError("ModelErrors without an error")
        first = self.errors[0]
        super().__init__(first.problem, first.keys, first.source, first.line)

    def __str__(self) -> str:
        lines = [str(error) for error in self.errors[:_SHOWN_ERRORS]]
        if len(self.errors) > _SHOWN_ERRORS:
            lines.append(f"… and {len(self.errors) - _SHOWN_ERRORS} more; mend these first.")
        return "\n".join(lines)


class FleetErrors(ModelErrors):
    """All that is wrong with one fleet file."""


class Impossible(ModelError):
    """A change that Muster will not make, because it would lose data or cannot be done. The plan of a fleet notes whose
    it is: `vm` and `site` are names."""

    vm = site = ""


def format_path(keys: Sequence[str | int]) -> str:
    """``("vms", "web", "disks", 0, "size")`` as ``vms.web.disks[0].size``; what is strange in a key is escaped."""
    text = ""
    for key in keys:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            plain = key if key.isprintable() and key.isascii() else ascii(key)
            text += ("." if text else "") + plain[:_SHOWN_CHARACTERS]
    return text


def show(value: object) -> str:
    """`value` as an error may print it: short, one line, ASCII, so that a lookalike or an escape code is seen, and no
    password of an address."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list, tuple)):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = ascii(_PASSWORD.sub("//...@", value)) if isinstance(value, str) else ascii(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def nearest(name: object, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown `name`: the nearest one of `known`, else all of them."""
    names = sorted(known)
    if len(names) > _COMPARED:  # a comparison with each of thousands, for each of thousands of mistakes, takes minutes
        place = bisect.bisect(names, str(name))
        names = names[max(0, place - _COMPARED) : place + _COMPARED]
    close = difflib.get_close_matches(str(name)[:128], names, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known are {', '.join(names[:40])}" if names else "none is known here"
