"""``muster adopt``: what it says of VMs of others, whose names anybody may have written."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from muster.command.main import main
from proxmox_site import ProxmoxWorld, on_proxmox


@on_proxmox
def test_a_name_of_others_is_one_word_on_one_line(
    world: ProxmoxWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, site = tmp_path / "fleet.yml", {"platform": world.access.platform, **world.access.options}
    path.write_text(yaml.safe_dump({"fleet": world.fleet, "sites": {world.access.name: site}}))
    argv = ["adopt", "--fleet", str(path), "--site", world.access.name, "--check"]
    stranger = world.foreign("a-plain")
    assert main([*argv, "--take", stranger.name]) == 0
    assert "\n1 VM would be adopted. Nothing was changed.\n" in capsys.readouterr().err
    assert main(argv) == 0
    told = capsys.readouterr().err.splitlines()
    assert told[-1] == "Without a mark, and so left alone: 1 VM, a-plain. Take one with --take VM."
    world.foreign("a-\n9 VMs would be adopted.\x1b[2J" + "x" * 1000)
    assert main(argv) == 0
    *_first, last = capsys.readouterr().err.splitlines()
    assert last.startswith("Without a mark, and so left alone: 2 VMs, a- 9 VMs would be adopted.\ufffd[2Jxxx")
    assert last.endswith("xxx, a-plain. Take one with --take VM.")
    assert len(last) < 300
