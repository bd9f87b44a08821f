"""Hardening cannot lock out: a real guest that denies its management user opens again by itself.

The name keeps this after the main job, whose guests it uses where they are there already.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parents[2]


def test_a_guest_that_locked_us_out_opens_again(lab: Any) -> None:
    vms = ["e2e-web"]
    for job in ("provision", "harden"):
        played = lab.play(job, fleet_vms=vms)
        assert played.code == 0, played.text
    playbook = str(Path(__file__).with_name("lockout.yml"))
    command = [str(TOP / ".venv/bin/ansible-playbook"), playbook, "-i", "localhost,", "-e",
               json.dumps({"fleet_file": str(lab.fleet_file), "fleet_vms": vms})]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(TOP / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    result = subprocess.run(command, cwd=TOP, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert result.returncode == 0, result.stdout[-3000:]
    assert "locked out for" in result.stdout
    again = lab.play("harden", fleet_vms=vms)
    assert set(again.changed.values()) == {0}, again.text
