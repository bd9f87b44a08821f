"""Credentials planted wherever they may come from: none of them is in state, plan, output, log or any file that a run
leaves."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from muster.drivers.credentials import variable
from proxmox_fake import TOKEN
from sites import World
from tf_runs import OFF, Terraform, flat, starting
from vsphere_simulator import ACCOUNT

from tools.registry_docs import EXAMPLES

pve = pytest.mark.parametrize("world", ["pve"], indirect=True)
CANARY = "canary-5d41402abc4b2a76"
SECRETS = (CANARY, TOKEN[1], ACCOUNT[1][:13])  # of the password what no file writes in another way


@pytest.fixture
def logged(world: World, tmp_path: Path) -> Terraform:
    """Terraform that starts the provider itself and writes all that it can into its log."""
    terraform = starting(world, tmp_path, TF_LOG="TRACE", TF_LOG_PATH=str(tmp_path / "run" / "trace.log"))
    terraform.vms = {"a": OFF}
    return terraform


def leaks(terraform: Terraform, said: str) -> list[str]:
    """Where a secret is: in what was said, or in a file of the run."""
    found = [f"said: {word}" for word in SECRETS if word in said]
    for path in terraform.folder.rglob("*"):
        if path.is_file():
            text = path.read_bytes()
            found += [f"{path.name}: {word}" for word in SECRETS if word.encode() in text]
    return found


def everything(terraform: Terraform) -> str:
    """All that a run says: plans, changes, drift, state, outputs, and errors."""
    said = terraform.apply(code=None)
    terraform.vms["a"] = {**OFF, "cpus": 2, "tags": {"owner": "shop"}}
    said += terraform.run("plan", "-out=plan", code=None) + terraform.run("show", "-json", "plan", code=None)
    said += terraform.apply(code=None) + terraform.run("show", "-json", code=None)
    terraform.vms["a"] = {**OFF, "cpus": 0}
    said += terraform.run("plan", code=None)
    return said


@pve
@pytest.mark.parametrize("source", ["file", "environment", "both"])
def test_a_token_that_is_right(logged: Terraform, source: str) -> None:
    world = logged.world
    site = logged.provider["sites"][world.access.name]
    if source != "file":
        logged.environment[variable(world.access.name)] = "=".join(TOKEN)
        site.pop("credentials")
    if source == "both":  # the environment goes before the file, which holds another
        other = Path(world.access.options["credentials"]).with_name("other")
        other.write_text(f"root@pam!x={CANARY}")
        site["credentials"] = str(other)
    said = everything(logged)
    assert logged.there()["a"]["cpus"] == 2
    assert "trace.log" in os.listdir(logged.folder)
    log = (logged.folder / "trace.log").read_text()
    for progress in ("listed 1 VMs", f"VM '{logged.name('a')}' at site 'pve': changing it"):
        assert progress in log  # the provider's own lines are there
    assert leaks(logged, said) == []


@pve
@pytest.mark.parametrize("text", [
    f"muster@pve!tests={CANARY}", CANARY, f"{CANARY}={CANARY}", f"muster@pve!tests={CANARY}\nmore\n",
    f"{CANARY}\x1b[31m"])
@pytest.mark.parametrize("source", ["file", "environment"])
def test_a_token_that_is_wrong(logged: Terraform, source: str, text: str) -> None:
    """Nothing of it is in the error that it makes."""
    world = logged.world
    if source == "file":
        path = Path(world.access.options["credentials"]).with_name("wrong")
        path.write_text(text)
        logged.provider["sites"][world.access.name]["credentials"] = str(path)
    else:
        logged.environment[variable(world.access.name)] = text
    said = logged.run("plan", code=1) + logged.apply(code=1)
    assert "Unable to" in said
    assert leaks(logged, said) == []


@pve
@pytest.mark.parametrize("uri", [f"https://root:{CANARY}@127.0.0.1:8006", f"https://127.0.0.1:8006/?password={CANARY}"])
def test_a_secret_in_an_address_is_refused(logged: Terraform, uri: str) -> None:
    """A configuration is no place for one, and we do not repeat it."""
    logged.provider["sites"][logged.world.access.name]["uri"] = uri
    said = logged.run("plan", code=1)
    assert "is no address of Proxmox" in flat(said)
    assert CANARY not in said


@pytest.mark.parametrize("world", ["vsphere"], indirect=True)
@pytest.mark.parametrize(("source", "account"), [
    ("file", ":".join(ACCOUNT)), ("environment", ":".join(ACCOUNT)), ("file", f"{ACCOUNT[0]}:{CANARY}"),
    ("environment", CANARY)])
def test_an_account_of_vsphere(logged: Terraform, source: str, account: str) -> None:
    """`user:password`, right or wrong."""
    world = logged.world
    if source == "file":
        path = Path(world.access.options["credentials"]).with_name("own")
        path.write_text(account)
        logged.provider["sites"][world.access.name]["credentials"] = str(path)
    else:
        logged.environment[variable(world.access.name)] = account
    said = everything(logged)
    right = ACCOUNT[1] in account
    assert ("Apply complete!" in said) == right
    assert ("Unable to" in said) != right
    assert leaks(logged, said) == []


def test_no_attribute_is_a_secret() -> None:
    """The schema has no place for one: none is sensitive, and none is called so."""
    from muster_provider import schema, schema_kept

    def names(attributes: Any) -> list[str]:
        return [name for one in attributes for name in (one.name, *names(getattr(one, "attributes", ())))]

    schemas = (schema.provider, schema.vm, schema.vm_data, schema.vms_data, schema.findings_data, schema_kept.snapshot,
               schema_kept.restore_point, schema_kept.drill_data)
    found = {name for one in schemas for name in names(one().attributes)}
    assert not [name for name in found if any(word in name for word in ("password", "secret", "token", "private"))]
    assert "password" not in json.dumps([path.read_text() for path in EXAMPLES.rglob("*.tf")])
