"""Regular expressions in linear time.

Python's ``re`` backtracks: a pattern of ten characters and a text of forty from a hostile guest can hold a controller
for hours. Patterns are therefore matched here by following all ways at once (Thompson's construction), in time
proportional to pattern times text, whatever both are; and where a set of ways leads is remembered, so that a text is
mostly read at the price of one look-up for each character.

The dialect is the common part of all regular expressions: characters, ``.``, ``[a-z]``, ``[^a-z]``, ``\\d \\w \\s`` and
their opposites, ``^``, ``$`` (the very end, never before a last line break), groups, ``|`` and
``* + ? {m} {m,} {m,n}``. Letters, digits and blanks of the classes are ASCII. There are no back references, no
look-around and no flags.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass, field

MAX_PATTERN = 256
MAX_STATES = 1_024
MAX_WORK = 2_000_000
MAX_REPEAT = 256
MAX_GROUPS = 20
MAX_PLACES = 512

_DIGITS = frozenset(string.digits)
_WORD = frozenset(string.ascii_letters + string.digits + "_")
_SPACE = frozenset(" \t\n\r\f\v")
_CLASSES = {"d": _DIGITS, "w": _WORD, "s": _SPACE}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r"}
_SPECIAL = frozenset(".^$*+?{}[]()|\\")


class PatternError(ValueError):
    """The pattern cannot be used, or the text is too long for it; its text is a sentence."""


Test = Callable[[str], bool]


@dataclass(frozen=True)
class _Node:
    """A piece of a pattern: kind is char, start, end, join, either or repeat."""

    kind: str
    test: Test | None = None
    children: tuple[_Node, ...] = ()
    low: int = 0
    high: int | None = 0


class _Reader:
    """Reads a pattern by recursive descent: alternatives, sequences, repeated atoms."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.groups = 0

    def fail(self, what: str) -> PatternError:
        return PatternError(f"the pattern '{self.pattern:.60}' cannot be used: {what} at character {self.at + 1}")

    def peek(self) -> str:
        return self.pattern[self.at] if self.at < len(self.pattern) else ""

    def take(self) -> str:
        character = self.peek()
        if not character:
            raise self.fail("it ends too early")
        self.at += 1
        return character

    def alternatives(self) -> _Node:
        ways = [self.sequence()]
        while self.peek() == "|":
            self.at += 1
            ways.append(self.sequence())
        return ways[0] if len(ways) == 1 else _Node("either", children=tuple(ways))

    def sequence(self) -> _Node:
        parts = []
        while self.peek() and self.peek() not in "|)":
            parts.append(self.repeated())
        return _Node("join", children=tuple(parts))

    def repeated(self) -> _Node:
        atom = self.atom()
        if self.peek() not in ("*", "+", "?", "{"):
            return atom
        if atom.kind in ("start", "end"):
            raise self.fail("an anchor cannot be repeated")
        low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(self.peek(), (0, 0))
        if self.take() == "{":
            low, high = self.bounds()
        if self.peek() in ("*", "+", "?", "{"):
            raise self.fail("a repetition of a repetition")
        return _Node("repeat", children=(atom,), low=low, high=high)

    def bounds(self) -> tuple[int, int | None]:
        text = ""
        while self.peek() != "}":
            text += self.take()
        self.at += 1
        first, comma, second = text.partition(",")
        if not (first.isascii() and first.isdigit() and (not second or (second.isascii() and second.isdigit()))):
            raise self.fail("a repetition that is not {m}, {m,} or {m,n}")
        if len(first) > 3 or len(second) > 3:
            raise self.fail(f"a repetition of more than {MAX_REPEAT}")
        low = int(first)
        high = int(second) if second else None if comma else low
        if max(low, high or 0) > MAX_REPEAT or (high is not None and high < low):
            raise self.fail(f"a repetition that is empty or more than {MAX_REPEAT}")
        return low, high

    def atom(self) -> _Node:
        character = self.take()
        if character == "(":
            self.groups += 1
            if self.groups > MAX_GROUPS:
                raise self.fail(f"more than {MAX_GROUPS} groups")
            if self.peek() == "?":
                raise self.fail("groups that begin with '?' are not part of the dialect;")
            inner = self.alternatives()
            if self.peek() != ")":
                raise self.fail("a group is not closed")
            self.at += 1
            return inner
        if character == "[":
            return _Node("char", self.characters())
        if character == ".":
            return _Node("char", lambda one: one != "\n")
        if character == "^":
            return _Node("start")
        if character == "$":
            return _Node("end")
        if character == "\\":
            found = self.escape()
            return _Node("char", found if callable(found) else _is(found))
        if character in "*+?{}])":
            raise self.fail(f"a '{character}' without its beginning; write '\\{character}' for the character itself")
        return _Node("char", _is(character))

    def escape(self) -> str | Test:
        character = self.take()
        if character.lower() in _CLASSES:
            return _member(_CLASSES[character.lower()], character.isupper())
        if character in _CONTROLS:
            return _CONTROLS[character]
        if character in _SPECIAL or not character.isalnum():
            return character
        raise self.fail(f"'\\{character}' is not part of the dialect;")

    def characters(self) -> Test:
        negated = self.peek() == "^"
        if negated:
            self.at += 1
        tests: list[Test] = []
        first = True
        while first or self.peek() != "]":
            low = self.one(first)
            first = False
            if callable(low):
                tests.append(low)
            elif self.peek() == "-" and self.pattern[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                high = self.one(False)
                if callable(high) or high < low:
                    raise self.fail("a range that is empty")
                tests.append(_between(low, high))
            else:
                tests.append(_is(low))
        self.at += 1
        return _any(tuple(tests), negated)

    def one(self, first: bool) -> str | Test:
        character = self.take()
        if character == "]" and first:
            raise self.fail("an empty set")
        return self.escape() if character == "\\" else character


def _is(character: str) -> Test:
    return lambda one: one == character


def _between(low: str, high: str) -> Test:
    return lambda one: low <= one <= high


def _member(characters: frozenset[str], negated: bool) -> Test:
    return lambda one: (one in characters) is not negated


def _any(tests: tuple[Test, ...], negated: bool) -> Test:
    return lambda one: any(test(one) for test in tests) is not negated


@dataclass(slots=True)
class _Place:
    """A set of states that a text can be in, all at once: whether the pattern was found by then, or is at the end of
    the text, and where a character leads."""

    closed: frozenset[int]
    found: bool
    found_at_end: bool
    ways: dict[str, _Place] = field(default_factory=dict)


class Pattern:
    """A compiled pattern. `search` tells whether it occurs anywhere in a text; anchor it with ``^`` and ``$``."""

    def __init__(self, pattern: str) -> None:
        if len(pattern) > MAX_PATTERN:
            raise PatternError(f"the pattern '{pattern:.60}…' is longer than {MAX_PATTERN} characters")
        reader = _Reader(pattern)
        tree = reader.alternatives()
        if reader.peek():
            raise reader.fail("a ')' without its '('")
        self.pattern = pattern
        # One entry per state: ("char", test, next), ("start"|"end", None, next) or ("split", None, ways).
        self._states: list[tuple[str, Test | None, tuple[int, ...]]] = [("match", None, ())]
        self._first = self._build(tree, 0)
        self._begin = self._place(frozenset(), True)
        self._known: dict[frozenset[int], _Place] = {}

    def _state(self, kind: str, test: Test | None, ways: tuple[int, ...]) -> int:
        if len(self._states) >= MAX_STATES:
            raise PatternError(f"the pattern '{self.pattern:.60}' repeats too much; write it shorter")
        self._states.append((kind, test, ways))
        return len(self._states) - 1

    def _build(self, node: _Node, after: int) -> int:
        """States for `node`, built from the back; returns its first state."""
        if node.kind == "join":
            for child in reversed(node.children):
                after = self._build(child, after)
            return after
        if node.kind == "either":
            return self._state("split", None, tuple(self._build(child, after) for child in node.children))
        if node.kind != "repeat":
            return self._state(node.kind, node.test, (after,))
        child = node.children[0]
        if node.high is None:
            loop = self._state("split", None, ())
            self._states[loop] = ("split", None, (self._build(child, loop), after))
            after = loop
        else:
            end = after
            for _number in range(node.high - node.low):
                after = self._state("split", None, (self._build(child, after), end))
        for _number in range(node.low):
            first = self._build(child, after)
            if first == after:  # what is empty stays so, however often it is repeated
                break
            after = first
        return after

    def work(self, text: str) -> int:
        """How much work `search` in `text` is at most, in characters times states."""
        return len(text) * len(self._states)

    def search(self, text: str) -> bool:
        """Whether the pattern occurs in `text`. Raises PatternError where the work would pass its bound."""
        if self.work(text) > MAX_WORK:
            raise PatternError(f"a text of {len(text)} characters is too long for the pattern '{self.pattern:.60}'")
        place = self._begin
        for character in text:
            if place.found:
                return True
            following = place.ways.get(character)
            place = self._follow(place, character) if following is None else following
        return place.found or place.found_at_end

    def _follow(self, place: _Place, character: str) -> _Place:
        """Where `character` leads from `place`; remembered, so that it is found out once."""
        active = frozenset(
            self._states[state][2][0]
            for state in place.closed
            if self._states[state][0] == "char" and self._states[state][1](character)  # type: ignore[misc]
        )
        if len(self._known) >= MAX_PLACES or len(place.ways) >= MAX_PLACES:
            # A text can be made to visit ever new places; what is forgotten is found out again.
            for known in (self._begin, *self._known.values()):
                known.ways.clear()
            self._known.clear()
        following = self._known.get(active)
        if following is None:
            following = self._known[active] = self._place(active, False)
        place.ways[character] = following
        return following

    def _place(self, active: frozenset[int], start: bool) -> _Place:
        closed = self._closure(active | {self._first}, start, False)
        return _Place(closed, 0 in closed, 0 in self._closure(active | {self._first}, start, True))

    def _closure(self, states: frozenset[int], start: bool, end: bool) -> frozenset[int]:
        """All states that are reached from `states` without reading a character."""
        reached: set[int] = set()
        waiting = list(states)
        while waiting:
            state = waiting.pop()
            if state in reached:
                continue
            reached.add(state)
            kind, _test, ways = self._states[state]
            if kind == "split" or (kind == "start" and start) or (kind == "end" and end):
                waiting.extend(ways)
        return frozenset(reached)
