"""The beginning of an operation: the fleet file that cannot be read, and work on several VMs."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import Loopback
from muster.drivers.driver import DriverError, Failed, NotFound, Unsupported
from muster.drivers.libvirt import LibvirtDriver
from muster.drivers.registry import open_site
from muster.model.errors import ModelError
from muster.model.fleet import Fleet, Site
from muster.model.vm import VM, Mark
from muster.operations import session
from muster.operations.repository import ID

GOOD = b"fleet: acme\nsites: {lab: {platform: libvirt}}\nvms: {web: {cpus: 1}}\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "the fleet file cannot be read: No such file or directory"),
        ("folder", "the fleet file cannot be read: Is a directory"),
        (b"\xff\xfe", r"the fleet file is not UTF-8 \(byte 0\)"),
        (b"#" * ((1 << 20) + 1), "larger than 1 MiB"),
        (b"", "fleet.yml"),
    ],
    ids=["missing", "folder", "not UTF-8", "large", "empty"],
)
def test_a_fleet_file_that_cannot_be_read(tmp_path: Path, content: bytes | str | None, says: str) -> None:
    path = tmp_path / "fleet.yml"
    if content == "folder":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(ModelError, match=says) as caught:
        session.read_fleet(path)
    assert str(path) in str(caught.value)


def test_a_good_one(tmp_path: Path) -> None:
    (tmp_path / "fleet.yml").write_bytes(GOOD)
    assert [vm.name for vm in session.read_fleet(tmp_path / "fleet.yml").vms] == ["web"]


def test_chosen() -> None:
    fleet = Fleet("acme", {}, (VM("web", "lab"), VM("db", "lab")))
    assert [vm.name for vm in session.chosen(fleet, ["db"])] == ["db"]
    assert len(session.chosen(fleet)) == 2
    with pytest.raises(ModelError, match="did you mean 'web'"):
        session.chosen(fleet, ["wep"])


@given(st.sampled_from(["backup", "restore", "drill", "converge", "snapshot"]))
def test_operations_have_ids_of_their_own(kind: str) -> None:
    first, second = session.new_operation(kind), session.new_operation(kind)
    assert first != second
    assert ID.fullmatch(first)
    assert re.fullmatch(r"[a-z0-9-]{1,63}", first)


@pytest.mark.parametrize("parallel", [1, 3])
def test_one_that_fails_does_not_stop_the_others(parallel: int) -> None:
    def work(item: int) -> str:
        if item == 1:
            raise Failed("it broke", site="lab", vm="web")
        return f"did {item}"

    done = session.each([0, 1, 2, 3], work, lambda item, error: f"{item}: {error}", parallel)
    assert done == ["did 0", "1: VM 'web' at site 'lab': it broke.", "did 2", "did 3"]


def test_each_site_has_a_bound_of_its_own() -> None:
    """Three VMs of the one meet, while those of the other come one by one."""
    met, active, most = threading.Barrier(3), threading.Semaphore(1), []

    def work(vm: VM) -> str:
        if vm.site == "wide":
            met.wait(30)
        else:
            most.append(active.acquire(blocking=False))
            active.release()
        return vm.name

    vms = [VM(f"{site}-{number}", site) for number in range(3) for site in ("wide", "narrow")]
    fleet = Fleet("acme", {name: Site(name, "libvirt", {"parallel": most_}) for name, most_ in (
        ("wide", 3), ("narrow", 1))}, ())
    bound = session.width(fleet, {"wide": Loopback(), "narrow": Loopback()}, None)
    assert bound == {"wide": 3, "narrow": 1}
    assert session.each(vms, work, lambda vm, error: str(error), bound) == [vm.name for vm in vms]
    assert most == [True] * 3


def test_a_defect_of_ours_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        session.each([1, 0], lambda item: 1 / item, lambda item, error: 0.0, 2)


def test_a_platform_without_a_driver() -> None:
    with pytest.raises(Unsupported, match="there is no driver for the platform 'hyperv'; there is one for libvirt"):
        open_site(Site("dc", "hyperv"))


@pytest.mark.parametrize(("platform", "option"), [("libvirt", "tls"), ("libvirt", "archive"), ("vsphere", "archive")])
def test_an_option_that_a_platform_would_ignore_is_refused(platform: str, option: str) -> None:
    with pytest.raises(Unsupported, match=f"'{option}' means nothing to the platform '{platform}' and would be"):
        open_site(Site("dc", platform, {option: "x"}))


def test_actual_of_goes_by_the_mark() -> None:
    driver = Loopback()
    desired = VM("web", "lab", mark=Mark("acme", "web"))
    named = VM("web", "lab")
    half = VM("web", "lab", mark=Mark("acme", "web"), state={"built": False})
    renamed = VM("other", "lab", mark=Mark("acme", "web"))
    assert session.actual_of(desired, driver, [named, half, renamed]) is renamed
    with pytest.raises(NotFound, match="the site has no VM with its mark"):
        session.actual_of(desired, driver, [named, half])


def test_all_sites_are_asked_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each listing waits until the other one has begun."""
    met = threading.Barrier(2)
    drivers = {name: open_site(Site(name, "libvirt", {"uri": "test:///default"})) for name in ("north", "south")}
    asked = LibvirtDriver.list
    monkeypatch.setattr(LibvirtDriver, "list", lambda driver: [met.wait(30), *asked(driver)][1:])
    try:
        assert {site: [vm.site for vm in vms] for site, vms in session.list_all(drivers).items()} == {
            "north": ["north"], "south": ["south"]}
        monkeypatch.setattr(LibvirtDriver, "list", lambda driver: asked(driver) if driver.site == "north" else fail())
        with pytest.raises(Failed, match="does not answer"):
            session.list_all(drivers)
        lost: list[DriverError] = []
        assert list(session.list_all(drivers, unasked=lost)) == ["north"]
        assert [str(error) for error in lost] == ["Site 'south': it does not answer."]
        monkeypatch.setattr(LibvirtDriver, "list", lambda driver: fail(driver.site))
        both = "^Site 'north': it does not answer.\nSite 'south': it does not answer.$"
        for unasked in (None, []):
            with pytest.raises(DriverError, match=both):
                session.list_all(drivers, unasked=unasked)
    finally:
        for driver in drivers.values():
            driver.close()


def fail(site: str = "south") -> list[VM]:
    raise Failed("it does not answer", site=site)
