"""Terraform with the provider in this process: faults can be planted, and libvirt's test driver keeps its VMs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from muster_provider.provider import MusterProvider
from muster_provider.serve import reattachable
from sites import World
from tf_runs import PROGRAM, Terraform

QUIET = "/dev/null"


@pytest.fixture(scope="session", autouse=True)
def _terraform() -> None:
    if shutil.which(PROGRAM) is None:
        pytest.skip(f"there is no {PROGRAM} on the path, and Debian has none")


@pytest.fixture
def served() -> Iterator[tuple[MusterProvider, dict[str, Any]]]:
    with reattachable() as found:
        yield found


@pytest.fixture
def provider(served: tuple[MusterProvider, dict[str, Any]]) -> MusterProvider:
    return served[0]


@pytest.fixture
def terraform(
    world: World, tmp_path: Path, served: tuple[MusterProvider, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> Terraform:
    """Terraform over a site; the VMs that it made are gone after the test."""
    monkeypatch.chdir(tmp_path)  # where Terraform would have started the provider
    return Terraform(world, tmp_path, {"TF_REATTACH_PROVIDERS": json.dumps(served[1]), "TF_CLI_CONFIG_FILE": QUIET})
