"""The programs of peers, in an environment of their own, and how long they and ours take."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
COUNT = int(os.environ.get("MUSTER_BENCH_VMS", "1000"))  # of a site
PEERS = CHECKOUT / "build" / "peers"  # an environment of its own, with community.vmware in it


def peer() -> Path:
    """The command of an Ansible that has community.vmware, installed once into the build folder."""
    command = PEERS / "bin" / "ansible-inventory"
    if not command.exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
        wanted = ["ansible>=11,<12", "pyvmomi<9", "requests"]  # vmware.vmware cannot do with 9
        subprocess.run([str(PEERS / "bin" / "pip"), "install", "-q", *wanted], check=True)
    return command


def environment(command: Path, ca: str = "") -> dict[str, str]:
    """Ours finds this checkout's collection, a peer its own ones. `ca`: the authority that a peer is to trust."""
    collections = str(CHECKOUT / "build" / "collections")
    found = {**os.environ, "REQUESTS_CA_BUNDLE": ca, "ANSIBLE_COLLECTIONS_PATH": collections}
    if PEERS in command.parents:
        found.pop("ANSIBLE_COLLECTIONS_PATH")
    return found


def playbook(command: Path, file: Path) -> float:
    """Seconds of a run that changes nothing."""
    start = time.perf_counter()
    ran = subprocess.run([str(command), "-i", "localhost,", str(file)], env=environment(command), cwd=file.parent,
                         capture_output=True, text=True, check=False)  # fmt: skip
    taken = time.perf_counter() - start
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    assert "changed=0" in ran.stdout, ran.stdout[-500:]
    return taken


def inventory(command: Path, file: Path, rounds: int, ca: str = "") -> float:
    """Seconds of `ansible-inventory --list`, the median; it must list every VM."""
    taken = []
    for _round in range(rounds):
        start = time.perf_counter()
        ran = subprocess.run([str(command), "-i", str(file), "--list"], env=environment(command, ca), cwd=file.parent,
                             capture_output=True, text=True, check=True)  # fmt: skip
        taken.append(time.perf_counter() - start)
        assert len(json.loads(ran.stdout)["_meta"]["hostvars"]) == COUNT, ran.stderr
    return statistics.median(taken)
