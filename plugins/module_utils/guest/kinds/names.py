"""What names and values may look like in a settings document, before they reach a file or a program."""

from __future__ import annotations

import re
from typing import Any

from ..host import GuestError

PACKAGE = r"[a-z0-9][a-z0-9+.-]{1,100}"
UNIT = r"[A-Za-z0-9][A-Za-z0-9@:_.-]{0,100}"
MODULE = r"[A-Za-z0-9_-]{1,60}"
SYSCTL = r"[a-z0-9_]+(?:\.[A-Za-z0-9_-]+){1,8}"
KEYWORD = r"[A-Za-z][A-Za-z0-9_-]{0,60}"
PATH = r"/(?:[A-Za-z0-9_@+.,:=-]+/?)*"
USER = r"[a-z_][a-z0-9_-]{0,31}"


def name(kind: str, value: Any, pattern: str) -> str:
    """`value` as text that matches `pattern` wholly. Raises GuestError."""
    if not isinstance(value, str) or not re.fullmatch(pattern, value) or ".." in value:
        raise GuestError(f"{kind}: {value!r} is not a name that can be used here. Nothing was changed.")
    return value


def line(kind: str, key: str, value: Any) -> str:
    """`value` as one line of text: numbers and booleans too. Raises GuestError."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, str)):
        text = str(value)
        if len(text) <= 4096 and text == text.strip() and text.isprintable():
            return text
    raise GuestError(f"{kind}: the value of {key} must be one line of text, not {value!r}. Nothing was changed.")


def table(kind: str, wanted: Any, pattern: str = KEYWORD) -> dict[str, str]:
    """A dict of names and one-line values."""
    if not isinstance(wanted, dict):
        raise GuestError(f"{kind} must be a dict. Nothing was changed.")
    return {name(kind, key, pattern): line(kind, key, value) for key, value in wanted.items()}


def listing(kind: str, wanted: Any, pattern: str) -> list[str]:
    """A list of names, each once, in order."""
    if not isinstance(wanted, list):
        raise GuestError(f"{kind} must be a list. Nothing was changed.")
    return list(dict.fromkeys(name(kind, item, pattern) for item in wanted))
