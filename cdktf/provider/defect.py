"""A defect of ours as a sentence: where it is, without the text of the exception, which may hold values."""

from __future__ import annotations

import traceback

from .log import log

TITLE = "Muster's provider has a defect"


def defect(error: Exception) -> str:
    """Which exception, and where it came from; it is logged too."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{type(error).__name__} in {place.name}, line {place.lineno} of {place.filename.rpartition('/')[2]}"
    log(f"defect: {where}", "error")
    return where
