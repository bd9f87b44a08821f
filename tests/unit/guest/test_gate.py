"""The script of the deadman, run by a real shell: it puts back exactly what was, once, even after a crash half way."""

from __future__ import annotations

import subprocess

import pytest
from muster.guest.gate import script


def run(folder, *arguments):
    for name in ("pending", "reverting"):
        if (folder / name / "restore").exists():
            return subprocess.run(["/bin/sh", str(folder / name / "restore"), *arguments], check=True, timeout=20)
    return None


@pytest.fixture
def gate(tmp_path):
    """A gate over three files: one changed, one new, one removed."""
    files = tmp_path / "etc"
    files.mkdir()
    (files / "changed").write_text("good\n")
    (files / "changed").chmod(0o666)  # wider than any umask would make it
    (files / "removed with space").write_text("good too\n")
    folder = tmp_path / "gate"
    (folder / "pending").mkdir(parents=True)
    saved = {str(files / "changed"): "0", str(files / "new"): None, str(files / "removed with space"): "2"}
    subprocess.run(["cp", "-p", str(files / "changed"), str(folder / "pending/0")], check=True)
    subprocess.run(["cp", "-p", str(files / "removed with space"), str(folder / "pending/2")], check=True)
    (folder / "pending/restore").write_text(script(saved, [["touch", str(tmp_path / "reloaded")]], str(folder)))
    (files / "changed").write_text("bad\n")
    (files / "changed").chmod(0o600)
    (files / "new").write_text("bad\n")
    (files / "removed with space").unlink()
    return tmp_path


def is_restored(root):
    files = root / "etc"
    return ((files / "changed").read_text() == "good\n" and (files / "changed").stat().st_mode & 0o777 == 0o666
            and (files / "removed with space").read_text() == "good too\n"
            and sorted(path.name for path in files.iterdir()) == ["changed", "removed with space"])


def test_it_puts_everything_back_and_reloads(gate):
    run(gate / "gate")
    assert is_restored(gate)
    assert (gate / "reloaded").exists()
    assert (gate / "gate/reverted").is_dir()
    assert not (gate / "gate/pending").exists()


def test_at_the_boot_it_reloads_nothing(gate):
    run(gate / "gate", "boot")
    assert is_restored(gate)
    assert not (gate / "reloaded").exists()


def test_a_confirmation_that_was_first_wins(gate):
    text = (gate / "gate/pending/restore").read_text()
    (gate / "gate/pending").rename(gate / "gate/confirmed")
    subprocess.run(["/bin/sh", "-c", text], check=True, timeout=20)
    assert (gate / "etc/changed").read_text() == "bad\n"
    assert (gate / "etc/new").exists()
    assert not (gate / "reloaded").exists()


def test_a_crash_half_way_is_finished_later(gate):
    (gate / "gate/pending").rename(gate / "gate/reverting")  # all that a crash can leave behind
    (gate / "etc/changed").write_text("good\n")
    run(gate / "gate", "boot")
    assert is_restored(gate)


def test_it_runs_once(gate):
    text = (gate / "gate/pending/restore").read_text()
    run(gate / "gate")
    (gate / "etc/changed").write_text("later work\n")
    subprocess.run(["/bin/sh", "-c", text], check=True, timeout=20)
    assert (gate / "etc/changed").read_text() == "later work\n"
