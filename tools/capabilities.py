"""``python -m tools.capabilities``: write what the drivers can do into docs/drivers/README.md."""

from __future__ import annotations

import sys
from pathlib import Path

from muster.drivers.driver import Capability
from muster.drivers.registry import driver_of
from muster.model.fleet_fields import PLATFORMS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "drivers" / "README.md"
# On what the contract tests show it: a hypervisor with guests, or a stand-in whose page says what it does not prove.
PROOF = {"libvirt": "real", "proxmox": "simulator", "vsphere": "simulator"}
BEGIN, END = "<!-- capabilities -->", "<!-- /capabilities -->"


def matrix() -> str:
    """The table: a row for each capability, a column for each platform, in it how it is proved."""
    drivers = {platform: driver_of(platform) for platform in sorted(PLATFORMS)}
    rows = [f"| | {' | '.join(drivers)} |", f"| --- |{' --- |' * len(drivers)}"]
    for capability in Capability:
        able = {name for name, kind in drivers.items() if kind and capability in kind.capabilities}
        cells = [PROOF[name] if name in able else "" for name in drivers]
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
