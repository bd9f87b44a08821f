"""Patterns: the same answers as Python's ``re``, in linear time."""

from __future__ import annotations

import contextlib
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from muster.policy.patterns import MAX_WORK, Pattern, PatternError

CLASS = st.sampled_from(["[ab]", "[^a]", "[a-c]", "[a-]", r"[\d-]", r"[^\w]", r"[\]x]"])
ATOM = st.sampled_from(["a", "b", "-", ".", r"\d", r"\w", r"\S", r"\.", r"\-"]) | CLASS
REPEAT = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,}", "{0,2}"])
PATTERN = st.recursive(
    st.lists(st.builds("{}{}".format, ATOM, REPEAT), max_size=4).map("".join),
    lambda inner: st.builds("({}|{}){}".format, inner, inner, REPEAT) | st.builds("^{}".format, inner)
    | st.builds("{}$".format, inner),
    max_leaves=5,
)


@settings(max_examples=500, deadline=None)
@given(PATTERN, st.text(alphabet="abcx1-.] \n", max_size=12))
def test_it_finds_what_re_finds(pattern: str, text: str) -> None:
    expected = re.search(re.sub(r"(?<!\\)\$", r"\\Z", pattern), text, re.ASCII) is not None
    assert Pattern(pattern).search(text) is expected


@settings(deadline=None)
@given(st.text(max_size=40) | PATTERN, st.text(max_size=40))
def test_any_pattern_is_used_or_refused(pattern: str, text: str) -> None:
    with contextlib.suppress(PatternError):
        Pattern(pattern).search(text)


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(a|a)*$", "(a*)*b", "^(([a-z])+.)+[A-Z]([a-z])+$", ".*.*.*.*.*x",
                                     "(a?){64}b"])
def test_a_pattern_that_would_backtrack_for_ever_is_quick(pattern: str) -> None:
    before = time.process_time()
    assert Pattern(pattern).search("a" * 1000 + "!") is False
    assert time.process_time() - before < 2


REFUSED = ["(", ")", "(?:a)", "(?=a)", "a**", "a{2}{3}", "*", "[", "[]", "[b-a]", "[a", r"\1", r"\b", "\\", "a{999}",
           "a{3,2}", "a{x}", "^*", "(" * 30 + ")" * 30, "a" * 300, "((a{100}){100}){100}", "}", "]"]


@pytest.mark.parametrize("pattern", REFUSED)
def test_what_is_not_in_the_dialect_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError, match="pattern"):
        Pattern(pattern)


def test_a_text_too_long_for_its_pattern_is_refused() -> None:
    with pytest.raises(PatternError, match="too long"):
        Pattern("(a{200}|b){3}").search("a" * (MAX_WORK // 600))
