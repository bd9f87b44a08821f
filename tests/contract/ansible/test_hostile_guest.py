"""A guest that answers as it likes, in the place of its Python: what it says is data, and never the name of another."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from plays import CHECKOUT, run

EVIL = "{{ lookup('pipe', 'touch MARKER') }}"
ANSWERS: dict[str, Any] = {
    "templates": {"facts": {"os": {"name": EVIL}, EVIL: EVIL}},
    "another's name": {"facts": {}, "ansible_facts": {"inventory_hostname": "db", "inventory_hostname_short": "db"}},
    "connection": {"facts": {}, "ansible_facts": {
        "ansible_host": "db", "ansible_connection": "local", "ansible_ssh_common_args": "-oProxyCommand=touch MARKER",
        "ansible_python_interpreter": "MARKER", "ansible_playbook_python": "MARKER"}},
    "results": {"facts": {}, "ansible_facts": {"muster_guest": EVIL, "patch_result": {"vm": EVIL}, "groups": {}}},
    "failure": {"failed": True, "msg": EVIL},
    "no answer": None,
}  # fmt: skip
TELL = {
    "name": "{{ inventory_hostname }}",
    "groups": "{{ groups.muster }}",
    "all": "{{ groups.muster | map('extract', hostvars) | map(attribute='inventory_hostname') }}",
    "python": "{{ ansible_playbook_python | dirname }}",
}


def holding_on() -> list[dict[str, Any]]:
    """The plays over the guests with which every job begins."""
    plays = yaml.safe_load((CHECKOUT / "playbooks" / "hosts.yml").read_text(encoding="utf-8"))
    return [one for one in plays if one["hosts"] == "muster"]


@pytest.mark.parametrize("configured", [True, False], ids=["ours", "Ansible's default"])
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_a_guest_stays_who_it_is(tmp_path: Path, answer: Any, configured: bool) -> None:
    marker = tmp_path / "marker"
    text = ("no JSON" if answer is None else json.dumps(answer)).replace("MARKER", str(marker))
    interpreter = tmp_path / "python"
    interpreter.write_text(f"#!{sys.executable}\nprint({text!r})\n", encoding="utf-8")
    interpreter.chmod(0o755)
    host = {"ansible_connection": "local", "ansible_python_interpreter": str(interpreter)}
    inventory = {"muster": {"hosts": {"web": host}}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
    book = [
        *holding_on(),
        {"hosts": "muster", "gather_facts": False, "tasks": [
            {"muster.fleet.guest_info": {}, "register": "seen", "ignore_errors": True},
            {"ansible.builtin.set_fact": {"told": TELL}},
            {"ansible.builtin.copy": {"content": "{{ told | to_json }}", "dest": f"{tmp_path}/told", "mode": "0600"},
             "delegate_to": "localhost", "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}",
                                                  "ansible_connection": "local"}},
        ]},
    ]  # fmt: skip
    (tmp_path / "play.yml").write_text(yaml.safe_dump(book, sort_keys=False), encoding="utf-8")
    env = {} if configured else {"ANSIBLE_INJECT_FACT_VARS": "true"}
    ran = run("ansible-playbook", "-i", str(tmp_path / "hosts.yml"), str(tmp_path / "play.yml"), **env)
    assert ran.code == 0, ran.output
    told = json.loads((tmp_path / "told").read_text(encoding="utf-8"))
    assert told == {"name": "web", "groups": ["web"], "all": ["web"], "python": str(Path(sys.executable).parent)}
    assert not marker.exists()
