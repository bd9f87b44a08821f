"""One fleet of two real guests for all end-to-end tests: made by the main job, removed at the end."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from muster.operations import converge
from muster.operations.session import connected, read_fleet

TOP = Path(__file__).resolve().parents[2]
BIN = TOP / ".venv" / "bin"
RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Played:
    """A run of a playbook."""

    code: int
    output: str

    @property
    def changed(self) -> dict[str, int]:
        """Changes by host, from the recap."""
        return {host: int(changed) for host, changed, _unreachable, _failed in RECAP.findall(self.output)}

    @property
    def text(self) -> str:
        """The output on one line, as a terminal's width breaks sentences anywhere."""
        return " ".join(self.output.split())


@dataclass(frozen=True)
class Lab:
    """The example fleet under names of the tests' own, with a folder for all that it makes."""

    folder: Path
    fleet_file: Path

    def play(self, job: str, *words: str, **variables: Any) -> Played:
        """Run the job's playbook as an operator does; its output is kept in the folder."""
        with self.playing(job, *words, **variables) as playing:
            playing.wait(timeout=2400)
        return Played(playing.returncode, self._log(job).read_text(encoding="utf-8", errors="replace"))

    @contextlib.contextmanager
    def playing(self, job: str, *words: str, **variables: Any) -> Iterator[subprocess.Popen[bytes]]:
        """The job (or a playbook of the tests' own, by its path) while it runs; nothing of it outlives the block."""
        playbook = job if "/" in job else f"muster.fleet.{job}"
        command = [str(BIN / "ansible-playbook"), playbook, "-i", "localhost,", *words]
        command += ["-e", json.dumps({"fleet_file": str(self.fleet_file), **variables})]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(TOP / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        with self._log(job).open("w", encoding="utf-8") as file:
            process = subprocess.Popen(
                command, cwd=TOP, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )
            try:
                yield process
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()

    def _log(self, job: str) -> Path:
        return self.folder / f"{Path(job).stem}.log"

    def points(self, vm: str) -> list[Path]:
        """The folders of a VM's restore points, oldest first."""
        return sorted(path for path in (self.folder / "repository/e2e/lab" / vm).iterdir() if path.name[0] in "12")


@pytest.fixture(scope="session")
def lab(site_pool: Any, guest_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The fleet's folder; whatever VM the tests leave is removed, and nothing of it may be left."""
    folder = tmp_path_factory.mktemp("lab")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "id")], check=True)
    text = (TOP / "examples/acme/fleet.yml").read_text(encoding="utf-8")
    for old, new in (
        ("fleet: acme", "fleet: e2e"),
        ("pool: muster-demo", f"pool: {site_pool.name}\n    uri: {site_pool.uri}"),
        ("../../build/demo/debian-12.qcow2", str(guest_image)),
        ("../../build/demo/ssh/id_ed25519", str(folder / "id")),
        ("../../build/demo/repository", str(folder / "repository")),
        ("\n  web:\n", "\n  e2e-web:\n"),
        ("\n  db:\n", "\n  e2e-db:\n"),
    ):
        assert old in text, f"the example fleet has changed: no {old!r}"
        text = text.replace(old, new)
    fleet_file = folder / "fleet.yml"
    fleet_file.write_text(text, encoding="utf-8")
    remove_all(fleet_file)  # what a run that was killed has left: the next one begins with nothing
    yield Lab(folder, fleet_file)
    remove_all(fleet_file)
    assert not [path.name for path in site_pool.path.iterdir()], "a volume is left in the pool"


def remove_all(fleet_file: Path) -> None:
    """Remove the VMs of the tests' fleet."""
    fleet = read_fleet(fleet_file)
    with connected(fleet) as drivers:
        outcomes = converge.remove(fleet, drivers)
        assert not [outcome.error for outcome in outcomes if outcome.error]
