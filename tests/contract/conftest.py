"""The same tests for every site: libvirt's in-process test driver, and real QEMU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from muster.drivers.driver import Image
from muster.drivers.registry import open_site
from muster.model.fleet import Site
from sites import World, boot_image

SITES = ["test", "qemu"]


@pytest.fixture(params=SITES)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A site; all that the test made there is gone after it."""
    if request.param == "test":
        access = Site("quick", "libvirt", {"uri": "test:///default", "pool": "default-pool"})
    else:
        pool: Any = request.getfixturevalue("site_pool")
        access = Site("real", "libvirt", {"uri": pool.uri, "pool": pool.name})
    driver = open_site(access)
    found = World(driver, access, str(access["pool"]), request.param == "qemu")
    try:
        yield found
    finally:
        found.clean()
        driver.close()


@pytest.fixture(scope="session")
def boots(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """An image whose guest shuts down when it is asked to."""
    return boot_image(tmp_path_factory.mktemp("boot"))
