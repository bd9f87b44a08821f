"""Speed, as ratios between two programs in one run; the median of five. `make bench` prints the figures."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from muster.model.fleet import Fleet, load_fleet
from muster.operations import converge
from muster.operations.session import connected

HEAD = """fleet: bench
sites:
  lab: {platform: libvirt, uri: '%s'}
defaults: {site: lab, memory: 32 MiB, cpus: 1}
vms:
"""
ENTRY = "  bench-%d: {tags: {owner: bench, number: 'n%d'}, protection: {rpo: 24h, keep: {daily: 7}}}\n"


def fleet_text(count: int, uri: str) -> str:
    """A fleet file of `count` VMs without disks, each of them different."""
    return HEAD % uri + "".join(ENTRY % (number, number) for number in range(count))


def median(work: Callable[[], object], rounds: int = 5) -> float:
    """Seconds that `work` takes, the median."""
    taken = []
    for _round in range(rounds):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def told(name: str, ours: float, theirs: float, other: str) -> float:
    """Print a figure for docs/benchmarks.md; the ratio."""
    print(f"\n{name}: {ours:.3f} s; {other}: {theirs:.3f} s; ratio {ours / theirs:.3g}")
    return ours / theirs


def test_reading_a_fleet_of_1000() -> None:
    text = fleet_text(1000, "test:///default")
    ours = median(lambda: load_fleet(text))
    theirs = median(lambda: yaml.safe_load(text))
    assert told("reading and checking a fleet file of 1,000 VMs", ours, theirs, "yaml.safe_load alone") < 3


@pytest.fixture(scope="module")
def fleet(libvirt_uri: str) -> Iterator[Fleet]:
    """100 VMs, defined and switched off."""
    loaded = load_fleet(fleet_text(100, libvirt_uri))
    with connected(loaded) as drivers:
        try:
            for vm in loaded.vms:
                assert vm.mark is not None
                drivers["lab"].create(vm, vm.mark, None)
            yield loaded
        finally:
            converge.remove(loaded, drivers)


def test_a_run_with_nothing_to_do_over_100_vms(fleet: Fleet, libvirt_uri: str) -> None:
    def ours() -> Any:
        with connected(fleet) as drivers:
            outcomes = converge.converge(fleet, drivers)
        assert not any(outcome.changed or outcome.error for outcome in outcomes)

    def theirs() -> Any:
        for vm in fleet.vms:
            command = ["virsh", "--connect", libvirt_uri, "dumpxml", vm.name]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    ratio = told("a run with nothing to do over 100 VMs", median(ours), median(theirs), "virsh dumpxml, VM by VM")
    assert ratio < 1
