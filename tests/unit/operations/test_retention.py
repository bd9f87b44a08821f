"""What retention keeps: the newest always, what others build upon, what is on hold, and everything in doubt."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.drivers.driver import Snapshot
from muster.operations.repository import RestorePoint
from muster.operations.retention import doomed_snapshots, kept_points
from restore_points import id_of, point

DAY = 86400.0
NOON = datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.UTC).timestamp()  # a Monday


@pytest.mark.parametrize(
    ("days_ago", "keep", "kept"),
    [
        pytest.param([3, 2, 1, 0], {"last": 2}, [2, 3], id="the last two"),
        pytest.param([3, 2, 1, 0], {"daily": 2}, [2, 3], id="one for each of two days"),
        pytest.param([1, 0.2, 0.1, 0], {"daily": 2}, [0, 3], id="the newest one of a day"),
        pytest.param([14, 8, 7, 0], {"weekly": 2}, [2, 3], id="one for each of two weeks"),
        pytest.param([70, 40, 39, 0], {"monthly": 3}, [0, 2, 3], id="one for each of three months"),
        pytest.param([40, 30, 20, 0], {"daily": 1}, [3], id="gaps count no day"),
        pytest.param([9, 8, 1, 0], {"last": 3, "weekly": 2}, [1, 2, 3], id="the sum of what each asks for"),
        pytest.param([3, 2, 1, 0], {}, [0, 1, 2, 3], id="no policy keeps all"),
        pytest.param([3, 2, 1, 0], None, [0, 1, 2, 3], id="none at all keeps all"),
        pytest.param([3, 2, 1, 0], {"last": 0, "daily": 0}, [0, 1, 2, 3], id="zeros are no policy"),
        pytest.param([], {"last": 1}, [], id="nothing there"),
    ],
)
def test_kept(days_ago: list[float], keep: dict[str, int] | None, kept: list[int]) -> None:
    points = [point(index, NOON - days * DAY) for index, days in enumerate(days_ago)]
    assert kept_points(points, keep) == {id_of(index) for index in kept}


def test_a_chain_is_kept_whole() -> None:
    points = [point(0), point(1, parent=0), point(2, parent=1), point(3), point(4, parent=2)]
    assert kept_points(points, {"last": 1}) == {id_of(index) for index in (0, 1, 2, 4)}


def test_what_was_taken_just_now_is_kept_though_the_clock_went_back() -> None:
    points = [point(0, NOON), point(1, NOON + 1), point(2, NOON - 3600), point(3, NOON - 1800, parent=2)]
    assert kept_points(points, {"last": 1}, id_of(3)) == {id_of(1), id_of(2), id_of(3)}


def test_a_loop_ends() -> None:
    points = [point(0, parent=1), point(1, parent=0), point(2)]
    assert kept_points(points, {"last": 2}) == {id_of(index) for index in (0, 1, 2)}


@st.composite
def histories(draw: st.DrawFn) -> list[RestorePoint]:
    """Restore points over some months, some building upon earlier ones."""
    times = draw(st.lists(st.floats(0, 200 * DAY), max_size=25))
    points: list[RestorePoint] = []
    for number, age in enumerate(times):
        parent = draw(st.none() | st.integers(0, number - 1)) if number else None
        points.append(point(number, NOON - age, parent))
    return points


KEEP: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {}, optional={name: st.integers(0, 6) for name in ("last", "daily", "weekly", "monthly")}
)


@given(histories(), KEEP)
def test_newest_and_ancestors_are_kept(points: list[RestorePoint], keep: dict[str, int]) -> None:
    kept = kept_points(points, keep)
    assert kept <= {one.id for one in points}
    if points:
        assert max(points, key=lambda one: one.created).created in {one.created for one in points if one.id in kept}
    for one in points:
        assert one.id not in kept or one.parent is None or one.parent in kept
    if not any(keep.values()):
        assert len(kept) == len(points)


@given(histories(), KEEP, st.sampled_from(["last", "daily", "weekly", "monthly"]))
def test_a_larger_count_never_keeps_less(points: list[RestorePoint], keep: dict[str, int], name: str) -> None:
    if any(keep.values()):
        more = {**keep, name: keep.get(name, 0) + 1}
        assert kept_points(points, keep) <= kept_points(points, more)


def test_of_one_second_the_later_one_is_newer() -> None:
    snapshots = [Snapshot(f"muster-{name}", 7, name) for name in ("first", "second", "third")]
    assert [one.operation for one in doomed_snapshots(snapshots, 1, None, now=8)] == ["first", "second"]


SNAPSHOTS = st.lists(
    st.builds(
        Snapshot,
        id=st.text(min_size=1),
        created=st.integers(0, 1000),
        operation=st.sampled_from(["", "one", "two"]),
        hold=st.booleans(),
    ),
    max_size=12,
)
BOUND = st.none() | st.integers(0, 8)


@given(SNAPSHOTS, BOUND, st.none() | st.integers(0, 1000))
def test_doomed(snapshots: list[Snapshot], count: int | None, age: int | None) -> None:
    doomed = doomed_snapshots(snapshots, count, age, now=1000)
    assert all(one.operation and not one.hold for one in doomed)
    own = [one for one in snapshots if one.operation and not one.hold]
    left = len(own) - len(doomed)
    if age is None:
        assert left == (len(own) if count is None else min(count, len(own)))
    else:
        assert all(1000 - one.created <= age for one in own if one not in doomed)
    if count is not None:
        assert left <= count
        more = doomed_snapshots(snapshots, count + 1, age, now=1000)
        assert len(more) <= len(doomed)
    assert [one.created for one in doomed] == sorted(one.created for one in doomed)  # the oldest goes first
