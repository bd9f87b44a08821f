"""Waves: what stands in which, and what is no size of one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.model.errors import ModelError
from muster.operations.waves import waves_of

SIZES = st.integers(1, 300).map(str) | st.integers(1, 100).map(lambda share: f"{share}%")


@pytest.mark.parametrize(
    ("count", "sizes", "expected"),
    [
        (200, ["1", "5%", "25%", "100%"], [1, 10, 50, 139]),
        (2, ["1", "5%", "25%", "100%"], [1, 1]),
        (10, ["1"], [1] * 10),
        (10, ["3", "50%"], [3, 5, 2]),
        (10, [], [10]),
        (0, ["1"], []),
        (3, ["999999"], [3]),
    ],
)
def test_waves(count: int, sizes: list[str], expected: list[int]) -> None:
    assert [len(wave) for wave in waves_of(range(count), sizes)] == expected


@given(st.lists(st.integers(), max_size=300), st.lists(SIZES, max_size=5))
def test_everybody_is_in_one_wave_and_in_order(items: list[int], sizes: list[str]) -> None:
    assert [item for wave in waves_of(items, sizes) for item in wave] == items
    assert all(waves_of(items, sizes))


@pytest.mark.parametrize("size", ["0", "-1", "101%", "1.5", "%", "", "x", "1 %", "9999999", "1\n", "٣"])
def test_no_size(size: str) -> None:
    with pytest.raises(ModelError, match="is no size of a wave; write a number of VMs"):
        waves_of([], ["1", size])
