"""A check as one HTML page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..framework import frameworks, load_framework
from ..html import render
from .checked import Checked


def write(checked: Checked) -> Iterator[str]:
    """The page, in one piece. Frameworks that were not asked for can be chosen on it too."""
    asked = [framework.name for framework in checked.frameworks]
    every = (*asked, *(name for name in frameworks() if name not in asked))
    return iter([render(replace(checked, frameworks=tuple(map(load_framework, every))).data())])
