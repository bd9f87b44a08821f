"""What the tests of the command line share: a folder with a fleet file, a plan and a pack, and the command itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from muster.command.main import main
from sample_files import FLEET, PACK, VM, Done, change, plan


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: fleet.yml, plan.json and ours.yml."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fleet.yml").write_text(FLEET, encoding="utf-8")
    (tmp_path / "ours.yml").write_text(PACK, encoding="utf-8")
    (tmp_path / "plan.json").write_text(plan(
        change("vsphere_virtual_machine.web", VM, ["create"]), change("aws_s3_bucket.logs", {}, ["create"]),
        change("vsphere_virtual_machine.old", None, ["delete"])), encoding="utf-8")
    return tmp_path


@pytest.fixture
def muster(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Runs the command in `folder`, in this process."""

    def run(*arguments: str) -> Done:
        capsys.readouterr()
        try:
            code = main(arguments)
        except SystemExit as stop:  # argparse
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return Done(code, out, err)

    return run
