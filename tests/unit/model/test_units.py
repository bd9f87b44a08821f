"""Sizes and durations: what people write, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.model.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(("text", "size"), [
    ("2 GiB", 2 << 30), ("2GiB", 2 << 30), ("2 Gi", 2 << 30), ("2 GB", 2 * 10**9), ("2G", 2 * 10**9), ("512", 512),
    ("1.5 KiB", 1536), (" 1 kb ", 1000), (7, 7), ("1 PiB", 1 << 50), ("1 B", 1),
])
def test_sizes(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "-1", "1e18", "2 XiB", "2 GiB GiB", "0", 0, -1, True, 1.5, None, "1 EiB",
                                  "2000 PiB", "٢ GiB", "0x10", "1,5 GiB", "2 GiB\n2"])
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(ValueError, match=r"is not a size|out of range"):
        parse_size(text)


@pytest.mark.parametrize(("text", "seconds"), [
    ("15m", 900), ("24h", 86400), ("7d", 604800), ("2w", 1209600), ("1d 12h", 129600), ("90", 90), (90, 90),
    ("1 h", 3600),
])
def test_durations(text: object, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "1y", "-1m", "1.5h", "0", 0, True, 1.5, None, "101w 100000d", "1h-1m", "٢h",
                                  "٢"])
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match=r"is not a duration|out of range"):
        parse_duration(text)


@given(st.integers(1, 1 << 49))
def test_a_size_is_written_exactly(size: int) -> None:
    assert parse_size(format_size(size)) == size


@given(st.integers(1, 3_155_760_000))
def test_a_duration_is_written_exactly(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == seconds
