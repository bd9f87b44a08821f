"""The search for cycles: off where much is made, on again whatever happened; and what is kept goes in the end."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from muster.model.garbage import kept_for_good, no_search_for_cycles


class Thing:
    """One that holds itself."""

    def __init__(self) -> None:
        self.own = self


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.enable()


@pytest.mark.parametrize("quiet", [no_search_for_cycles, kept_for_good])
@pytest.mark.parametrize("on", [True, False])
def test_the_search_is_as_it_was(quiet: Callable[[], AbstractContextManager[None]], on: bool) -> None:
    def make() -> None:
        with quiet():
            with no_search_for_cycles():
                assert not gc.isenabled()
            assert not gc.isenabled()
            raise KeyError

    (gc.enable if on else gc.disable)()
    with pytest.raises(KeyError):
        make()
    assert gc.isenabled() is on


def test_what_is_kept_is_not_searched_until_its_successor_comes() -> None:
    with kept_for_good():
        thing = Thing()
    gone = weakref.ref(thing)
    del thing
    gc.collect()
    assert gone() is not None
    with kept_for_good():
        assert gone() is None
