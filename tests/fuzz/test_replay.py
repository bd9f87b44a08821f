"""The corpus and a few bytes that are always the same through every target: the short form of ``make fuzz``."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .targets import TARGETS, corpus, target

SLOW = {"check": 25, "formats": 50}


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus(name: str) -> None:
    run = target(name)
    for data in corpus(name):
        run(data)
    choice = random.Random(name)
    for _number in range(SLOW.get(name, 150)):
        run(choice.randbytes(choice.choice((20, 60, 200))))


@pytest.mark.parametrize("name", [name for name in TARGETS if name not in SLOW])
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.binary(min_size=10, max_size=120))
def test_the_properties(name: str, data: bytes) -> None:
    """The same targets as properties: hypothesis makes what breaks one as short as it can be."""
    target(name)(data)
