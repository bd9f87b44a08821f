"""Python source in the making: its lines, its temporary names, its constants, and what is known of its values.

Everything that enters the source is made here or by ``repr`` of a plain text or number: nothing of an expression is
ever source itself.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    """One function ``run(d, now)`` in the making."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._indent = 1
        self._temporaries = 0
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
        yield
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

    def spend(self, work: str) -> None:
        """Count `work` before it is done."""
        self.put(f"b[0] += {work}")
        self.put(f"if b[0] > {MAX_WORK}: spend(b, 0)")

    def constant(self, value: Any) -> str:
        """A name for `value`, which is made once and never changed."""
        name = f"k{len(self.constants)}"
        self.constants[name] = value
        return name

    def source(self, result: Value) -> str:
        counts = any(mark in line for line in self._lines for mark in ("b[0]", ", b)", ", b, "))
        budget = [" b = [0]"] if counts else []
        lines = ["def run(d, now):", *budget, *self._lines, f" return {result.atom}"]
        return "\n".join(lines) + "\n"
