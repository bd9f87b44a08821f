"""A builder that was killed leaves processes at work in its folder: the next build ends those, and no other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tools.image.rootfs import end_strays

WAITS = "import sys; sys.stdin.read()"


def test_only_what_names_the_folder_ends(tmp_path: Path) -> None:
    stale, other = tmp_path / ".building-a", tmp_path / ".building-ab"
    processes = [
        subprocess.Popen([sys.executable, "-c", WAITS, str(folder / "root")], stdin=subprocess.PIPE)
        for folder in (stale, other)
    ]
    try:
        end_strays(stale)
        assert processes[0].wait(timeout=30) == -9
        assert processes[1].poll() is None
    finally:
        for process in processes:
            process.kill()
            process.communicate()
