"""How much a guest uses, on what /proc really says."""

from __future__ import annotations

import pytest
from muster.guest.facts import usage
from muster.guest.facts.asked import Asked
from muster.guest.host import Host

STAT = "cpu  1000 0 500 8000 500 0 0 0 300 0\ncpu0 1000 0 500 8000 500 0 0 0 300 0\nintr 1\n"
MEMINFO = "MemTotal:        4000000 kB\nMemFree:  100 kB\nMemAvailable:    3000000 kB\nSwapTotal: 1000 kB\n" \
    "SwapFree:  750 kB\nHugePages_Total:       0\n"


@pytest.mark.parametrize(("text", "percent"), [
    (STAT, 15.0),  # guest time is counted within user time: it is not added again
    ("cpu 1 1 1 0 0\n", 100.0), ("cpu 0 0 0 0 0 0\n", None), ("", None), ("cpux 1 2 3 4 5\n", None),
])
def test_cpu_since_the_boot(text: str, percent: float | None) -> None:
    assert usage.cpu_percent(text) == percent


def test_memory_that_no_program_could_have() -> None:
    assert usage.memory(MEMINFO) == {"memory": 4000000 << 10, "memory_percent": 25.0, "swap_percent": 25.0}
    assert usage.memory("MemTotal: 5 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n") == {"swap_percent": 0.0}
    assert usage.memory("junk") == {}


def test_of_this_very_machine() -> None:
    found = usage.facts(Host(), Asked({}, "root"))["usage"]
    assert found["days"] >= 0
    assert 0 <= found["cpu_percent"] <= 100
    assert 0 < found["memory_percent"] < 100
    assert all(0 <= one["used_percent"] <= 100 and one["size"] > 0 for one in found["file_systems"])
