"""A fleet file, a pack and a plan, as small as they can be, and how a run of the command ended."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True)
class Done:
    """How the command ended and what it wrote."""

    code: int
    out: str
    err: str
