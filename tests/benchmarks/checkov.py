"""Checkov beside Muster on one Terraform plan: its own virtual environment, and its findings in Muster's terms.

Checkov judges resources, Muster judges VMs: a volume's finding is counted for the VM that it is attached to, a security
group's for each VM that uses it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

VERSION = "3.3.30"
HOME = Path(__file__).parents[2] / "build" / "checkov"

# Which of Checkov's checks a rule of muster/aws-hardening stands for.
RULES = {
    "aws-disks-encrypted": {"CKV_AWS_8", "CKV_AWS_3", "CKV2_AWS_2"},
    "aws-volumes-own-key": {"CKV_AWS_189"},
    "aws-instance-role": {"CKV2_AWS_41"},
    "aws-detailed-monitoring": {"CKV_AWS_126"},
    "aws-ebs-optimized": {"CKV_AWS_135"},
    "aws-no-open-ssh": {"CKV_AWS_24"},
    "aws-no-open-rdp": {"CKV_AWS_25"},
    "aws-egress-limited": {"CKV_AWS_382"},
    "aws-no-secrets-in-user-data": {"CKV_AWS_46"},
    "aws-metadata-sessions": {"CKV_AWS_79"},
    "aws-no-public-address": {"CKV_AWS_88"},
}
_RULE_OF = {check: rule for rule, checks in RULES.items() for check in checks}


def program() -> Path:
    """Checkov's command, installed once into the build folder."""
    command = HOME / "bin" / "checkov"
    if not command.exists():
        subprocess.run([sys.executable, "-m", "venv", str(HOME)], check=True)
        subprocess.run([str(HOME / "bin" / "pip"), "install", "-q", f"checkov=={VERSION}"], check=True)
    return command


def run(plan: Path, output: Path) -> None:
    """Checkov's report of `plan` as JSON; it asks no server of its maker."""
    command = [str(program()), "-f", str(plan), "--framework", "terraform_plan", "-o", "json", "--compact", "--quiet",
               "--skip-download"]
    with output.open("wb") as stream:
        subprocess.run(command, stdout=stream, stderr=subprocess.DEVNULL, env={**os.environ, "BC_SKIP_MAPPING": "TRUE"},
                       check=False)  # it ends with 1 where it found something


def findings(output: Path, vms: Iterable[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Checkov's findings as pairs of a rule of ours and the address of a VM. Raises KeyError for a check that no rule
    of ours stands for."""
    users: defaultdict[str, set[str]] = defaultdict(set)
    for vm in vms:
        address = vm["terraform_address"]
        users[address].add(address)
        parts = [*vm.get("disks", ()), *(vm.get("aws") or {}).get("security_groups", ())]
        for part in parts:
            if part.get("terraform_address"):
                users[part["terraform_address"]].add(address)
    report = json.loads(output.read_bytes())
    return {(_RULE_OF[failed["check_id"]], address)
            for failed in report["results"]["failed_checks"] for address in users[failed["resource"]]}
