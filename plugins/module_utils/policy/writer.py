"""Python source in the making: its lines, its temporary names, its constants, and what is known of its values.

Everything that enters the source is made here or by ``repr`` of a plain text or number: nothing of an expression is
ever source itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .runtime import MAX_WORK

MAX_INDENT = 90  # Python itself reads at most 100 levels,
MAX_LOOPS = 16  # and 20 loops within each other


class TooDeep(ValueError):
    """The expression nests deeper than Python could read."""


@dataclass(frozen=True)
class Value:
    """A value in generated code. `atom` is its name. `kind` is its type in JMESPath's words where that is known;
    `absent` tells whether it may be not there; `whole` is True for a list without absent items; `literal` is its
    source where the expression itself has it."""

    atom: str
    kind: str = ""
    absent: bool = True
    whole: bool = False
    literal: str = ""


class Writer:
    """One function ``run(d, now, b=None)`` in the making; `b` is a budget that several calls have together."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._indent = 1
        self._temporaries = 0
        self._known: list[dict[tuple[str, ...], str]] = [{}]  # for each open block, what it has read
        self._spent: list[tuple[int, int, str]] = []  # line, loops around it and work
        self.loops = 0
        self.constants: dict[str, Any] = {}

    def put(self, line: str) -> None:
        if self._indent > MAX_INDENT:
            raise TooDeep
        self._lines.append(" " * self._indent + line)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """The lines of a block below `head`; an empty block does nothing."""
        self.put(head)
        self._indent += 1
        before = len(self._lines)
        self._known.append({})
        yield
        self._known.pop()
        if len(self._lines) == before:
            self.put("pass")
        self._indent -= 1

    @contextmanager
    def loop(self, item: str, items: str) -> Iterator[None]:
        self.loops += 1
        if self.loops > MAX_LOOPS:
            raise TooDeep
        with self.block(f"for {item} in {items}:"):
            yield
        self.loops -= 1

    def name(self) -> str:
        """A temporary name that is new."""
        self._temporaries += 1
        return f"t{self._temporaries}"

    def let(self, source: str) -> str:
        """A new temporary name for what `source` gives."""
        name = self.name()
        self.put(f"{name} = {source}")
        return name

    def once(self, *what: str, write: Callable[[], str]) -> str:
        """The name that `write` gives for `what`, or the one that this block or one around it has for it already."""
        for known in reversed(self._known):
            if what in known:
                return known[what]
        self._known[-1][what] = name = write()
        return name

    def spend(self, work: str) -> None:
        """Count `work` before it is done."""
        self._spent.append((len(self._lines), self.loops, work))
        self.put(f"b[0] += {work}")
        self.put(f"if b[0] > {MAX_WORK}: spend(b, 0)")

    def constant(self, value: Any) -> str:
        """A name for `value`, which is made once and never changed."""
        name = f"k{len(self.constants)}"
        self.constants[name] = value
        return name

    def source(self, result: Value) -> str:
        lines = self._lines
        if len(self._spent) == 1 and not any(", b)" in line or ", b, " in line for line in lines):
            number, loops, work = self._spent[0]
            if not loops:  # nothing to add up: one look at the work of the one loop
                blanks = lines[number][: -len(lines[number].lstrip())]
                lines = [*lines[:number], f"{blanks}if {work} > {MAX_WORK}: spend([0], {work})", *lines[number + 2:]]
        counts = any(mark in line for line in lines for mark in ("b[0]", ", b)", ", b, "))
        budget = [" b = b or [0]"] if counts else []
        return "\n".join(["def run(d, now, b=None):", *budget, *lines, f" return {result.atom}"]) + "\n"
