"""The end of a run: its report as two files, and the short table that says how it went."""

from __future__ import annotations

import json
import os
import tempfile
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .html import render
from .view import view
from .wording import human_duration, printable

_HEADS = ("VM", "Address", "Health", "Compliance", "RPO", "RTO", "Drill", "Seconds")
_WIDEST = 40


def write_report(data: Mapping[str, Any], directory: Path | str) -> tuple[Path, Path]:
    """Write report.html and report.json into `directory`, which is made if need be; returns their paths.

    Each is complete or not there: it is written beside its place and then moved. Raises OSError.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "report.html", folder / "report.json"
    page = render(data)  # before anything is written, so that a fault leaves the last report as it was
    _replace(paths[0], page)
    _replace(paths[1], json.dumps(data, ensure_ascii=True, indent=2, allow_nan=False) + "\n")
    return paths


def _replace(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fchmod(stream.fileno(), 0o644)
            os.fsync(stream.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def table(data: Mapping[str, Any]) -> str:
    """A line for each VM, aligned, without colours: health, rules passed before → after, RPO and RTO as
    measured / target, the drill's outcome and the seconds that the VM's steps took."""
    rows = [_HEADS, *(_row(card) for card in view(data)["cards"])]
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
