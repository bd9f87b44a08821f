"""The certificate's cache: what is not the user's own, or not good any more, is not used."""

from __future__ import annotations

import json
import os
import ssl
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from muster_provider.certificate import certificate


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "muster" / "provider-certificate.json"


def test_made_once_and_kept_for_the_user_alone(cache: Path) -> None:
    made = certificate()
    assert certificate() == made
    assert cache.stat().st_mode & 0o777 == 0o600
    assert cache.parent.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in cache.parent.iterdir()] == [cache.name]
    ssl.PEM_cert_to_DER_cert(made.chain.decode())


def _edit(**fields: object) -> Callable[[Path], object]:
    return lambda path: path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


@pytest.mark.parametrize("spoil", [
    lambda path: path.write_text("{"),
    lambda path: path.write_text("[]"),
    _edit(until=0), _edit(until=time.time() + 1e9), _edit(until="soon"), _edit(key=1),
    lambda path: path.chmod(0o644),
    lambda path: (path.rename(path.with_suffix(".x")), path.symlink_to(path.with_suffix(".x"))),
])
def test_not_used(cache: Path, spoil: Callable[[Path], object]) -> None:
    made = certificate()
    spoil(cache)
    fresh = certificate()
    assert fresh != made
    assert certificate() == fresh
    assert not cache.is_symlink()


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert certificate().handshake


def test_the_way_to_the_handshake_imports_no_more_than_it_needs() -> None:
    """Terraform starts the provider several times for a plan and waits for each handshake."""
    code = "import sys, muster_provider.serve; print(' '.join(sys.modules))"
    loaded = set(os.popen(f"{sys.executable} -c '{code}'").read().split())
    late = {"muster.drivers.libvirt", "libvirt", "muster.operations", "muster.policy", "jmespath", "yaml", "ansible",
            "cryptography", "muster.terraform"}
    assert loaded & late == set()


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose user has no entry anywhere: one is made each time."""
    def unknown(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    ssl.PEM_cert_to_DER_cert(certificate().chain.decode())
