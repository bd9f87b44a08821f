"""Expressions of rules: JMESPath with bounds, compiled once per rule, worth true, false or not known.

Bounds: length of the text, depth and number of its nodes, work of an evaluation, depth and size of the document.
Known functions only, and their patterns are literals, so no document can bring its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from .calls import check_literals
from .compiler import Compiled, Source, write_source
from .documents import Absent, DocumentError, normal
from .functions import FUNCTIONS, SPECIAL, CallError
from .patterns import Pattern, PatternError
from .runtime import EvaluationError, truthy
from .tree import Node, read_by, shown, steps_of
from .writer import TooDeep

MAX_LENGTH = 1_000
MAX_DEPTH = 40
MAX_NODES = 400
MAX_BRACKETS = 24

# What comes after the first part of these is read from that part, not from the top of the document.
_CHAINS = ("projection", "filter_projection", "value_projection", "flatten", "subexpression", "index_expression",
           "pipe")


class ExpressionError(ValueError):
    """The expression cannot be used. Its text is a clause that goes after the file and the rule."""


@dataclass(frozen=True)
class Expression:
    """An expression that was read: its text, its tree, the patterns in it and its Python source. Made by
    `compile_expression`."""

    text: str
    tree: Node = field(repr=False, compare=False)
    patterns: dict[str, Pattern] = field(repr=False, compare=False)
    source: Source = field(repr=False, compare=False)

    @cached_property
    def run(self) -> Compiled:
        """The function ``(document, now) -> value``, compiled when it is first asked for."""
        return self.source.compile()

    def evaluate(self, document: dict[str, Any], now: datetime | None = None) -> Any:
        """The worth for a document that went through `documents.normal`. Raises EvaluationError."""
        try:
            return self.run(document, now or datetime.now(UTC))
        except Exception as error:
            raise explained(error) from None

    def part(self, node: Node) -> Expression:
        """A part of the tree as an expression of its own."""
        return Expression("", node, self.patterns, write_source(node, self.patterns))

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """The paths that the expression reads from the top of the document, in its order, each once."""
        return tuple(path for path, _steps in self.steps)

    @cached_property
    def steps(self) -> tuple[tuple[str, tuple[str | int, ...]], ...]:
        """Each of `paths` with its steps: ``("disks[0].size", ("disks", 0, "size"))``."""
        found: dict[str, tuple[str | int, ...]] = {}
        for node in self._read():
            steps = read_by(node)
            if steps:
                found.setdefault(shown(steps), steps)
        return tuple(found.items())

    @cached_property
    def fields(self) -> frozenset[str] | None:
        """The top-level fields that it reads; None where it reads the document as a whole."""
        if any(node["type"] == "current" for node in self._read()):
            return None
        return frozenset(str(steps[0]) for _path, steps in self.steps)

    def _read(self) -> Iterator[Node]:
        """The nodes that are worth something of the document itself: its paths, and itself as a whole."""
        waiting = [self.tree]
        while waiting:
            node = waiting.pop(0)
            if steps_of(node) or node["type"] == "current" or (node["type"] in _CHAINS and read_by(node)):
                yield node
            elif node["type"] in _CHAINS:
                waiting.insert(0, node["children"][0])
            elif node["type"] not in ("literal", "expref", "slice"):
                waiting[:0] = [child for child in node["children"] if isinstance(child, dict)]

    @cached_property
    def reads_document(self) -> bool:
        """Whether its worth depends on the document at all."""
        return bool(self.paths) or any(node["type"] == "current" for node in _nodes(self.tree))


def explained(error: Exception) -> EvaluationError:
    """What `error`, met while an expression ran, says to people."""
    if isinstance(error, EvaluationError):
        return error
    if isinstance(error, CallError):
        return EvaluationError(str(error))
    if isinstance(error, RecursionError):
        return EvaluationError("it is nested too deeply for this document; simplify the rule")
    # A gap in the compiler must become a finding of one rule, not the end of a run.
    return EvaluationError(f"it met a value that it cannot use ({type(error).__name__})")


def compile_expression(text: object, nulls: bool = False) -> Expression:
    """Read `text`. Raises ExpressionError, whose text names what is wrong and what to write instead.

    `nulls` is JMESPath's own reading of what is missing, for the tests against its compliance suite; see compiler.py.
    """
    import jmespath  # on the controller only: a guest never gets an expression

    if not isinstance(text, str) or not text.strip():
        raise ExpressionError("is empty or not a text; write a JMESPath expression, such as: length(disks) > `0`")
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"is {len(text)} characters long; the limit is {MAX_LENGTH}, so split the rule")
    if _bracket_depth(text) > MAX_BRACKETS:
        raise ExpressionError(f"nests brackets deeper than {MAX_BRACKETS}; split the rule")
    try:
        tree: Node = jmespath.compile(text).parsed
    except RecursionError:
        raise ExpressionError("is nested too deeply; split the rule") from None
    except (jmespath.exceptions.JMESPathError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ExpressionError(f"cannot be read{_place(error)}: {_problem(error)}") from None
    patterns: dict[str, Pattern] = {}
    for node in _nodes({"type": "expression", "children": [tree]}):
        _check(node, patterns, nulls)
    try:
        return Expression(text, tree, patterns, write_source(tree, patterns, nulls))
    except (TooDeep, RecursionError):
        raise ExpressionError("is nested too deeply; split the rule") from None


def _place(error: Exception) -> str:
    position = getattr(error, "lex_position", getattr(error, "lexer_position", None))
    return f" at character {position + 1}" if isinstance(position, int) else ""


def _problem(error: Exception) -> str:
    token, kind = getattr(error, "token_value", None), getattr(error, "token_type", None)
    if kind == "eof" or type(error).__name__ == "IncompleteExpressionError":
        return "it ends too early"
    if token is not None and kind is not None:
        return f"'{token!s:.40}' does not fit there"
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


def _bracket_depth(text: str) -> int:
    """How deep brackets nest, or how many ``!`` follow each other: what the parser would recurse into."""
    deepest = depth = nots = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        nots = nots + 1 if character == "!" else 0
        deepest = max(deepest, depth, nots)
    return deepest


def _nodes(tree: Node) -> Iterator[Node]:
    """Every node of `tree`, within the bounds on depth and number."""
    waiting = [(tree, 1)]
    count = 0
    while waiting:
        node, depth = waiting.pop()
        count += 1
        if depth > MAX_DEPTH or count > MAX_NODES:
            raise ExpressionError(f"has more than {MAX_NODES} parts or nests deeper than {MAX_DEPTH}; split the rule")
        yield node
        if node["type"] != "slice":
            waiting.extend((child, depth + 1) for child in node.get("children", ()))


def _check(node: Node, patterns: dict[str, Pattern], nulls: bool) -> None:
    if node["type"] not in ("function_expression", "slice") and any(
            child["type"] == "expref" for child in node.get("children", ())):
        raise ExpressionError("has an '&' outside of a call; it stands in one, as in all(disks, &encrypted)")
    if node["type"] == "literal":
        try:
            normal({"literal": node["value"]})
        except DocumentError as error:
            raise ExpressionError(f"holds a literal that {error}") from None
    elif node["type"] in _CHAINS and not nulls and node["children"][0]["type"] == "not_expression":
        raise ExpressionError("looks into what '!' gave: in JMESPath !a.b means (!a).b; write !(a.b)")
    elif node["type"] == "comparator" and not nulls:
        if any(child["type"] == "literal" and child["value"] is None for child in node["children"]):
            raise ExpressionError("compares with null, which is never true here; write present(…) or default(…, …)")
        _check_ordered(node)
    elif node["type"] == "slice":
        if node["children"][2] == 0:
            raise ExpressionError("has a slice with step 0; write a step of 1 or more")
    elif node["type"] == "function_expression":
        _check_call(node, patterns)


def _check_ordered(node: Node) -> None:
    """An ordering against text is a mistake that would only show as an error on every VM."""
    if node["value"] not in ("eq", "ne"):
        for child in node["children"]:
            if child["type"] == "literal" and isinstance(child["value"], (str, bool, list, dict)):
                raise ExpressionError("orders something that is not a number; write `3` in backticks, or size('2 GiB')")


def _check_call(node: Node, patterns: dict[str, Pattern]) -> None:
    name, children = node["value"], node["children"]
    function = FUNCTIONS.get(name)
    special = SPECIAL.get(name)
    if function is None and special is None:
        known = ", ".join(sorted({*FUNCTIONS, *SPECIAL}))
        raise ExpressionError(f"calls {name:.40}(), which is not a function here; there are {known}")
    wanted = len(function.signature) if function else special.arguments if special else 0
    variadic = function.variadic if function else bool(special and special.variadic)
    if len(children) < wanted or (len(children) > wanted and not variadic):
        raise ExpressionError(f"calls {name}() with {len(children)} arguments; it takes {wanted}"
                              f"{' or more' if variadic else ''}")
    for number, child in enumerate(children):
        if (child["type"] == "expref") is not (special is not None and number == special.item):
            raise ExpressionError(f"calls {name}() with a wrong kind of argument; write all(disks, &encrypted)")
    try:
        check_literals(name, node)
    except (CallError, TypeError, ValueError, ArithmeticError) as error:
        raise ExpressionError(f"calls {name}() with what it cannot use: {error}") from None
    if name == "matches":
        pattern = children[0].get("value")
        if children[0]["type"] != "literal" or not isinstance(pattern, str):
            raise ExpressionError("calls matches() without a literal pattern; write matches('^[a-z]+$', name)")
        try:
            patterns[pattern] = Pattern(pattern)
        except PatternError as error:
            raise ExpressionError(f"calls matches() with a pattern that is refused: {error}") from None


__all__ = ["Absent", "EvaluationError", "Expression", "ExpressionError", "compile_expression", "explained", "truthy"]
