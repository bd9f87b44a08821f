"""Choices read from bytes: what a fuzzer changes is one choice, and the same bytes are always the same choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

T = TypeVar("T")


class Choices:
    """Reads `data` from its beginning; when it is used up every choice is the first one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def over(self) -> bool:
        return self._at >= len(self._data)

    def byte(self) -> int:
        if self.over:
            return 0
        self._at += 1
        return self._data[self._at - 1]

    def below(self, bound: int) -> int:
        """A number from 0 to `bound` - 1."""
        return (self.byte() << 8 | self.byte()) % bound if bound > 256 else self.byte() % bound

    def one(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def text(self) -> str:
        """A text: a well-known nasty one, or some of what comes next."""
        if self.below(2):
            return self.one(TEXTS)
        length = self.below(12)
        taken, self._at = self._data[self._at:self._at + length], self._at + length
        return taken.decode("utf-8", "replace")

    def scalar(self) -> Any:
        kind = self.below(6)
        if kind < 2:
            return self.text()
        return self.one(SCALARS) if kind < 5 else self.below(1 << 16)

    def value(self, keys: Sequence[str], depth: int = 4) -> Any:
        """A value of JSON, its objects with `keys`."""
        kind = self.below(8) if depth else 7
        if kind == 0:
            return {self.one(keys): self.value(keys, depth - 1) for _number in range(self.below(4))}
        if kind in (1, 2):
            return [self.value(keys, depth - 1) for _number in range(self.below(4))]
        if kind == 3:
            return [{self.one(keys): self.value(keys, depth - 2 if depth > 1 else 0) for _one in range(self.below(4))}
                    for _number in range(self.below(4))]
        return self.scalar()


TEXTS = ("", "a", "x", " ", "10.0.0.0/8", "192.0.2.1", "2026-01-15T11:00:00Z", "9999-12-31T23:59:59-23:59", "2 GiB",
         "1d 12h", "1.2.3-rc.1", "v2", "'", '"', "\\", "\n", "\x00", "\x1b[2J", "\u202e", "\u2028", "\ud800", "'''",
         "#",
         "{0.__class__}", "__import__('os')", "%s", "]]>", "<script>", "&amp;", "=1+1", "0-3,8", "production", "True",
         "2001:db8::/32", "::ffff:1.2.3.4%eth0", "\u00b2", "\u0130", "1e5", "x" * 300)
SCALARS: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 10, 0.0, -0.0, 1.0, 1.5, 1e308, -1e308, 5e-324, (1 << 62), -(1 << 62),
    4 << 30, 1 << 31)
