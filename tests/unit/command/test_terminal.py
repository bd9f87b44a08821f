"""The command as a process: its terminal, its pipes, its signals, and what it does not import."""

from __future__ import annotations

import functools
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sample_files import plan

COMMAND = [sys.executable, "-m", "muster.command.main"]
CHECK = [*COMMAND, "check", "fleet.yml", "--pack", "ours.yml"]


def on_terminal(**environment: str) -> str:
    """What the check writes to a terminal."""
    leader, follower = pty.openpty()
    env = {**{key: value for key, value in os.environ.items() if key != "NO_COLOR"}, "TERM": "xterm", **environment}
    process = subprocess.Popen(CHECK, stdout=follower, env=env)
    os.close(follower)
    text = b""
    while True:
        try:
            piece = os.read(leader, 1 << 16)
        except OSError:  # the other end is closed
            break
        text += piece
        if not piece:
            break
    os.close(leader)
    assert process.wait() == 1
    return text.decode()


@pytest.mark.usefixtures("folder")
def test_colours_are_for_a_terminal_that_wants_them() -> None:
    assert "\x1b[33mMEDIUM  \x1b[0m" in on_terminal()
    assert "\x1b" not in on_terminal(NO_COLOR="1")
    assert "\x1b" not in on_terminal(TERM="dumb")
    piped = subprocess.run(CHECK, capture_output=True, check=False)
    assert piped.returncode == 1
    assert b"\x1b" not in piped.stdout


def test_a_reader_that_went_away_is_no_error(folder: Path) -> None:
    text = (folder / "fleet.yml").read_text(encoding="utf-8").replace("count: 2", "count: 3000")
    (folder / "fleet.yml").write_text(text, encoding="utf-8")
    process = subprocess.Popen([*CHECK, "--format", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(1) == b"{"
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 1


@pytest.mark.usefixtures("folder")
def test_an_interrupt_is_told_in_one_line() -> None:
    process = subprocess.Popen([*COMMAND, "check", "-", "--output", "r.txt"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               # A shell lets what runs in its background ignore interrupts.
                               preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL))
    assert process.stdin is not None
    # More than a pipe holds: once it is written the command is reading.
    process.stdin.write(plan().encode() + b" " * (1 << 20))
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    process.stdin.close()  # a signal that comes just before a read is seen when that ends
    process.wait()
    assert process.stdout is not None
    assert process.stderr is not None
    assert (process.returncode, process.stdout.read(), process.stderr.read()) == (
        130, b"", b"Interrupted. Nothing was written.\n")
    assert not Path("r.txt").exists()


HEAVY = ("ansible", "libvirt", "msgspec", "jinja2", "sarif_pydantic", "junitparser", "trestle", "pydantic", "tempfile",
         "importlib.metadata", "muster.operations", "muster.drivers", "muster.terraform", "muster.policy.framework")


@pytest.mark.usefixtures("folder")
def test_a_check_of_a_fleet_file_imports_nothing_heavy() -> None:
    """What it imports decides how long a check of one VM takes."""
    code = "import sys; from muster.command.main import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code, *CHECK[3:]], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "muster.policy.evaluate" in loaded
    assert sorted(loaded.intersection(HEAVY)) == []


@pytest.mark.usefixtures("folder")
def test_a_terminal_that_cannot_show_a_name_is_no_error() -> None:
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    Path("fleet.yml").write_text(Path("fleet.yml").read_text(encoding="utf-8").replace("owner: shop", "owner: Läden"),
                                 encoding="utf-8")
    pack = Path("ours.yml").read_text(encoding="utf-8").replace("Because.", "Weil es für Läden ist.")
    Path("ours.yml").write_text(pack, encoding="utf-8")
    done = subprocess.run(CHECK, capture_output=True, env=env, check=False)
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"Weil es f\\xfcr L\\xe4den ist." in done.stdout
