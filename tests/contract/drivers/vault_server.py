"""A real OpenBao, which answers by Vault's API, with its state in memory."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hvac

_TOKEN = "root-of-the-tests"


@dataclass(frozen=True)
class Vault:
    """Where it listens, and with which token it may be asked for anything."""

    address: str
    token: str
    ca: str

    @property
    def client(self) -> Any:
        return hvac.Client(url=self.address, token=self.token, verify=self.ca)

    @property
    def environment(self) -> dict[str, str]:
        """What whoever asks it needs."""
        return {"VAULT_ADDR": self.address, "VAULT_TOKEN": self.token, "VAULT_CACERT": self.ca}

    def put(self, path: str, **fields: Any) -> None:
        """A secret in the KV store of version 2 at ``secret``."""
        self.client.secrets.kv.v2.create_or_update_secret(path, secret=fields)

    def allowed(self, path: str) -> str:
        """A token that may read `path`, and nothing else."""
        self.client.sys.create_or_update_policy("one", f'path "{path}" {{ capabilities = ["read"] }}')
        return str(self.client.auth.token.create(policies=["one"], no_default_policy=True)["auth"]["client_token"])


@contextlib.contextmanager
def vault(folder: Path) -> Iterator[Vault]:
    """A server that listens on a free port of the loopback address until the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = [str(Path(sys.executable).with_name("bao")), "server", "-dev", "-dev-tls", f"-dev-tls-cert-dir={folder}",
            f"-dev-root-token-id={_TOKEN}", "-dev-no-store-token", f"-dev-listen-address=127.0.0.1:{port}"]  # fmt: skip
    environment = {**os.environ, "HOME": str(folder)}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as server:
        try:
            assert server.stdout is not None
            said = []
            for line in server.stdout:  # ends with the server
                said.append(line)
                if "Development mode should NOT be used" in line:
                    break
            else:
                raise AssertionError("".join(said))
            yield Vault(f"https://127.0.0.1:{port}", _TOKEN, str(folder / "vault-ca.pem"))
        finally:
            server.kill()
