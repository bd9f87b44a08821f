"""What must hold for every expression on every document."""

from __future__ import annotations

import ast
import builtins
import copy
import re
from collections.abc import Iterator
from typing import Any

from muster.policy.compiler import _HELPERS
from muster.policy.documents import Absent, DocumentError, normal
from muster.policy.expressions import Expression, ExpressionError, compile_expression
from muster.policy.functions import CallError
from muster.policy.runtime import EvaluationError
from muster.policy.selftest import NOW

from .choices import Choices
from .grammar import KEYS, expression

ERROR = object()
_ATTRIBUTES = {"get", "values", "append", "settled", "__class__"}
_NAME = re.compile(r"[tk][0-9]+|d|now|b|run")
_STATEMENTS = (ast.FunctionDef, ast.Assign, ast.AugAssign, ast.If, ast.For, ast.Expr, ast.Return, ast.Break,
               ast.Continue, ast.Pass, ast.Raise)
DOCUMENTS: tuple[dict[str, Any], ...] = (
    {}, {"a": [{"b": 1, "a": "x"}, {"a": None}], "b": {"a": [1, 2, 3]}, "c": "2 GiB"},
    {"a": [[1, [2]], None, True], "b": "x" * 500, "unknown": ["c", "a[0]"]},
)


def read(text: str, nulls: bool = False) -> Expression | None:
    """The expression, whose source does nothing but what the compiler means; None where it is refused."""
    try:
        found = compile_expression(text, nulls)
    except ExpressionError as error:
        told(error)
        return None
    _harmless(found.source.text)
    for path, steps in found.steps:
        assert path
        assert steps
    return found


def told(error: Exception) -> None:
    assert 0 < len(str(error)) < 1500


def _harmless(source: str) -> None:
    """The source reads no attribute and no name but those that the compiler writes, and has no statement of another
    kind: whatever an expression holds is a constant in it."""
    tree = ast.parse(source)
    assert len(tree.body) == 1
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            assert isinstance(node, _STATEMENTS), ast.dump(node)
        elif isinstance(node, ast.Attribute):
            assert node.attr in _ATTRIBUTES, node.attr
        elif isinstance(node, ast.Name):
            known = node.id in _HELPERS or node.id in _HELPERS["__builtins__"]
            assert known or _NAME.fullmatch(node.id), node.id
        else:
            assert not isinstance(node, (ast.Lambda, ast.JoinedStr, ast.Await, ast.Yield, ast.NamedExpr))
    assert not {"eval", "exec", "open", "getattr", "__import__"} & _HELPERS["__builtins__"].keys()
    assert _HELPERS["__builtins__"] != vars(builtins)


def worth(found: Expression, document: dict[str, Any]) -> Any:
    """What it is worth; ERROR where it says that it cannot be told. Any other error is a gap in the compiler."""
    try:
        value = found.run(document, NOW)
    except (EvaluationError, CallError) as error:
        told(error)
        return ERROR
    _plain(value)
    return value


def _plain(value: Any, depth: int = 0) -> None:
    if value.__class__ in (list, dict) and depth < 6:
        for item in list(value.values() if value.__class__ is dict else value)[:20]:
            _plain(item, depth + 1)
    else:
        assert value is None or value.__class__ in (bool, int, float, str, list, dict, Absent), value.__class__


def definite(value: Any) -> bool:
    """Whether nothing in `value` is absent."""
    if isinstance(value, (list, dict)):
        return all(map(definite, value.values() if isinstance(value, dict) else value))
    return value is not ERROR and not isinstance(value, Absent)


def alike(left: Any, right: Any) -> bool:
    """Whether two values are the same, kinds too: true is not 1."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(alike, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(alike(left[key], right[key]) for key in left)
    return isinstance(left, bool) is isinstance(right, bool) and bool(left == right)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return list(map(without_nulls, value)) if isinstance(value, list) else value


def any_text(data: bytes) -> None:
    """Any text is an expression or is refused, and what it is worth is plain, not known or an error in a sentence."""
    found = read(data.decode("utf-8", "surrogateescape"))
    for document in DOCUMENTS if found else ():
        worth(found, normal(document))


def grown(data: bytes) -> None:
    """The same of expressions that were made to parse, on documents of their own."""
    choices = Choices(data)
    document = {key: choices.value(KEYS) for key in KEYS}
    unknown = [path for path, _value in places(document) if choices.below(8) == 1]
    found = read(expression(choices, loose=True))
    if found is None:
        return
    try:
        plain = normal({**document, "unknown": unknown})
    except DocumentError:
        return
    before = copy.deepcopy(plain)
    worth(found, plain)
    assert plain == before, "an expression changed its document"


def two_nulls(data: bytes) -> None:
    """Where nothing settles what is absent, what a rule gets is what JMESPath's own nulls give, or "not known"."""
    choices = Choices(data)
    document = {key: choices.value(KEYS) for key in KEYS}
    text = expression(choices, settle=False)
    found, other = read(text), read(text, nulls=True)
    if found is None or other is None:
        return
    try:
        plain = normal(document)
    except DocumentError:
        return
    value = worth(found, plain)
    if not definite(value):
        return
    wanted = worth(other, without_nulls(document))
    assert alike(value, wanted), f"{text} is {value!r}, with nulls {wanted!r}"


def what_comes_later(data: bytes) -> None:
    """What a rule says while a value comes only later it still says when the value is there, whatever that is."""
    choices = Choices(data)
    document = {key: choices.value(KEYS) for key in KEYS}
    found = read(expression(choices))
    spots = [path for path, _value in places(document)]
    if found is None or not spots:
        return
    path = choices.one(spots)
    try:
        value = worth(found, normal({**document, "unknown": [path]}))
        if not definite(value):
            return
        for _number in range(4):
            later = copy.deepcopy(document)
            put(later, path, without_null(choices.value(KEYS, 2)))
            then = worth(found, normal(later))
            assert then is ERROR or alike(then, value), \
                f"{found.text} is {value!r} without {path} and {then!r} of {later!r}"
    except DocumentError:
        return


# Two ways to say one thing, of which the compiler writes different code. Each brace is a part of that kind.
_SAYINGS = (
    ("length({list}[?{truth}])", "length({list}[?{truth}] | @)"),
    ("all({list}, &!(!({truth})))", "!(any({list}, &!({truth})))"),
    ("one_of({text}, ['a', 'x', ''])", "contains(['a', 'x', ''], {text})"),
    ("contains({list}, 'x')", "contains({list}, lower('X') | @)"),
    ("{value} == {text}", "!({value} != {text})"),
    ("{number} < {value}", "!({number} >= {value})"),
    ("{list}[?{truth}].a", "({list}[?{truth}])[*].a"),
    ("sort_by({list}, &{number})[0]", "min_by({list}, &{number})"),
    ("default({value}, {text})", "not_null({value}, {text})"),
    ("{list}[0].b", "({list} | [0] | b)"),
    ("{value}.a.b", "(({value}).a | b)"),
    ("map(&{value}, {list})", "{list}[*].[{value}][]"),
    ("!(!({truth}))", "({truth} && `true`) || `false`"),
)


def other_words(data: bytes) -> None:
    """What is said in two ways is worth the same, or not known in both."""
    choices = Choices(data)
    document = {key: choices.value(KEYS) for key in KEYS}
    unknown = [path for path, _value in places(document) if choices.below(8) == 1]
    saying = choices.one(_SAYINGS)
    parts = {kind: f"({expression(choices, kind, 2)})" for kind in ("list", "truth", "text", "number", "value")}
    one, other = (read(text.format_map(parts)) for text in saying)
    if one is None or other is None:
        return
    try:
        plain = normal({**document, "unknown": unknown})
    except DocumentError:
        return
    left, right = worth(one, plain), worth(other, plain)
    if left is ERROR or right is ERROR:
        return  # one of the two may look at fewer items
    if isinstance(left, Absent) or isinstance(right, Absent):
        assert isinstance(left, Absent), f"{one.text} is {left!r}, {other.text} is {right!r}"
        assert isinstance(right, Absent), f"{one.text} is {left!r}, {other.text} is {right!r}"
    elif definite(left) or definite(right):
        assert alike(left, right), f"{one.text} is {left!r}, {other.text} is {right!r}"


def without_null(value: Any) -> Any:
    return 1 if value is None else value


def places(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The path of every value within `value`, as ``unknown`` names them."""
    if path:
        yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from places(item, f"{path}[{number}]")


def put(document: Any, path: str, value: Any) -> None:
    steps = [int(index) if index else key for key, index in re.findall(r"([a-z]+)|\[([0-9]+)\]", path)]
    for step in steps[:-1]:
        document = document[step]
    document[steps[-1]] = value
