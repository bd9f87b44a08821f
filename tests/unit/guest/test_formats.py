"""Editing a file sets the keys and nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from muster.guest.formats import edit, pairs

KEYS = st.sampled_from(["UMASK", "UMASK_X", "PASS_MAX_DAYS", "A"])
VALUES = st.text("abc0123456789/", min_size=1, max_size=8)
NOISE = st.sampled_from(["", "# UMASK 022", "#UMASK=1", "other thing", "X = 1"])
SEPARATORS = st.sampled_from(["\t", " = ", "="])


@st.composite
def files(draw: st.DrawFn) -> tuple[str, str, dict[str, str]]:
    separator = draw(SEPARATORS)
    lines = draw(st.lists(st.one_of(NOISE, st.builds(lambda k, v: f"{k}{separator}{v}", KEYS, VALUES)), max_size=8))
    return "\n".join(lines) + "\n", separator, draw(st.dictionaries(KEYS, VALUES, min_size=1, max_size=4))


@given(files())
def test_edit_sets_the_keys_and_keeps_all_other_lines(case):
    text, separator, values = case
    after = edit(text, values, separator)
    found = pairs(after, separator.strip())
    assert {key: found[key] for key in values} == values
    assert edit(after, values, separator) == after

    def others(of: str) -> list[str]:
        return [line for line in of.splitlines() if line.split(separator)[0] not in values]

    assert others(after) == others(text)


@given(st.text(max_size=200))
def test_reading_never_fails(text):
    pairs(text)
    pairs(text, "=")
