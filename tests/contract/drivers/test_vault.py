"""Credentials of a site that are a secret of Vault, by a real OpenBao. No secret is in what is said."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from muster.drivers import vault as secrets
from muster.drivers.driver import Denied, DriverError, Unreachable
from muster.model.fleet import Site
from proxmox_fake import TOKEN
from proxmox_site import ProxmoxWorld, on_proxmox
from test_proxmox_access import opened
from vault_server import Vault, vault

SECRET = TOKEN[1]
REFERENCE = "vault:secret/data/muster/pve#token"
SITE = Site("pve", "proxmox", {})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    with vault(tmp_path_factory.mktemp("vault")) as found:
        found.put("muster/pve", token="=".join(TOKEN), number=7, empty=" ")
        found.client.sys.enable_secrets_engine("kv", path="old", options={"version": "1"})
        found.client.secrets.kv.v1.create_or_update_secret("muster/pve", {"token": "=".join(TOKEN)}, mount_point="old")
        yield found


@pytest.fixture
def asked(server: Vault, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Vault:
    """The server, which this process asks."""
    monkeypatch.setenv("HOME", str(tmp_path))  # no token of whoever runs the tests
    monkeypatch.delenv("VAULT_NAMESPACE", raising=False)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server


def refused(kind: type[DriverError], words: str, reference: str = REFERENCE) -> None:
    with pytest.raises(kind, match=words) as caught:
        secrets.read(SITE, reference, "API token")
    said = str(caught.value)
    assert SECRET not in said
    assert "\n" not in said
    assert caught.value.todo
    assert "hanged" in said, "it says what was left as it was"


@on_proxmox
@pytest.mark.parametrize("reference", [REFERENCE, "vault:old/muster/pve#token"], ids=["version 2", "version 1"])
def test_a_site_is_opened_by_a_secret(world: ProxmoxWorld, asked: Vault, reference: str) -> None:
    assert asked
    opened(world, credentials=reference)


@on_proxmox
def test_a_policy_for_the_one_secret_is_enough(
    world: ProxmoxWorld, asked: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", asked.allowed("secret/data/muster/pve"))
    opened(world, credentials=REFERENCE)
    monkeypatch.setenv("VAULT_TOKEN", asked.allowed("secret/data/other"))
    refused(Denied, "refuses the token, or its policies do not let it read")


@on_proxmox
def test_the_environment_goes_before(world: ProxmoxWorld, asked: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked
    monkeypatch.setenv("MUSTER_CREDENTIALS_PVE", "=".join(TOKEN))
    opened(world, credentials="vault:secret/data/nothing#token")


@pytest.mark.parametrize(("reference", "words"), [
    ("vault:secret/data/nothing#token", "has no secret of this path"),
    ("vault:secret/muster/pve#token", "has no secret of this path.*'data/' follows"),
    ("vault:nowhere/muster/pve#token", "has no secret of this path"),
    ("vault:secret/data/muster/pve#pasword", "has no text in 'pasword'"),
    ("vault:secret/data/muster/pve#number", "has no text in 'number'"),
    ("vault:secret/data/muster/pve#empty", "has no text in 'empty'"),
])
def test_a_secret_that_is_none(asked: Vault, reference: str, words: str) -> None:
    assert asked
    refused(Denied, words, reference)


@pytest.mark.parametrize(("name", "value", "kind", "words"), [
    ("VAULT_TOKEN", "s.wrong", Denied, "refuses the token"),
    ("VAULT_TOKEN", "", Denied, "refuses the token"),
    ("VAULT_ADDR", "", Denied, "VAULT_ADDR is not set"),
    ("VAULT_ADDR", "https://127.0.0.1:1", Unreachable, "no answer of it came"),
    ("VAULT_ADDR", f"https://jane:{SECRET}@127.0.0.1:1", Unreachable, "no answer of it came"),
    ("VAULT_ADDR", "nonsense", Unreachable, "no answer of it came"),
    ("VAULT_CACERT", "", Unreachable, "SSLError"),
])
def test_a_server_that_cannot_be_asked(
    asked: Vault, monkeypatch: pytest.MonkeyPatch, name: str, value: str, kind: type[DriverError], words: str
) -> None:
    assert asked
    monkeypatch.setenv(name, value)
    refused(kind, words)


class _Stranger(BaseHTTPRequestHandler):
    """What answers in the place of Vault: the status of the path's first word, and the body of its second."""

    tokens: list[str]
    bodies: ClassVar = {
        "a": [f"<html>log in, {SECRET}</html>".encode()],
        "list": [b"[]"],
        "text": [b'{"data": "x"}'],
        "nothing": [b'{"data": null}'],
        "levels": [b"[" * 200_000],
        "packed": [gzip.compress(bytes(2 << 20))],
        "endless": itertools.repeat(b" " * 65536),
        "drops": itertools.repeat(b" "),
    }

    def do_GET(self) -> None:
        status, what = int(self.path.split("/")[2]), self.path.split("/")[3]
        self.tokens.append(self.headers.get("X-Vault-Token", ""))
        self.send_response(status)
        self.send_header("Location", f"http://127.0.0.1:{self.server.server_address[1]}/v1/200/a")
        if what == "packed":
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        with contextlib.suppress(OSError):  # whoever asked has gone
            for piece in self.bodies[what]:
                self.wfile.write(piece)

    def log_message(self, *_words: Any) -> None:
        pass


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Stranger]]:
    _Stranger.tokens = []
    with HTTPServer(("127.0.0.1", 0), _Stranger) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            monkeypatch.setenv("VAULT_ADDR", f"http://127.0.0.1:{server.server_address[1]}")
            monkeypatch.setenv("VAULT_TOKEN", "s.mine")
            yield _Stranger
        finally:
            server.shutdown()


@pytest.mark.parametrize("status", [200, 204, 302, 307, 400, 418, 429, 500, 502, 503])
def test_a_stranger_in_its_place(stranger: type[_Stranger], status: int) -> None:
    """Login pages, redirects and other statuses are no secret, what they say is not repeated, and the token follows no
    redirect."""
    words = "not as Vault does" if status < 400 else "cannot be read from Vault"
    refused(Unreachable, words, f"vault:{status}/a#token")
    assert stranger.tokens == ["s.mine"]


@pytest.mark.parametrize(("what", "words"), [
    ("list", ""),
    ("text", ""),
    ("nothing", ""),
    ("levels", ": its JSON is nested too deeply"),
    ("packed", ": the answer has more than 1 MiB"),
    ("endless", ": the answer has more than 1 MiB"),
    ("drops", r": the answer was not whole after 0\.3 seconds"),
])
def test_an_answer_that_is_no_secret(
    stranger: type[_Stranger], monkeypatch: pytest.MonkeyPatch, what: str, words: str
) -> None:
    assert stranger
    if what == "drops":
        monkeypatch.setattr(secrets, "_WHOLE", 0.3)
    refused(Unreachable, f"answers, and not as Vault does with a secret{words}\\.", f"vault:200/{what}#token")


def test_a_sealed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with vault(tmp_path) as found:
        for name, value in found.environment.items():
            monkeypatch.setenv(name, value)
        found.client.sys.seal()
        refused(Unreachable, "sealed")


def test_a_file_that_ansible_vault_encrypted(tmp_path: Path) -> None:
    from muster.drivers import credentials

    path = tmp_path / "token"
    path.write_text("$ANSIBLE_VAULT;1.1;AES256\n6162\n", encoding="utf-8")
    site = Site("dc-1", "proxmox", {"credentials": str(path)})
    with pytest.raises(Denied, match=r"encrypted by ansible-vault.*muster_credentials: \{dc-1: .*"
                       r"MUSTER_CREDENTIALS_DC_1=\"\$\(ansible-vault view"):  # fmt: skip
        credentials.read(site, "API token", "a token")
