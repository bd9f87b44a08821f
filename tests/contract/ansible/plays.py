"""Real runs of ansible-playbook and ansible-inventory over the collection as it is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from fleets import Small

CHECKOUT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Ran:
    """What a program said."""

    code: int
    output: str
    results: dict[str, Any]


def run(name: str, *words: str, cwd: Path = CHECKOUT, **env: str) -> Ran:
    """One of Ansible's programs, with the checkout's configuration."""
    argv = [str(Path(sys.executable).with_name(name)), *words]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1",
                   "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "build" / "collections"), **env}  # fmt: skip
    done = subprocess.run(argv, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False)
    return Ran(done.returncode, done.stdout + done.stderr, {})


def play(folder: Path, tasks: dict[str, dict[str, Any]], *words: str) -> Ran:
    """A playbook with `tasks`, by their names; the result of each, failed or not, comes back under its name."""
    steps: list[dict[str, Any]] = []
    for index, (name, task) in enumerate(tasks.items()):
        steps.append({"name": name, "register": f"result_{index}", "ignore_errors": True, **task})
    entries = ", ".join(f"{json.dumps(name)}: result_{index}" for index, name in enumerate(tasks))
    steps.append({
        "name": "Tell", "check_mode": False, "diff": False,
        "ansible.builtin.copy": {"dest": str(folder / "results.json"), "content": "{{ {" + entries + "} | to_json }}",
                                 "mode": "0600"},
    })  # fmt: skip
    book = folder / "play.yml"
    book.write_text(yaml.safe_dump([{
        "name": "A test", "hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": steps,
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
    }], sort_keys=False), encoding="utf-8")  # fmt: skip
    ran = run("ansible-playbook", "-i", "localhost,", str(book), *words)
    found = folder / "results.json"
    assert found.exists(), ran.output
    return Ran(ran.code, ran.output, json.loads(found.read_text()))


def fleet_task(small: Small, module: str = "fleet", **options: Any) -> dict[str, Any]:
    """A task over the fleet file of `small`, which is written as it is now."""
    path = small.fleet.source
    return {f"muster.fleet.{module}": {"fleet_file": path, **options}}
