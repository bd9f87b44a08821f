"""A module whose ansible-playbook was killed stops at its next word."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from muster import module

HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_module_ends_with_its_playbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    news = tmp_path / "news"
    monkeypatch.setenv(module.PROGRESS, str(news))
    argv = [sys.executable, "-c", HOLDER, str(tmp_path / "alive")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as playbook:
        assert playbook.stdout is not None
        assert playbook.stdout.readline() == "held\n"
        module.progress("web: uploading")
        playbook.kill()
    assert news.read_text(encoding="utf-8").endswith("\tweb: uploading\n")
    with pytest.raises(KeyboardInterrupt):
        module.progress("web: uploading more")


def test_without_a_playbook_that_watches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(module.PROGRESS, str(tmp_path / "news"))
    module.progress("web: uploading")
    monkeypatch.delenv(module.PROGRESS)
    module.progress("web: uploading")
