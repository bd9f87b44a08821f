"""A check as one HTML page."""

from __future__ import annotations

from collections.abc import Iterator

from ..html import render
from .checked import Checked


def write(checked: Checked) -> Iterator[str]:
    """The page, in one piece."""
    return iter([render(checked.data())])
