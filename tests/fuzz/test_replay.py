"""The corpus, and some bytes that are always the same, through every target: the short form of ``make fuzz``."""

from __future__ import annotations

import random

import pytest

from .targets import TARGETS, corpus, target

RANDOM = {"check": 25, "formats": 60}  # of the others, 150 each


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_and_some_random_bytes(name: str) -> None:
    run = target(name)
    for data in corpus(name):
        run(data)
    choice = random.Random(name)
    for _number in range(RANDOM.get(name, 150)):
        run(choice.randbytes(choice.choice((20, 60, 200))))
