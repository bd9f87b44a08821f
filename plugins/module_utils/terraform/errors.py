"""The error of this room: one sentence about a file that cannot be read as a plan or a state, and what to do."""

from __future__ import annotations

import re

_EXPECTED = re.compile(r"Expected `([^`]+)`, got `([^`]+)`(?: - at `([^`]*)`)?")
_BOUND = re.compile(r"Expected `(?:int|float)` (?:<=|>=) .*?(?: - at `([^`]*)`)?$")
_WORDS = {
    "str": "text", "int": "a whole number", "float": "a number", "bool": "true or false", "array": "a list",
    "object": "a mapping", "null": "nothing",
}
_REMEDY = "make the file again with 'terraform show -json FILE > plan.json'"
SHOWN_FILE = 200
SHOWN_ADDRESS = 160


class TerraformError(ValueError):
    """A file cannot be read as a plan or a state. `source` names the file; `str()` is one sentence, printable ASCII."""

    def __init__(self, problem: str, source: str = "") -> None:
        self.problem = problem
        self.source = source
        super().__init__(problem)

    def __str__(self) -> str:
        return f"{printable(self.source, SHOWN_FILE)}: {self.problem}" if self.source else self.problem


class WrongShape(TerraformError):
    """A value is not of the type that Terraform or the provider gives it. No value is quoted: it may be a secret."""

    def __init__(self, message: str, place: str = "") -> None:
        super().__init__(f"{_told(message, place)}; {_REMEDY}, or report it if the provider is newer than Muster")


def _told(message: str, place: str) -> str:
    """The decoder's `message` as a sentence about `place`, such as the address of a resource."""
    expected = _EXPECTED.match(message)
    if expected:
        wanted, got, path = expected.groups()
        # A union that allows null names it; that it may be absent is no news to the reader.
        names = [_WORDS.get(word, word) for word in wanted.split(" | ") if word != "null" or wanted == "null"]
        problem = f"is {_WORDS.get(got, got)} where {' or '.join(names)} belongs"
    else:
        bound = _BOUND.match(message)
        path = bound.group(1) if bound else message.partition(" - at `")[2].rstrip("`")
        problem = "is a number beyond all bounds" if bound else f"cannot be read ({printable(message, 120)})"
    where = (path or "").removeprefix("$").removeprefix(".")
    subject = f"'{where}'" if where else "the value"
    return f"{printable(place, SHOWN_ADDRESS)}: {subject} {problem}" if place else f"{subject} {problem}"


def printable(text: str, limit: int) -> str:
    """`text` on one line in ASCII, so that an escape code or a lookalike is seen; at most `limit` characters."""
    plain = text if text.isascii() and text.isprintable() else ascii(text)[1:-1]
    return plain if len(plain) <= limit else plain[:limit] + "..."


def named(text: str) -> str:
    """`text` in quotes for a sentence."""
    return f"'{printable(text, SHOWN_ADDRESS)}'"
