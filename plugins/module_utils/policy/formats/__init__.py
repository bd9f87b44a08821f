"""The forms that a check can be written in: one file each, imported when it is asked for.

A form is a function that yields the text piece by piece, so that a report of half a million findings is written
without a second copy of it in memory.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from .checked import Checked, Part, inspected

# Each form with its file here, and the library that it needs.
_FILES = {"text": ("text", ""), "json": ("as_json", ""), "sarif": ("sarif", "sarif-pydantic"),
          "junit": ("junit", "junitparser"), "csv": ("as_csv", ""), "html": ("page", "jinja2"),
          "oscal": ("oscal", "compliance-trestle")}
FORMATS = tuple(_FILES)


class FormatError(ValueError):
    """The form cannot be written here. Its text is a sentence that says what is missing."""


def pieces(name: str, checked: Checked) -> Iterator[str]:
    """`checked` in the form `name`, one of `FORMATS`. Raises FormatError where the form's library is not installed.

    The library is looked for before the first piece, so that nothing half-written is left for want of it.
    """
    if name not in _FILES:
        raise FormatError(f"'{name:.40}' is not a format; there are {', '.join(FORMATS)}.")
    file, library = _FILES[name]
    try:
        written: Iterator[str] = importlib.import_module(f".{file}", __name__).write(checked)
    except ImportError as error:
        raise FormatError(f"The format {name} needs {library or error.name}, which is not installed. Install "
                          "muster-fleet[formats].") from None
    return written


__all__ = ["FORMATS", "Checked", "FormatError", "Part", "inspected", "pieces"]
