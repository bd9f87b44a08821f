"""The checks of muster/aws-hardening as a person would write them for one plan: ``python plain.py PLAN REPORT``.

It shows what Python itself takes for such a plan. It knows no module, no count, no unknown value and no error.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any


def findings(plan: dict[str, Any]) -> list[dict[str, str]]:
    """What the plan's instances fail."""
    resources = plan["planned_values"]["root_module"]["resources"]
    blocks = {block["address"]: block["expressions"] for block in plan["configuration"]["root_module"]["resources"]}
    values = {resource["address"]: resource["values"] for resource in resources}
    attached: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for resource in resources:
        if resource["type"] == "aws_volume_attachment":
            links = blocks[resource["address"]]
            attached[links["instance_id"]["references"][1]].append(values[links["volume_id"]["references"][1]])
    found = []
    for resource in resources:
        if resource["type"] == "aws_instance":
            address, vm = resource["address"], resource["values"]
            group = values[blocks[address]["vpc_security_group_ids"]["references"][1]]
            found += [{"rule": rule, "address": address, "sentence": f"{address} fails {rule}"}
                      for rule, holds in judged(vm, vm["root_block_device"] + attached[address], group) if not holds]
    return found


def judged(vm: dict[str, Any], disks: list[dict[str, Any]], group: dict[str, Any]) -> list[tuple[str, bool]]:
    everywhere = [rule for rule in group["ingress"] if "0.0.0.0/0" in rule["cidr_blocks"]]
    return [
        ("aws-disks-encrypted", all(disk.get("encrypted") for disk in disks)),
        ("aws-volumes-own-key", all(disk.get("kms_key_id") for disk in disks)),
        ("aws-instance-role", bool(vm.get("iam_instance_profile"))),
        ("aws-detailed-monitoring", vm["monitoring"]),
        ("aws-ebs-optimized", vm["ebs_optimized"]),
        ("aws-no-open-ssh", not any(rule["from_port"] <= 22 <= rule["to_port"] for rule in everywhere)),
        ("aws-no-open-rdp", not any(rule["from_port"] <= 3389 <= rule["to_port"] for rule in everywhere)),
        ("aws-egress-limited", not any("0.0.0.0/0" in rule["cidr_blocks"] for rule in group["egress"])),
        ("aws-no-secrets-in-user-data", "AKIA" not in (vm.get("user_data") or "")),
        ("aws-metadata-sessions", vm["metadata_options"][0]["http_tokens"] == "required"),
        ("aws-no-public-address", not vm["associate_public_ip_address"]),
    ]


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(findings(json.loads(Path(sys.argv[1]).read_bytes()))), encoding="utf-8")
