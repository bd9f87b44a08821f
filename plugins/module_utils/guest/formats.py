"""Line-oriented configuration files: read as keys and values, edited without disturbing the rest. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

HEADER = "# Written by Muster (role harden). Change the fleet's rules, not this file.\n"


def pairs(text: str, separator: str = "", comments: str = "#;") -> dict[str, str]:
    """Keys and values of a file. `separator` is ``=`` or empty for white space. The last of equal keys wins."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        line = line.strip()
        if not line or line[0] in comments or line[0] == "[":
            continue
        if separator:
            key, _equals, value = line.partition(separator)
        else:
            key, value = line.split(None, 1)[0], " ".join(line.split()[1:])
        found[key.strip()] = value.strip()
    return found


def edit(text: str, values: dict[str, str], separator: str) -> str:
    """`text` with each key set to its value: the last active line of the key is changed, further ones are dropped.

    A key that has no active line is appended. Comments and other lines stay as they are.
    """
    lines = text.splitlines()
    for key, value in values.items():
        pattern = re.compile(r"\s*" + re.escape(key) + r"(?:\s*" + (re.escape(separator.strip()) or r"\s") + r"|\s*$)")
        places = [number for number, line in enumerate(lines) if pattern.match(line)]
        line = f"{key}{separator}{value}"
        if places:
            lines[places[-1]] = line
            for number in reversed(places[:-1]):
                del lines[number]
        else:
            lines.append(line)
    return "\n".join(lines) + "\n" if lines else ""


def document(lines: Iterable[str], note: str = "") -> str:
    """A file that is wholly ours."""
    body = "".join(f"{line}\n" for line in lines)
    return HEADER + (f"# {note}\n" if note else "") + body


def words(text: str) -> list[str]:
    """Words of the active lines of `text`."""
    return [word for line in text.splitlines() if not line.lstrip().startswith("#") for word in line.split()]
