"""The forms that a check can be written in: one file each, imported when it is asked for.

A form is a function that yields the text piece by piece, so that a report of half a million findings is written
without a second copy of it in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .checked import Checked, Part, inspected

FORMATS = ("text", "json", "sarif", "junit", "csv", "html", "oscal")
_NEEDS = {"sarif": "sarif-pydantic", "junit": "junitparser", "oscal": "compliance-trestle", "html": "jinja2"}


class FormatError(ValueError):
    """The form cannot be written here. Its text is a sentence that says what is missing."""


def pieces(name: str, checked: Checked) -> Iterator[str]:
    """`checked` in the form `name`, one of `FORMATS`. Raises FormatError where the form's library is not installed.

    The library is looked for before the first piece, so that nothing half-written is left for want of it.
    """
    try:
        return _form(name)(checked)
    except ImportError as error:
        raise FormatError(f"The format {name} needs {_NEEDS.get(name, error.name)}, which is not installed. Install "
                          "muster-fleet[formats].") from None


def _form(name: str) -> Callable[[Checked], Iterator[str]]:
    if name == "text":
        from . import text

        return text.write
    if name == "json":
        from . import as_json

        return as_json.write
    if name == "csv":
        from . import as_csv

        return as_csv.write
    if name == "html":
        from . import page

        return page.write
    if name == "sarif":
        from . import sarif

        return sarif.write
    if name == "junit":
        from . import junit

        return junit.write
    if name == "oscal":
        from . import oscal

        return oscal.write
    raise FormatError(f"'{name:.40}' is not a format; there are {', '.join(FORMATS)}.")


__all__ = ["FORMATS", "Checked", "FormatError", "Part", "inspected", "pieces"]
