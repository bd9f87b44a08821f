"""The contract's errors: one sentence, whatever the platform said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.drivers.driver import Conflict, DriverError


def test_a_sentence_names_site_and_vm_and_what_to_do() -> None:
    error = Conflict("it is in the way", site="lab", vm="web", todo="Remove it")
    assert str(error) == "VM 'web' at site 'lab': it is in the way. Remove it."
    assert str(Conflict("it is in the way.", site="lab")) == "Site 'lab': it is in the way."


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("red \x1b[31m", r"red \x1b[31m"),
        ("title \x1b]0;x\x07", r"title \x1b]0;x\x07"),
        ("two\nlines", "two lines"),
        ("\u202eturned", r"\u202eturned"),
        ("größer", "größer"),
    ],
)
def test_a_platforms_words_do_nothing_to_a_terminal(said: str, shown: str) -> None:
    assert str(DriverError(said, site="lab")) == f"Site 'lab': {shown}."


@given(st.text(), st.text(), st.text())
def test_no_text_is_unprintable(what: str, vm: str, todo: str) -> None:
    assert str(DriverError(what, site="lab", vm=vm, todo=todo)).isprintable()
