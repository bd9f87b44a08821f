"""``python -m tools.capabilities``: write what the drivers can do into docs/drivers/README.md."""

from __future__ import annotations

import sys
from pathlib import Path

from muster.drivers.driver import Capability
from muster.drivers.registry import DRIVERS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "drivers" / "README.md"
BEGIN, END = "<!-- capabilities -->", "<!-- /capabilities -->"


def matrix() -> str:
    """The table: a row for each capability, a column for each platform."""
    platforms = sorted(DRIVERS)
    rows = [f"| | {' | '.join(platforms)} |", f"| --- |{' --- |' * len(platforms)}"]
    for capability in Capability:
        cells = ["yes" if capability in DRIVERS[platform].capabilities else "" for platform in platforms]
        rows.append(f"| `{capability}` | {' | '.join(cells)} |")
    return "\n".join(rows)


def page(text: str) -> str:
    """`text` with the table of today between its two comments."""
    head, _begin, rest = text.partition(BEGIN)
    _old, _end, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{matrix()}\n{END}{tail}"


def main() -> int:
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
