"""Patterns against Python's ``re``, on texts so short that ``re`` comes to an end."""

from __future__ import annotations

import re
import warnings

from muster.policy.patterns import Pattern, PatternError

from .choices import Choices
from .expressions import told

_PARTS = ("a", "b", ".", "^", "$", "(", ")", "|", "*", "+", "?", "{2}", "{0}", "{1,}", "{0,3}", "[", "]", "-", "^",
          "\\d", "\\W", "\\s", "\\.", "\\n", "\\]", "[ab]", "[^a]", "[a-z]", "[]", "()", "\u00e9", "[\\d-]", "(a|b)*",
          "(^a|b$)+", "\n", "\\$")
_LETTERS = "ab.-]\n 1_\u00e9$^x\r\u0660"


def any_pattern(data: bytes) -> None:
    """Any text is a pattern or is refused; what it is, is found where ``re`` finds it."""
    choices = Choices(data)
    raw = choices.below(3) == 0
    pattern = choices.text() if raw else "".join(choices.one(_PARTS) for _number in range(choices.below(9)))
    texts = ["".join(choices.one(_LETTERS) for _number in range(choices.below(9))) for _number in range(4)]
    try:
        found = Pattern(pattern)
    except PatternError as error:
        told(error)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # sets within sets, which are none yet
        try:
            wanted = re.compile(_to_the_end(pattern), re.ASCII)
        except re.error:
            return  # such as [\w-z], of which re makes an error
    for text in ("", *texts):
        assert found.search(text) is (wanted.search(text) is not None), f"{pattern!r} in {text!r}"
    found.search("a" * 400 + "!")


def _to_the_end(pattern: str) -> str:
    """`pattern` with ``\\Z`` for each ``$`` that stands outside of a set."""
    written, inside, at = "", False, 0
    while at < len(pattern):
        one = pattern[at:at + 2] if pattern[at] == "\\" else pattern[at]
        at += len(one)
        if one == "[" and not inside:
            inside = True
            if pattern[at:at + 1] == "^":
                one, at = "[^", at + 1
        elif one == "]":
            inside = False
        elif one == "$" and not inside:
            one = "\\Z"
        written += one
    return written
