"""The same tests for every site. A new platform is an entry in `SITES` and a file beside `sites.py`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from fakepve.certs import make_cert
from libvirt_site import LibvirtWorld, boot_image
from muster.drivers.driver import Image
from muster.drivers.registry import open_site
from muster.model.fleet import Site
from proofs import watching
from proxmox_site import serve
from sites import World
from vsphere_site import serve as serve_vsphere


@contextlib.contextmanager
def _test(_request: pytest.FixtureRequest) -> Iterator[World]:
    access = Site("quick", "libvirt", {"uri": "test:///default", "pool": "default-pool"})
    yield LibvirtWorld(open_site(access), access, real=False)


@contextlib.contextmanager
def _qemu(request: pytest.FixtureRequest) -> Iterator[World]:
    pool = request.getfixturevalue("site_pool")
    access = Site("real", "libvirt", {"uri": pool.uri, "pool": pool.name})
    yield LibvirtWorld(open_site(access), access, real=True)


# Each makes its world, and after the test takes down what it had to start for it.
Making = Callable[[pytest.FixtureRequest], contextlib.AbstractContextManager[World]]
SITES: dict[str, Making] = {"test": _test, "qemu": _qemu, "pve": serve, "vsphere": serve_vsphere}


ON_LIBVIRT_ALONE = ("ansible", "image")  # these folders' tests name libvirt's own options and programs


def pytest_configure(config: pytest.Config) -> None:
    """What the drivers do in these tests is noted, for the capability matrix."""
    config.pluginmanager.register(watching(), "proofs")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for a world, and does not say which, runs on every site."""
    said = any(mark.args[0] == "world" for mark in metafunc.definition.iter_markers("parametrize"))
    if "world" in metafunc.fixturenames and not said:
        alone = metafunc.definition.path.parent.name in ON_LIBVIRT_ALONE
        metafunc.parametrize("world", ["test", "qemu"] if alone else list(SITES), indirect=True)


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A site; all that the test made there is gone after it."""
    with SITES[request.param](request) as found:
        try:
            yield found
        finally:
            found.clean()
            found.driver.close()


@pytest.fixture(scope="session")
def pve_pki(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate for the loopback address, which is its own authority, and its key."""
    certificate, key, _der = make_cert(str(tmp_path_factory.mktemp("pki")), hosts=("127.0.0.1",))
    return certificate, key


@pytest.fixture(scope="session")
def boots(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """An image whose guest shuts down when it is asked to."""
    return boot_image(tmp_path_factory.mktemp("boot"))
