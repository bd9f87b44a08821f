"""Files that a real Terraform wrote: recorded ones, and one that the Terraform on the path makes now.

``terraform_data`` is built in, so it needs no provider and no network; it is no VM, and is counted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from muster.terraform import TerraformError, read_document

RECORDED = Path(__file__).parent / "recorded"
TERRAFORM = shutil.which("terraform") or shutil.which("tofu")


@pytest.mark.parametrize(("name", "count", "version"), [
    ("create.json", 8, "1.2"),  # 3 by count, 2 times 2 by for_each in a module of count 2, 1 that refers to them
    ("state.json", 8, "1.0"),
    ("change.json", 7, "1.2"),  # one of the 3 is deleted
])
def test_recorded(name: str, count: int, version: str) -> None:
    reading = read_document(RECORDED / name)
    assert reading.vms == []
    assert reading.unmapped == {"terraform_data": count}
    assert (reading.format_version, reading.terraform_version) == (version, "1.11.4")
    assert "hunter2" in (RECORDED / name).read_text(encoding="utf-8")
    assert "hunter2" not in repr(reading)


GROUPS = ["g0", "g1", "sg-known"]


@pytest.mark.parametrize(("name", "vms", "deleted"), [
    ("created", {"a": ("create", [8, 10, 20]), "b": ("create", [9, 10])}, ()),
    ("state", {"a": ("no-op", [8, 10, 20]), "b": ("no-op", [9, 10])}, ()),
    ("changed", {"a": ("no-op", [8, 10, 20]), "c": ("create", [11, 10])}, ('module.vms.aws_instance.vm["b"]',)),
])
def test_recorded_instances(name: str, vms: dict[str, tuple[str, list[int]]], deleted: tuple[str, ...]) -> None:
    """Terraform made these with a provider that has the AWS provider's schema and no cloud behind it.

    Instances in a module by for_each, their security groups through a list variable, their volumes through outputs (a
    map and one id), a tag and the user data from a sensitive variable; then all applied; then one VM exchanged for
    another and a volume replaced.
    """
    path = RECORDED / f"instances-{name}.json"
    reading = read_document(path)
    found = {vm["name"]: (vm["action"], [disk["size"] >> 30 for disk in vm["disks"]]) for vm in reading.vms}
    assert found == vms
    assert reading.deleted == deleted
    assert reading.unmapped == {"aws_s3_bucket": 1}
    for vm in reading.vms:
        groups = {group.get("name", group.get("id")): group for group in vm["aws"]["security_groups"]}
        assert sorted(groups) == GROUPS
        assert sorted(rule["from_port"] for rule in groups["g0"]["ingress"]) == [22, 80]
        assert vm["sensitive"] == ["tags.secret", "user_data"]
        assert vm["aws"]["metadata_tokens"] == "required"
        assert vm["aws"]["instance_profile"] is False
    assert "hunter2" in path.read_text(encoding="utf-8")
    assert "hunter2" not in repr(reading)


@pytest.mark.skipif(TERRAFORM is None, reason="no terraform and no tofu on the path")
def test_made_now(tmp_path: Path) -> None:
    shutil.copytree(RECORDED / "source", tmp_path, dirs_exist_ok=True)
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": os.devnull, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}

    def run(*words: str) -> bytes:
        done = subprocess.run([str(TERRAFORM), *words], cwd=tmp_path, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    run("init", "-input=false")
    run("plan", "-input=false", "-out=made.bin")
    made = tmp_path / "made.json"
    made.write_bytes(run("show", "-json", "made.bin"))
    reading = read_document(made)
    assert reading.unmapped == {"terraform_data": 8}
    with pytest.raises(TerraformError, match="run 'terraform show -json made"):
        read_document(tmp_path / "made.bin")
    run("apply", "-input=false", "-auto-approve", "made.bin")
    made.write_bytes(run("show", "-json"))
    assert read_document(made).unmapped == {"terraform_data": 8}
    with pytest.raises(TerraformError, match="is a state in Terraform's own form"):
        read_document(tmp_path / "terraform.tfstate")
