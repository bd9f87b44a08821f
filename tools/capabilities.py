"""``python -m tools.capabilities [FOUND]``: write what the drivers can do, and how that is proved, into
docs/drivers/README.md.

FOUND is what a run of the contract tests showed (build/proofs.json). It is kept in docs/drivers/proofs.json; a whole
run of those tests that shows something else fails.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from muster.drivers.driver import Capability
from muster.drivers.registry import driver_of
from muster.model.fleet_fields import PLATFORMS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "drivers" / "README.md"
PROOFS = PAGE.with_name("proofs.json")
BEGIN, END = "<!-- capabilities -->", "<!-- /capabilities -->"
Proofs = dict[str, dict[str, list[str]]]  # platform → capability → on what it was shown: real, simulator


def read(path: Path) -> Proofs:
    """What is kept at `path`."""
    found: Proofs = json.loads(path.read_text(encoding="utf-8"))
    return found


def matrix() -> str:
    """The table: a row for each capability, a column for each platform, in it how it is proved."""
    drivers = {platform: driver_of(platform) for platform in sorted(PLATFORMS)}
    proofs = read(PROOFS)
    rows = [f"| | {' | '.join(drivers)} |", f"| --- |{' --- |' * len(drivers)}"]
    for capability in Capability:
        able = {name for name, kind in drivers.items() if kind and capability in kind.capabilities}
        # Who shows it on a hypervisor need not say that a simulator agrees.
        cells = [min(proofs.get(name, {}).get(capability, ()), default="not proved") if name in able else ""
                 for name in drivers]
        rows.append(f"| `{capability}` | {' | '.join(cells)} |")
    return "\n".join(rows)


def page(text: str) -> str:
    """`text` with the table of today between its two comments."""
    head, _begin, rest = text.partition(BEGIN)
    _old, _end, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{matrix()}\n{END}{tail}"


def main() -> int:
    if sys.argv[1:]:
        shutil.copyfile(sys.argv[1], PROOFS)
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
