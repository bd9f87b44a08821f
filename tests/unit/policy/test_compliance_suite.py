"""The compiler against JMESPath's own compliance suite and against its own library."""

from __future__ import annotations

from typing import Any

import jmespath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from muster.policy.documents import Absent, DocumentError, normal
from muster.policy.expressions import EvaluationError, ExpressionError, compile_expression
from muster.policy.selftest import NOW

from .jmespath_suite import Case, cases

SUITE = list(cases())


def test_the_suite_is_whole() -> None:
    assert len(SUITE) > 800


@pytest.mark.parametrize("case", SUITE, ids=lambda case: case.name)
def test_with_jmespaths_nulls_every_answer_is_jmespaths(case: Case) -> None:
    try:
        found = compile_expression(case.text, nulls=True).run(case.document, NOW)
    except (ExpressionError, EvaluationError, ValueError):
        assert case.error, f"{case.text} should be {case.result}"
        return
    assert not case.error, f"{case.text} should be the error {case.error}"
    assert found == case.result


def test_without_them_an_answer_is_the_same_or_not_known() -> None:
    """What rules get is JMESPath's answer, or "not known" where JMESPath would go on with a null."""
    counts = {"same": 0, "not known": 0, "refused": 0}
    for case in SUITE:
        if case.error or not isinstance(case.document, dict):
            continue
        try:
            document = normal(case.document)
            found = compile_expression(case.text).evaluate(document, NOW)
        except (ExpressionError, EvaluationError, DocumentError):
            counts["refused"] += 1
            continue
        if isinstance(found, Absent):
            counts["not known"] += 1
            continue
        counts["same"] += 1
        assert found == normal({"wanted": jmespath.search(case.text, _without_nulls(case.document))})["wanted"], case
    assert counts["same"] > counts["not known"] + counts["refused"], counts


def _without_nulls(value: Any) -> Any:
    """`value` as a document of ours has it: a key that is null is not there."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


KEYS = st.sampled_from(["a", "b", "c"])
JSON = st.recursive(st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "x"]) | st.none(),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=15)
STEPS = st.sampled_from(["a", "b", "@", "a.b", "a[0]", "a[-1]", "a[]", "a[*].b", "a.*", "a[?b]", "a[?b == `1`].c",
                         "a[1:]", "[a, b]", "{a: a, b: b}", "a[].b[]", "`[1, 2]`", "'x'", "`true`", "length(a)",
                         "keys(a)", "to_array(a)", "not_null(a, b)", "type(a)", "sort(a)", "map(&b, a)", "to_string(a)",
                         "values(a)", "reverse(a)", "contains(a, b)", "max(a)", "sum(a)",
                         "max_by(a, &b)", "sort_by(a, &b)"])
EXPRESSIONS = st.recursive(STEPS, lambda inner: st.one_of(
    st.tuples(inner, st.sampled_from(["||", "&&", "==", "!=", "<", ">=", "|"]), inner).map(" ".join).map("({})".format),
    inner.map("!({})".format)), max_leaves=6)


@settings(max_examples=1500, deadline=None)
@given(EXPRESSIONS, st.dictionaries(KEYS, JSON, max_size=3))
def test_the_compiler_agrees_with_the_library(text: str, document: dict[str, Any]) -> None:
    try:
        found = compile_expression(text, nulls=True).run(document, NOW)
    except (ExpressionError, EvaluationError, ValueError):
        found = "error"
    try:
        wanted = jmespath.search(text, document)
    except (TypeError, AttributeError):
        return  # a fault of the library, such as ordering a text and a number; the suite wants null
    except jmespath.exceptions.JMESPathError:
        wanted = "error"
    assert (type(found), found) == (type(wanted), wanted)
