"""Expressions: what they are worth, in three values, and that nothing in them or their documents gets out of bounds."""

from __future__ import annotations

import contextlib
import string
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from muster.policy.documents import Absent, DocumentError, normal
from muster.policy.expressions import EvaluationError, ExpressionError, compile_expression
from muster.policy.functions import FUNCTIONS, SPECIAL
from muster.policy.selftest import NOW

DOCUMENT: dict[str, Any] = {
    "name": "web", "memory": 2 << 30, "owned": True, "tags": {"owner": "shop", "empty": "", "blank": "  "},
    "zone": None,
    "disks": [{"name": "root", "size": 10}, {"name": "disk1", "size": 20, "encrypted": True}], "snapshots": [],
    "created": "2026-01-15T11:00:00Z", "one": 1, "flags": [True, False], "holes": [1, None], "mixed": [1, "a"],
    "unknown": ["cpus", "tags.later", "nics"],
}
MISSING = "missing"
LATER = "later"

WORTH = {
    # Paths
    "memory": 2 << 30,
    "tags.owner": "shop",
    "disks[0].size": 10,
    "disks[-1].name": "disk1",
    "disks[].size": [10, 20],
    "disks[?size > `10`].name": ["disk1"],
    "length(disks[?size > `99`])": 0,
    "disks[:1].name": ["root"],
    "keys(tags) | length(@)": 4,
    # What is not there, and what only comes later
    "tags.nobody": MISSING,
    "zone": MISSING,
    "a.b.c": MISSING,
    "disks[7].size": MISSING,
    "name.owner": MISSING,
    "tags.later": LATER,
    "cpus": LATER,
    "cpus > `1`": LATER,
    "nics[].network": LATER,
    "length(nics)": LATER,
    "disks[].encrypted": MISSING,
    "disks[?encrypted]": MISSING,
    "disks[?encrypted == `false`]": MISSING,
    "tags.nobody == 'shop'": MISSING,
    "tags.nobody != 'shop'": MISSING,
    "!(tags.nobody)": MISSING,
    "holes[]": MISSING,
    "max(holes)": MISSING,
    "`null`": MISSING,
    # Kleene's logic
    "tags.nobody == 'x' || owned": True,
    "owned || tags.nobody == 'x'": True,
    "tags.nobody == 'x' || !owned": MISSING,
    "tags.nobody == 'x' && !owned": False,
    "tags.nobody == 'x' && owned": MISSING,
    "!owned && tags.nobody == 'x'": False,
    # Absence, settled
    "present(tags.owner)": True,
    "present(tags.empty)": False,
    "present(tags.blank)": False,
    "present(snapshots)": False,
    "present(tags.nobody)": False,
    "present(one)": True,
    "present(tags.later)": LATER,
    "default(tags.nobody, 'x')": "x",
    "default(tags.owner, 'x')": "shop",
    "default(tags.later, 'x')": LATER,
    # Equality keeps booleans and numbers apart
    "owned == `1`": False,
    "one == `true`": False,
    "one == `1`": True,
    "flags == `[true, false]`": True,
    "flags == `[1, 0]`": False,
    "holes == `[1, 2]`": MISSING,
    "holes == `[2, 2]`": False,
    # Functions
    "memory >= size('2 GiB')": True,
    "age(created) == duration('1h')": True,
    "one_of(tags.owner, ['shop', 'bank'])": True,
    "one_of(tags.owner, ['bank'])": False,
    "contains(disks[].name, 'root')": True,
    "contains(name, 'eb')": True,
    "contains(holes, `1`)": True,
    "contains(holes, `2`)": MISSING,
    "matches('^w[a-f]b$', name)": True,
    "matches('x', name)": False,
    "all(disks, &size >= `10`)": True,
    "all(disks, &size > `10`)": False,
    "all(disks, &encrypted)": MISSING,
    "all(disks, &encrypted && size > `99`)": False,
    "any(disks, &encrypted)": True,
    "any(disks, &size > `99`)": False,
    "any(snapshots, &created)": False,
    "all(snapshots, &created)": True,
    "sum(disks[].size)": 30,
    "min(disks[].size)": 10,
    "lower('ABC')": "abc",
    "starts_with(name, 'w') && ends_with(name, 'b')": True,
    "to_number('22')": 22,
    "to_number('lots')": MISSING,
    "type(disks)": "array",
    "length(values(tags))": 4,
    "min(snapshots)": MISSING,
    "avg(snapshots)": MISSING,
    "avg(disks[].size)": 15.0,
    "max(disks[].name)": "root",
    "abs(`-3`)": 3,
    "ceil(`1.2`)": 2,
    "floor(`1.8`)": 1,
    "join(', ', disks[].name)": "root, disk1",
    "reverse(disks[].size)": [20, 10],
    "sort(disks[].name)": ["disk1", "root"],
    "sort_by(disks, &name)[0].size": 20,
    "max_by(disks, &size).name": "disk1",
    "min_by(disks, &size).name": "root",
    "min_by(disks, &encrypted)": MISSING,
    "max_by(snapshots, &created)": MISSING,
    "map(&size, disks)": [10, 20],
    "merge(tags, `{\"owner\": \"bank\"}`).owner": "bank",
    "not_null(tags.nobody, zone, name)": "web",
    "not_null(tags.later, name)": LATER,
    "not_null(name, tags.later)": "web",
    "not_null(zone)": MISSING,
    "to_array(name)": ["web"],
    "to_string(disks[].size)": "[10,20]",
    "cidr_contains('10.0.0.0/8', '10.1.2.3')": True,
    "cidr_contains('10.0.0.0/8', '10.1.0.0/16')": True,
    "cidr_contains('10.0.0.0/8', '192.0.2.1')": False,
    "cidr_contains('10.0.0.0/8', '2001:db8::1')": False,
    "semver_compare('2.4.1', '2.10')": -1,
    "semver_compare('v1.0.0', '1.0.0+build5')": 0,
    "semver_compare('1.0.0', '1.0.0-rc.1')": 1,
    "semver_compare('1.0.0-rc.2', '1.0.0-rc.10')": -1,
    "version_at_least('9.2', '9.10')": False,
}


@pytest.mark.parametrize(("text", "worth"), WORTH.items(), ids=WORTH.keys())
def test_worth(text: str, worth: Any) -> None:
    found = compile_expression(text).evaluate(normal(DOCUMENT), NOW)
    if worth in (MISSING, LATER):
        assert isinstance(found, Absent)
        assert found.settled is (worth == MISSING)
    else:
        assert (type(found), found) == (type(worth), worth)


def test_every_function_has_an_example() -> None:
    for name in (*FUNCTIONS, *SPECIAL):
        assert any(f"{name}(" in text for text in WORTH), name


def test_the_page_has_every_function() -> None:
    page = (Path(__file__).parents[3] / "docs" / "policy.md").read_text(encoding="utf-8")
    rows = [f"| `{name}` | {function.text.rstrip('.')} |" for name, function in {**FUNCTIONS, **SPECIAL}.items()]
    assert [row for row in rows if row not in page] == []


FAULTY = {
    "name > `1`": "have no order",
    "size(name)": "is not a size",
    "age(name)": "is not a time",
    "age('2031-01-01T00:00:00Z')": "lies in the future",
    "length(one)": "needs a string",
    "sum(flags)": "needs a list of numbers",
    "sort(mixed)": "got number and string",
    "cidr_contains(name, name)": "is not a network",
    "semver_compare(name, '1')": "is not a version",
    "sort_by(disks, &@)": "got object",
    "one_of(name, name)": "looks in a list",
    "matches('a', one)": "needs a string",
}


@pytest.mark.parametrize(("text", "part"), FAULTY.items(), ids=FAULTY.keys())
def test_a_value_that_cannot_be_used_is_an_error(text: str, part: str) -> None:
    with pytest.raises(EvaluationError, match=part):
        compile_expression(text).evaluate(normal(DOCUMENT), NOW)


REFUSED = {
    "": "is empty",
    "a ==": "cannot be read",
    "a b": "cannot be read",
    "().__class__": "cannot be read",
    "9**9**9": "cannot be read",
    "a && (b": "cannot be read at character 8: it ends too early",
    "a = b": "cannot be read at character 3",
    "evil(a)": "not a function here",
    "!a.b": "write !",
    "!a[].b": "write !",
    "length(`1`)": "needs a string",
    "cidr_contains('10.0.0.0/33', '10.0.0.1')": "is not a network",
    "not_null()": "it takes 1 or more",
    "length(a, b)": "it takes 1",
    "all(a, b)": "wrong kind of argument",
    "length(&a)": "wrong kind of argument",
    "a == `null`": "present",
    "a > 'x'": "not a number",
    "matches(a, b)": "literal pattern",
    "matches('(a', b)": "refused",
    "matches('\\1', b)": "refused",
    "size('lots')": "is not a size",
    "a[::0]": "step 0",
    "`NaN` == a": "literal",
    "a" * 1001: "characters long",
    "(" * 300 + "a" + ")" * 300: "nests brackets",
    "!" * 900 + "a": "nests brackets",
    "`" + "[" * 400 + "]" * 400 + "`": "nests brackets",
    "||".join("a" * 60): "nests deeper",
    "[" + ",".join("a" * 450) + "]": "more than 400 parts",
}


@pytest.mark.parametrize(("text", "part"), REFUSED.items(), ids=lambda text: text[:30])
def test_an_expression_that_cannot_be_used_is_refused(text: str, part: str) -> None:
    with pytest.raises(ExpressionError, match=part):
        compile_expression(text)


@pytest.mark.parametrize("text", [
    " | ".join(["[@, @][]"] * 60),
    " | ".join(["[@, @]"] * 30) + " | length(@)",
    " | ".join(["[@, @]"] * 30) + " | @ == @",
    "x | " + " | ".join(["[@, @][]"] * 25) + " | [@, @] | @[0] == @[1]",
    "all(x, &!matches('^([2-9]|[a-z])*x+y$', t))",
    "all(x, &!contains(t, 'y'))",
    "all(x, &lower(t) != 'y')",
    "all(x, &all(x, &all(x, &@ == `1`))) || any(x, &any(x, &any(x, &@ == `1`)))",
])
def test_work_is_bounded(text: str) -> None:
    document = normal({"x": [{"t": "x" * 2000, "x": list(range(90))} for _item in range(1000)]})
    before = time.process_time()
    with contextlib.suppress(EvaluationError, ExpressionError):
        compile_expression(text).evaluate(document, NOW)
    assert time.process_time() - before < 1


PIECES = st.sampled_from([
    *string.ascii_lowercase[:3], "a.b", "[", "]", "(", ")", "&", "@", "|", "||", "&&", "!", "==", "<", ">=", "`1`",
    "`null`", "`[1, 2]`", "'x'", "*", "[]", "[?", "[0]", "[1:]", "{a: b}", ",", ".", "all(", "any(", "present(",
    "default(", "contains(", "length(", "matches('a*', ", "age(", "size(", "keys(", "values(", "sum(", "min(", " ",
])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abcx"), inner, max_size=4),
    max_leaves=20,
)
DOCUMENTS = st.dictionaries(st.sampled_from(["a", "b", "c", "x", "unknown"]), JSON, max_size=5)


@settings(max_examples=500, deadline=None)
@given(st.lists(PIECES, max_size=14).map("".join) | st.text(max_size=40), DOCUMENTS)
@example("a[].b[]", {"a": [None, {"b": None}]})
def test_no_expression_and_no_document_escapes(text: str, document: dict[str, Any]) -> None:
    try:
        expression = compile_expression(text)
    except ExpressionError:
        return
    assert len(expression.steps) == len(expression.paths)
    try:
        expression.evaluate(normal(document), NOW)
    except (EvaluationError, DocumentError):
        return


@settings(max_examples=300, deadline=None)
@given(DOCUMENTS, st.sampled_from(["a == `1`", "all(a, &b)", "a.b > `1` && c", "!(a || b)", "length(a) > `0`",
                                   "contains(a, `1`)", "any(a, &@ == `1`) || b == 'x'"]))
def test_what_is_not_known_never_settles_more_than_what_is(document: dict[str, Any], text: str) -> None:
    """Forgetting a field may turn true or false into not known, but never true into false or false into true."""
    expression = compile_expression(text)
    document.pop("unknown", None)
    try:
        full = expression.evaluate(normal(document), NOW)
        forgotten = [expression.evaluate(normal({**document, "unknown": [name]}), NOW) for name in "abc"]
    except (EvaluationError, DocumentError):
        return
    for less in forgotten:
        assert isinstance(less, Absent) or less == full


HOSTILE = {
    "deep": (lambda: _deep(5000), "nested deeper"),
    "wide": (lambda: {"a": list(range(200_000))}, "more than 100000 values"),
    "long text": (lambda: {"a": "x" * 70_000}, "more than 65536 characters"),
    "much text": (lambda: {"a": ["x" * 60_000] * 80}, "characters of text"),
    "huge number": (lambda: {"a": 10 ** 5000}, "63 bits"),
    "not a number": (lambda: {"a": float("nan")}, "not finite"),
    "infinite": (lambda: {"a": float("-inf")}, "not finite"),
    "object": (lambda: {"a": object()}, "which is not a value of JSON"),
    "bytes": (lambda: {"a": b"x"}, "which is not a value of JSON"),
    "key": (lambda: {1: "a"}, "has a key"),
    "unknown": (lambda: {"unknown": "memory"}, "not a list"),
    "unknown path": (lambda: {"unknown": ["../x"]}, "does not look like"),
    "unknown place": (lambda: {"disks": [], "unknown": ["disks[0].size"]}, "no place"),
}


def _deep(levels: int) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for _level in range(levels):
        document = {"a": document}
    return document


@pytest.mark.parametrize(("make", "part"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_document_is_refused(make: Any, part: str) -> None:
    with pytest.raises(DocumentError, match=part):
        normal(make())


def test_a_loop_in_a_document_is_refused() -> None:
    document: dict[str, Any] = {}
    document["a"] = document
    with pytest.raises(DocumentError, match="nested deeper"):
        normal(document)


@pytest.mark.parametrize(("text", "paths"), [
    ("memory > `1` && tags.owner == 'x'", ["memory", "tags.owner"]),
    ("all(disks, &size > `1`)", ["disks"]),
    ("length(default(disks, `[]`)) > `0` && disks[0].size > `1`", ["disks", "disks[0].size"]),
    ("min(restore_points[].age(created)) <= protection.rpo", ["restore_points", "protection.rpo"]),
    ("disks[?size > `1`].name | length(@) > `1`", ["disks"]),
])
def test_paths_are_those_read_from_the_top(text: str, paths: list[str]) -> None:
    assert list(compile_expression(text).paths) == paths
