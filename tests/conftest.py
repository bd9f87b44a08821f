"""What the three tiers share: their markers, a libvirt that answers, the guest image, a storage pool of the tests' own.

Each folder is a tier and gives its tests its marker: ``tests/unit`` and ``tests/fuzz`` need nothing but Python,
``tests/contract`` libvirt, ``tests/e2e`` libvirt and the guest image.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))  # the tests start what `make` starts: the package `tools`
# Tests of one folder share helpers beside them; test files of two folders may bear the same name (importlib mode).
sys.path.extend(str(folder) for folder in sorted((CHECKOUT / "tests").glob("*/*/")))

from tools import libvirt_daemon  # noqa: E402

TIERS = {"unit": "unit", "fuzz": "unit", "contract": "contract", "e2e": "e2e"}  # by folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(CHECKOUT / "tests").parts[0]
        if folder in TIERS:
            item.add_marker(getattr(pytest.mark, TIERS[folder]))


@pytest.fixture(scope="session")
def libvirt_uri() -> Iterator[str]:
    """The URI of a libvirt that answers. One that the tests had to start ends with them; another is never touched."""
    started = libvirt_daemon.start()
    yield libvirt_daemon.uri()
    if started:
        libvirt_daemon.stop()


@pytest.fixture(scope="session")
def guest_image() -> Path:
    """The Debian 12 guest image, built where the cache has none (about a minute)."""
    argv = [sys.executable, "-m", "tools.image.build"]
    done = subprocess.run(argv, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        pytest.fail("there is no guest image; 'make image' says why", pytrace=False)
    return Path(done.stdout.splitlines()[-1])


@dataclass(frozen=True)
class SitePool:
    """A directory pool of libvirt, made for the tests and removed after them."""

    name: str
    path: Path
    uri: str


@pytest.fixture(scope="session")
def site_pool(libvirt_uri: str) -> Iterator[SitePool]:
    """A started directory pool. Its folder can be reached by the user that QEMU runs as."""
    folder = Path(tempfile.mkdtemp(prefix="muster-test-", dir=_reachable()))
    folder.chmod(0o711)
    name = f"muster-test-{uuid.uuid4().hex[:8]}"

    def virsh(*arguments: str, check: bool = True) -> None:
        argv = ["virsh", "--connect", libvirt_uri, "--quiet", *arguments]
        subprocess.run(argv, check=check, stdout=subprocess.DEVNULL)

    try:
        virsh("pool-create-as", name, "dir", "--target", str(folder))
        yield SitePool(name, folder, libvirt_uri)
    finally:
        virsh("pool-destroy", name, check=False)
        shutil.rmtree(folder)


def _reachable() -> Path:
    """Where the system's QEMU, which is not root, may read: never below a private home or temporary folder."""
    return Path("/var/lib/libvirt/images") if os.geteuid() == 0 else Path("/var/tmp")
