"""A check as CSV, for a spreadsheet: a line for each finding that somebody should look at, the worst first."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from ..remedy import in_words
from ..wording import printable
from .checked import Checked

HEAD = ("outcome", "severity", "rule", "title", "vm", "site", "stage", "address", "source", "sentence", "fix",
        "controls")


def write(checked: Checked) -> Iterator[str]:
    """The head and the findings, line by line."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")

    def line(cells: tuple[str, ...]) -> str:
        buffer.seek(0)
        buffer.truncate()
        writer.writerow([_cell(cell) for cell in cells])
        return buffer.getvalue()

    yield line(HEAD)
    for finding, part in checked.attention():
        number = part.lines.get(finding.vm)
        cited = "; ".join(f"{framework} {', '.join(ids)}" for framework, ids in finding.controls.items())
        yield line((finding.outcome, finding.severity, finding.rule, finding.title, finding.vm, finding.site,
                    finding.stage, finding.address, f"{part.source}:{number}" if number else part.source,
                    finding.sentence, in_words(finding.fix), cited))


def _cell(value: str) -> str:
    """`value` as a cell that no spreadsheet takes for a formula."""
    text = printable(value).replace("\r", " ").replace("\n", " ")
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t") else text
