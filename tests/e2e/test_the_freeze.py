"""A backup that is killed while the guest's file systems are frozen leaves no frozen guest: it thaws by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from muster.drivers.driver import Unreachable
from muster.drivers.libvirt import freeze
from muster.drivers.libvirt.guest import Agent
from muster.operations.session import connected, read_fleet

KILLED = """
import os, signal, sys
from muster.drivers.libvirt.freeze import frozen
from muster.drivers.libvirt.guest import Agent
from muster.operations.session import connected, read_fleet

with connected(read_fleet(sys.argv[1])) as drivers:
    driver = drivers["lab"]
    with frozen(Agent(driver.domain(driver.get(sys.argv[2])), "lab")) as state:
        assert state.held
        os.kill(os.getpid(), signal.SIGKILL)
"""
WRITE = ["/bin/sh", "-c", "date > /root/written && sync && cat /root/written"]


def thawed(agent: Agent) -> bool:
    """Whether the agent says so; while it is begun anew it says nothing."""
    try:
        return bool(agent.call("guest-fsfreeze-status", timeout=5) == "thawed")
    except Unreachable:
        return False


@pytest.mark.skipif(not os.environ.get("MUSTER_LONG"), reason="takes minutes more: MUSTER_LONG=1 make e2e")
def test_a_guest_thaws_by_itself(lab: Any) -> None:
    played = lab.play("provision", fleet_vms=["e2e-web"])
    assert played.code == 0, played.text
    with connected(read_fleet(lab.fleet_file)) as drivers:
        driver: Any = drivers["lab"]
        vm = driver.get("e2e-web")
        agent = Agent(driver.domain(vm), "lab")
        with freeze.frozen(agent) as held:
            assert held.held
            assert agent.call("guest-fsfreeze-status") == "frozen"
        assert held.held
        assert agent.call("guest-fsfreeze-status") == "thawed"
        assert agent.execute(["systemctl", "is-active", "muster-thaw.timer"], 30).output.strip() == "inactive"

        argv = [sys.executable, "-c", KILLED, str(lab.fleet_file), vm.name]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert agent.call("guest-fsfreeze-status") == "frozen"
        end = time.monotonic() + 300
        while not thawed(agent):
            assert time.monotonic() < end, "the guest is still frozen"
        assert agent.execute(WRITE, 60).code == 0

        # Once more, and the next backup does not wait for the guest: it thaws what it finds frozen.
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        with freeze.frozen(agent) as held:
            assert held.held
        assert held.held
        assert agent.execute(WRITE, 60).code == 0
