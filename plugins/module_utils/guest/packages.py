"""Packages, as APT and dpkg tell of them: what an upgrade would change, and what it has changed.

The guest is hostile: a line that is not of the form is left out, and at most `LIMIT` are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Union

LIMIT = 20000
Change = dict[str, Union[str, None]]  # noqa: UP007 - ansible-test reads it as an older Python
_NAME = r"[a-z0-9][a-z0-9+.-]{0,120}(?::[a-z0-9-]{1,20})?"
_VERSION = r"[0-9A-Za-z.+~:-]{1,120}"
_INSTALL = re.compile(rf"Inst ({_NAME})(?: \[({_VERSION})\])? \(({_VERSION})[ )]")
_REMOVE = re.compile(rf"Remv ({_NAME})(?: \[({_VERSION})\])?")
_INSTALLED = re.compile(rf"({_NAME})\t({_VERSION})$")


def pending(lines: Iterable[str]) -> list[Change]:
    """What ``apt-get --simulate`` says it would do, in its order.

    Each is ``{"name", "from", "to"}``; `from` is None for a new package, `to` for one that goes.
    """
    found: list[Change] = []
    for line in _bounded(lines):
        if match := _INSTALL.match(line):
            found.append({"name": match[1], "from": match[2], "to": match[3]})
        elif match := _REMOVE.match(line):
            found.append({"name": match[1], "from": match[2], "to": None})
    return found


def changes(before: Iterable[str], after: Iterable[str]) -> list[Change]:
    """What differs between two answers of ``dpkg-query`` (lines ``NAME<tab>VERSION``), by name, as in `pending`."""
    old, new = _installed(before), _installed(after)
    return [
        {"name": name, "from": old.get(name), "to": new.get(name)}
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def _installed(lines: Iterable[str]) -> dict[str, str]:
    return {match[1]: match[2] for line in _bounded(lines) if (match := _INSTALLED.match(line))}


def _bounded(lines: Iterable[str]) -> list[str]:
    return [line for _number, line in zip(range(LIMIT), lines, strict=False)]
