"""What the tests of the command line share: a folder with a fleet file, a plan and a pack, and the command itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from muster.command.main import main

FLEET = """\
fleet: acme
sites:
  lab: {platform: libvirt, uri: "test:///default"}
defaults: {site: lab, image: debian-12}
vms:
  web:
    count: 2
    profile: web
    cpus: 2
    memory: 2 GiB
    disks: [{size: 10 GiB}]
    nics: [{network: default}]
    tags: {owner: shop, environment: test, cost_center: "4711"}
    protection: {rpo: 24h, rto: 15m, keep: {daily: 7}}
    health: [{tcp: {port: 80}}]
"""
PACK = """\
pack: ours
version: 1.0.0
title: Ours
rules:
  - id: memory-enough
    title: Memory is enough
    severity: medium
    stages: [spec, plan]
    expect: memory >= size('4 GiB')
    why: Because.
    tests: {pass: [{memory: 4294967296}], fail: [{memory: 1}]}
"""
VM = {"name": "web-1", "num_cpus": 2, "memory": 2048, "firmware": "efi", "disk": [{"label": "disk0", "size": 20}],
      "network_interface": [{"network_id": "network-1", "adapter_type": "vmxnet3"}]}


def change(address: str, values: dict[str, Any] | None, actions: list[str]) -> dict[str, Any]:
    kind, name = address.split(".", 1)
    return {"address": address, "mode": "managed", "type": kind, "name": name, "provider_name": "p",
            "change": {"actions": actions, "before": None, "after": values, "after_unknown": {}}}


def plan(*changes: dict[str, Any], **more: Any) -> str:
    return json.dumps({"format_version": "1.2", "resource_changes": list(changes), **more})


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


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


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
