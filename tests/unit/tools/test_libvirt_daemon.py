"""`stop` ends exactly the processes that `start` recorded."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools import libvirt_daemon


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as running:
        # The kernel names a process a moment after it has closed what Popen waits for.
        while Path(f"/proc/{running.pid}/comm").read_text(encoding="utf-8").strip() != "sleep":
            pass
        yield running
        running.kill()


def record(build: Path, pid: int, born: str) -> None:
    (build / "started.json").write_text(json.dumps({"libvirtd": [pid, born]}), encoding="utf-8")


def test_a_process_id_that_somebody_else_has_by_now_is_left_alone(
    tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    record(tmp_path, process.pid, "1")
    assert libvirt_daemon.stop(tmp_path) == []
    assert process.poll() is None
    assert not (tmp_path / "started.json").exists()


def test_nothing_recorded_nothing_stopped(tmp_path: Path) -> None:
    assert libvirt_daemon.stop(tmp_path) == []


def test_a_daemon_that_was_started_here_ends(tmp_path: Path) -> None:
    # A daemon is nobody's child: the shell ends at once and init reaps what it leaves.
    pid = int(
        subprocess.run(["sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $!"], capture_output=True, check=True).stdout
    )
    record(tmp_path, pid, libvirt_daemon._born(pid))
    assert libvirt_daemon.stop(tmp_path) == ["libvirtd"]
    assert libvirt_daemon._born(pid) == ""


def test_a_daemon_of_another_user_is_not_ours(
    process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert libvirt_daemon._running("sleep")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert not libvirt_daemon._running("sleep")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize(("before", "after"), [(0o600, 0o660), (0o666, 0o666), (0o660, 0o660)])
def test_a_device_of_root_alone_is_given_to_its_group(tmp_path: Path, before: int, after: int) -> None:
    device = tmp_path / "kvm"
    device.touch()
    device.chmod(before)
    libvirt_daemon._open_kvm(device)
    assert device.stat().st_mode & 0o777 == after
    assert device.group() == ("kvm" if before != after else "root")
    libvirt_daemon._open_kvm(tmp_path / "none")
