"""Progress reaches whoever reads along, also through a pipe."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from plays import CHECKOUT

PLAY = """
- name: A slow task
  hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Wait for the reader
      ansible.builtin.wait_for: {path: "{{ news_seen }}", timeout: 120}
      vars: {ansible_python_interpreter: "{{ ansible_playbook_python }}"}
"""


def test_news_come_while_the_task_runs(tmp_path: Path) -> None:
    """The task ends only when its progress was read."""
    book, seen = tmp_path / "play.yml", tmp_path / "seen"
    book.write_text(PLAY, encoding="utf-8")
    argv = [
        str(Path(sys.executable).with_name("ansible-playbook")),
        "-i",
        "localhost,",
        str(book),
        "-e",
        f"news_seen={seen}",
    ]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), "MUSTER_PROGRESS_INTERVAL": "1"}
    environment.pop("PYTHONUNBUFFERED", None)
    with subprocess.Popen(argv, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if "localhost: Wait for the reader" in line:
                seen.touch()
    assert running.returncode == 0
    assert seen.exists()
