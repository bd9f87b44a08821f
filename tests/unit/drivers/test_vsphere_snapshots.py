"""What a snapshot of vSphere holds, of the list of a VM's files."""

from __future__ import annotations

from typing import Any

import pytest
from muster.drivers.vsphere.sdk import vim
from muster.drivers.vsphere.snapshots import sizes

LAYOUT = vim.vm.FileLayoutEx
# Base, what is written after the first snapshot, the second, and after going back to the first; memory and data of the
# first.
FILES = {1: 1000, 2: 10, 3: 200, 4: 3000, 5: 40000, 6: 500000}


def disks(*chain: int) -> list[Any]:
    return [LAYOUT.DiskLayout(key=2000, chain=[LAYOUT.DiskUnit(fileKey=[key]) for key in chain])]


@pytest.mark.parametrize(
    ("now", "held"),
    [
        ((1, 2, 3), {"a": 540000 + 10, "b": 200}),
        ((3, 2, 1), {"a": 540000 + 10, "b": 200}),  # from the tip to the base
        ((1, 4), {"a": 540000 + 10 + 3000, "b": 0}),  # gone back to the first: its two branches begin there
        ((), {"a": 540000 + 10, "b": 0}),  # the disk was taken off
    ],
)
def test_what_a_snapshot_holds(now: tuple[int, ...], held: dict[str, int]) -> None:
    taken = [("a", (1,), 5, 6), ("b", (1, 2), -1, -1)]
    layout = LAYOUT(
        file=[LAYOUT.FileInfo(key=key, size=size, name="", type="") for key, size in FILES.items()],
        disk=disks(*now) if now else [],
        snapshot=[
            LAYOUT.SnapshotLayout(key=vim.vm.Snapshot(name), dataKey=data, memoryKey=memory, disk=disks(*chain))
            for name, chain, data, memory in taken
        ],
    )
    assert sizes(layout) == held
