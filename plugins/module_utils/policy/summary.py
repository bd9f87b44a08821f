"""The end of a run: its report as two files, and the short table that says how it went."""

from __future__ import annotations

import json
import os
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from . import changes
from .cards import cards
from .html import render
from .whole_file import write_whole
from .wording import human_duration, printable

_HEADS = ("VM", "Address", "Health", "Compliance", "RPO", "RTO", "Drill", "Seconds")
_WIDEST = 40
_LARGEST = 256 << 20  # bytes of a last report that is read


def write_report(data: Mapping[str, Any], directory: Path | str) -> tuple[Path, Path]:
    """Write report.html and report.json into `directory`, which is made if need be; returns their paths.

    Each is complete or not there: it is written beside its place and then moved. Raises OSError.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "report.html", folder / "report.json"
    data = since_last(data, paths[1])
    page = render(data)  # before anything is written, so that a fault leaves the last report as it was
    document = "".join(_lines(data))
    write_whole(paths[0], [page])
    write_whole(paths[1], [document])
    return paths


def since_last(data: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """`data` with what changed since the run report at `path`. Where that one cannot be compared, a sentence of the
    report says so: a file that anybody may have written stops no run."""
    compliance = data.get("compliance")
    if not isinstance(compliance, Mapping):
        return data
    now = str(data.get("generated", ""))
    try:
        try:
            last = _last(path)
        except FileNotFoundError:
            return {**data, "compliance": changes.begin(compliance, now)}
        if isinstance(last, Mapping) and last.get("fleet") != data.get("fleet"):
            raise changes.IncomparableError("it is the report of another fleet")
        return {**data, "compliance": changes.compare(compliance, now, last)}
    except changes.IncomparableError as error:
        problem = f"The last report, {path.name}, could not be compared: {error}. This report takes its place."
        return {**data, "compliance": {**changes.begin(compliance, now), "changes": {"problem": problem}}}


def _last(path: Path) -> Any:
    """What the file at `path` holds. Raises FileNotFoundError where there is none, and IncomparableError where it
    cannot be read."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would wait for its writer
    except FileNotFoundError:
        raise
    except OSError as error:
        raise changes.IncomparableError(f"it cannot be read, {error.strerror}") from None
    with os.fdopen(handle, "rb") as stream:
        state = os.fstat(stream.fileno())
        if not stat.S_ISREG(state.st_mode) or state.st_size > _LARGEST:
            raise changes.IncomparableError("it is no file, or larger than 256 MiB")
        try:
            return json.loads(stream.read(_LARGEST))
        except (ValueError, RecursionError):
            raise changes.IncomparableError("it is not JSON") from None
        except OSError as error:
            raise changes.IncomparableError(f"it cannot be read, {error.strerror}") from None


def _lines(data: Mapping[str, Any]) -> Iterator[str]:
    """`data` as JSON with a line for each VM, rule and finding, so that two reports can be compared by line."""
    yield "{"
    for number, (key, value) in enumerate(data.items()):
        yield f"{',' if number else ''}\n{json.dumps(key)}: "
        yield from _value(value)
    yield "\n}\n"


def _value(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from _lines(value)
    elif isinstance(value, (list, tuple)) and value:
        yield "[\n" + ",\n".join(json.dumps(row, allow_nan=False) for row in value) + "\n]"
    else:
        yield json.dumps(value, allow_nan=False)


def table(data: Mapping[str, Any]) -> str:
    """A line for each VM, aligned, without colours: health, rules passed before → after, RPO and RTO as
    measured / target, the drill's outcome and the seconds that the VM's steps took."""
    rows = [_HEADS, *(_row(card) for card in cards(data))]
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(_width(row[column]) for row in cells) for column in range(len(_HEADS))]
    rule = ["─" * width for width in widths]
    return "\n".join(
        "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [cells[0], rule, *cells[1:]]
    )


def _row(card: Mapping[str, Any]) -> tuple[str, ...]:
    hardening = card["hardening"]
    return (
        card["name"],
        card["address"],
        card["health"],
        f"{hardening['before']} → {hardening['after']} of {hardening['total']}" if hardening else "–",
        _goal(card["rpo"]),
        _goal(card["rto"]),
        str(card["drill"] or "–").replace("_", " "),
        f"{card['seconds']:.0f}" if card["seconds"] else "–",
    )


def _goal(goal: Mapping[str, Any] | None) -> str:
    if goal is None:
        return "–"
    actual = "–" if goal["actual"] is None else human_duration(goal["actual"])
    target = "–" if goal["target"] is None else human_duration(goal["target"])
    return f"{actual} / {target}{' MISSED' if goal['state'] == 'missed' else ''}"


def _cell(value: Any) -> str:
    text = printable(value).replace("\n", " ").replace("\t", " ")
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def _width(text: str) -> int:
    """Columns of a terminal: wide characters take two, combining ones none."""
    return sum(0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1
               for one in text)
