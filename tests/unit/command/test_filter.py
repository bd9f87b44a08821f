"""The filter ``muster.fleet.check`` as a template uses it: real Ansible, the collection as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from sample_files import PACK

ROOT = Path(__file__).parents[3]
PLAY = [{
    "hosts": "localhost", "gather_facts": False, "connection": "local",
    "vars": {
        "ansible_python_interpreter": sys.executable,
        "vms": [{"name": "web", "site": "lab", "memory": 1, "tags": {"owner": "{{ 7 * 7 }}"}},
                {"name": "db", "site": "lab", "memory": 5_000_000_000}],
        "waivers": [{"rule": "memory-enough", "vms": ["web"], "reason": "Soon.", "approver": "E. Roth",
                     "until": "2999-12-31"}],
        "found": "{{ vms | muster.fleet.check(['ours.yml'], 'spec') }}",
        "waived": "{{ vms | muster.fleet.check(['ours.yml'], stage='spec', waivers=waivers) }}",
    },
    "tasks": [
        {"name": "write", "ansible.builtin.copy": {"dest": "out.json", "content": "{{ [found, waived] | to_json }}"}},
        {"name": "no pack", "ignore_errors": True,
         "ansible.builtin.debug": {"msg": "{{ vms | muster.fleet.check(['muster/none']) }}"}},
        {"name": "no list", "ignore_errors": True,
         "ansible.builtin.debug": {"msg": "{{ 'web' | muster.fleet.check(['ours.yml']) }}"}},
    ],
}]


def test_a_template_gets_the_compliance(tmp_path: Path) -> None:
    collections = tmp_path / "collections" / "ansible_collections" / "muster"
    collections.mkdir(parents=True)
    (collections / "fleet").symlink_to(ROOT)
    (tmp_path / "ours.yml").write_text(PACK, encoding="utf-8")
    (tmp_path / "play.json").write_text(json.dumps(PLAY), encoding="utf-8")
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections"), "ANSIBLE_NOCOLOR": "1",
                   "ANSIBLE_HOME": str(tmp_path / "home"), "ANSIBLE_STDOUT_CALLBACK": "default"}
    done = subprocess.run([sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "play.json"], cwd=tmp_path,
                          env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found, waived = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [(one["vm"], one["outcome"]) for one in found["findings"]] == [("web", "fail")]
    assert (found["passed"], found["failed"]) == (1, 1)
    assert (waived["failed"], waived["waived"]) == (0, 1)
    assert "muster/none: there is no such pack" in done.stdout + done.stderr
    assert "is not a list of VM documents" in done.stdout + done.stderr
