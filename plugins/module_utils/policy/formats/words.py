"""How text for a terminal is made: names that cannot act, numbers with their noun, colours where they are wanted."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..wording import printable

_COLOURS = {"critical": "1;31", "high": "31", "medium": "33", "low": "36"}
_WIDEST = 1000


def line(text: object) -> str:
    """`text` on one line, in which nothing acts on a terminal."""
    return printable(" ".join(str(text).split()))[:_WIDEST]


def plural(count: int, noun: str) -> str:
    """``1 VM``, ``2 VMs``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def join(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


@dataclass(frozen=True)
class Style:
    """How text is shown: with colours, and broken at `width` columns where that is not 0."""

    colour: bool = False
    width: int = 0

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text

    def severity(self, name: str) -> str:
        return self._paint(_COLOURS[name], f"{name.upper():8}")

    def strong(self, text: str) -> str:
        return self._paint("1", text)

    def bad(self, text: str) -> str:
        return self._paint("31", text)

    def good(self, text: str) -> str:
        return self._paint("32", text)

    def doubt(self, text: str) -> str:
        return self._paint("33", text)

    def wrapped(self, text: str) -> Iterator[str]:
        """One line of text, broken where it is too wide, what follows indented below it."""
        if not self.width or len(text) <= self.width:
            yield text
            return
        indent = " " * (len(text) - len(text.lstrip()) + 4)
        for part in textwrap.wrap(text.rstrip(), self.width, initial_indent="", subsequent_indent=indent,
                                  break_long_words=False, break_on_hyphens=False):
            yield f"{part}\n"

    def lines(self, label: str, text: str) -> Iterator[str]:
        """A labelled sentence of a block."""
        first = True
        for part in self.wrapped(f"  {label:4} {text}\n"):
            yield part.replace(label, self._paint("2", label), 1) if first else part
            first = False
