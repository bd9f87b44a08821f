"""The backends as Terraform takes them: each block is one that it knows, and no state is written without a lock."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from cdk_apps import PROGRAM, Stack, mirror, needs_node, synthesised
from libvirt_site import real
from moto.server import ThreadedMotoServer
from muster.model.fleet import load_fleet
from muster.model.state import BACKENDS
from sites import World
from test_app import GOOD, fleet

pytestmark = pytest.mark.skipif(shutil.which(PROGRAM) is None, reason="there is no Terraform on the path")
# Nobody listens there, and no credentials: Terraform stops once it has read the block.
NOWHERE = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": "eu-central-1", "CONSUL_HTTP_ADDR": "127.0.0.1:9",
           "PG_CONN_STR": "postgres://127.0.0.1:9/state?connect_timeout=1", "CHECKPOINT_DISABLE": "1"}


@pytest.mark.parametrize("backend", sorted(BACKENDS.keys() - {"http"}))
def test_a_block_that_terraform_knows(tmp_path: Path, backend: str) -> None:
    state = {"backend": backend, "settings": dict.fromkeys(BACKENDS[backend].needed, "acmestate")}
    kept = load_fleet(json.dumps(fleet(state=state)), str(tmp_path / "fleet.yml")).state
    block = {"terraform": {"backend": {backend: kept.block("acme", "lab-1")}}}
    (tmp_path / "main.tf.json").write_text(json.dumps(block))
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **NOWHERE}
    done = subprocess.run([PROGRAM, "init", "-no-color", "-input=false"], cwd=tmp_path, env=environment, text=True,
                          capture_output=True, timeout=60, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == (0 if backend == "local" else 1), said
    for word in ("argument", "Invalid", "Unsupported", "secret_suffix"):
        assert word not in said, said


@pytest.fixture
def bucket() -> Iterator[dict[str, str]]:
    """What Terraform needs for a bucket `acme` in Amazon's S3, as moto has it."""
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    try:
        _host, port = server.get_host_and_port()
        address = f"http://127.0.0.1:{port}"
        keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "eu-central-1"}
        s3 = boto3.client("s3", endpoint_url=address, aws_access_key_id="a", aws_secret_access_key="b")
        s3.create_bucket(Bucket="acme", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        yield {**keys, "AWS_ENDPOINT_URL_S3": address, "AWS_EC2_METADATA_DISABLED": "true"}
    finally:
        server.stop()


@real
@needs_node
def test_a_state_in_s3_is_locked(world: World, tmp_path: Path, bucket: dict[str, str]) -> None:
    """What is not Amazon's takes two settings more; its address comes from the environment, as the keys do."""
    settings = {"bucket": "acme", "region": "eu-central-1", "use_path_style": "true",
                "skip_credentials_validation": "true", "skip_requesting_account_id": "true"}
    synthesised(tmp_path, {
        "fleet": world.fleet, "sites": {"lab": {"platform": "libvirt", **world.access.options}},
        "vms": {world.names: {**GOOD, "disks": [{"size": "1 MiB"}]}}, "rules": ["muster/baseline"],
        "state": {"backend": "s3", "folder": "production", "settings": settings}})
    stack = Stack(tmp_path / "cdktf.out" / "stacks" / "lab", mirror(tmp_path))
    stack.environment.update(bucket)
    stack.run("init", "-input=false")
    stack.apply()
    s3 = boto3.client("s3", endpoint_url=bucket["AWS_ENDPOINT_URL_S3"], aws_access_key_id="a",
                      aws_secret_access_key="b")

    def kept() -> list[str]:
        return [one["Key"] for one in s3.list_objects_v2(Bucket="acme").get("Contents", [])]

    assert kept() == ["production/lab.tfstate"]  # and no lock is left
    lock = {"ID": "1", "Who": "jane@bench", "Operation": "apply", "Created": "2026-01-01T00:00:00Z"}
    s3.put_object(Bucket="acme", Key="production/lab.tfstate.tflock", Body=json.dumps(lock).encode())
    before = s3.get_object(Bucket="acme", Key="production/lab.tfstate")["Body"].read()
    said = stack.run("apply", "-auto-approve", "-input=false", code=1)
    assert "Error acquiring the state lock" in said
    assert "jane@bench" in said
    assert s3.get_object(Bucket="acme", Key="production/lab.tfstate")["Body"].read() == before


class Kept(ThreadingHTTPServer):
    """A server of Terraform's http backend. `asked` are the requests in their order."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.states: dict[str, bytes] = {}
        self.locked: dict[str, bytes] = {}
        super().__init__(("127.0.0.1", 0), Answer)


class Answer(BaseHTTPRequestHandler):
    server: Kept

    def answer(self) -> None:
        path = self.path.split("?")[0]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, path))
        status, sent = 200, b""
        if self.command == "LOCK":
            status, sent = (423, self.server.locked[path]) if path in self.server.locked else (200, b"")
            self.server.locked.setdefault(path, body)
        elif self.command == "UNLOCK":
            self.server.locked.pop(path, None)
        elif self.command == "POST":
            self.server.states[path] = body
        else:
            sent = self.server.states.get(path, b"")
            status = 200 if sent else 204
        self.send_response(status)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    do_GET = do_POST = do_LOCK = do_UNLOCK = answer  # noqa: N815 - the names of the library

    def log_message(self, *_: Any) -> None:
        """The tests say nothing."""


@pytest.fixture
def kept() -> Iterator[Kept]:
    server = Kept()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@real
@needs_node
def test_a_state_is_locked_while_it_is_written(world: World, tmp_path: Path, kept: Kept) -> None:
    site = {"platform": "libvirt", **world.access.options}
    address = f"http://127.0.0.1:{kept.server_port}/state"
    synthesised(tmp_path, {
        "fleet": world.fleet, "sites": {"lab": site}, "rules": ["muster/baseline"],
        "vms": {world.names: {**GOOD, "disks": [{"size": "1 MiB"}]}},
        "state": {"backend": "http", "settings": {"address": address}}})
    stack = Stack(tmp_path / "cdktf.out" / "stacks" / "lab", mirror(tmp_path))
    stack.run("init", "-input=false")
    stack.apply()
    path = f"/state/{world.fleet}.lab"
    writes = [command for command, _path in kept.asked if command in ("LOCK", "POST", "UNLOCK")]
    assert writes[0] == "LOCK"
    assert writes[-1] == "UNLOCK"
    assert "POST" in writes
    assert kept.states.keys() == {path}
    state = json.loads(kept.states[path])
    assert [one["type"] for one in state["resources"]] == ["muster_vm"]

    # Somebody else holds the lock: nothing is planned, nothing changes.
    kept.locked[f"{path}/lock"] = json.dumps({"ID": "1", "Who": "jane@bench", "Operation": "apply"}).encode()
    before = dict(kept.states)
    said = stack.run("apply", "-auto-approve", "-input=false", code=1)
    assert "HTTP remote state already locked: ID=1" in said
    assert kept.states == before
