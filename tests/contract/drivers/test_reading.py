"""Reading a site: all of it at once; what is not proven is not told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import libvirt
import pytest
from libvirt_site import on_libvirt, real
from muster.drivers.driver import Ambiguous, Failed, NotFound, Unreachable, Unsupported
from muster.drivers.libvirt import forwards, listing
from muster.drivers.libvirt.connection import is_remote
from muster.drivers.registry import open_site
from muster.model.fleet import Site
from sites import World


def test_every_vm_is_listed_ours_and_others(world: World) -> None:
    made = [world.made(name) for name in "abc"]
    foreign = world.foreign()
    found = {vm.uuid: vm for vm in world.driver.list()}
    assert {vm.uuid for vm in (*made, foreign)} <= found.keys()
    assert found[foreign.uuid].mark is None
    for vm in made:
        assert found[vm.uuid] == vm
        assert vm.mark == world.mark(vm)


@real
def test_a_vm_that_stops_while_it_is_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is off, and the listing is whole."""
    made = world.made(nics=[{"network": "user"}], on=True)
    present = forwards.present

    def late(domain: Any, site: str) -> Any:
        if domain.UUIDString() == made.uuid and domain.isActive():
            domain.destroy()
        return present(domain, site)

    monkeypatch.setattr(forwards, "present", late)
    assert {vm.uuid: vm.power for vm in world.driver.list()}[made.uuid] == "off"


@on_libvirt
def test_a_listing_costs_one_listing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        world.made(name)
    driver: Any = world.driver
    calls: list[str] = []

    class Counting:
        def __getattr__(self, name: str) -> Any:
            calls.append(name)
            return getattr(connection, name)

    connection = driver.connection
    monkeypatch.setattr(driver, "connection", Counting())
    driver.list()
    assert calls.count("listAllDomains") == 1
    assert len(calls) <= 2  # and one for all statistics: none of them for each VM


@on_libvirt
def test_a_vm_that_goes_while_it_is_listed_is_left_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, gone = world.made("a"), world.made("b")
    one = listing.one

    def racing(domain: Any, *more: Any) -> Any:
        if domain.UUIDString() == gone.uuid:
            world.driver.delete(gone)
        return one(domain, *more)

    monkeypatch.setattr(listing, "one", racing)
    found = {vm.uuid for vm in world.driver.list()}
    assert kept.uuid in found
    assert gone.uuid not in found


@on_libvirt
@pytest.mark.parametrize("text", ["", "<domain><name>", "<domain><vcpu>x</vcpu></domain>"])
def test_what_cannot_be_read_is_an_error_and_never_one_vm_less(
    world: World, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    vm = world.made()
    whole = libvirt.virDomain.XMLDesc

    def answered(domain: Any, flags: int = 0) -> str:
        return text if domain.UUIDString() == vm.uuid else whole(domain, flags)

    monkeypatch.setattr(libvirt.virDomain, "XMLDesc", answered)
    with pytest.raises(Failed, match=f"what libvirt says of the VM '{vm.name}' cannot be read"):
        world.driver.list()
    monkeypatch.undo()


def test_get_by_name_and_by_uuid(world: World) -> None:
    vm = world.made()
    assert world.driver.get(vm.name) == vm
    assert world.driver.get(str(vm.uuid)) == vm


@pytest.mark.parametrize("name", ["no-such-vm", "00000000-0000-0000-0000-000000000000", "", "*", "../x"])
def test_what_is_not_there(world: World, name: str) -> None:
    with pytest.raises(NotFound, match="there is no such VM") as caught:
        world.driver.get(name)
    assert caught.value.todo


def test_a_part_of_a_name_is_no_name(world: World) -> None:
    vm = world.made("contest")
    with pytest.raises(NotFound):
        world.driver.get(vm.name.removesuffix("contest") + "test")


def test_two_matches_are_both_named(world: World) -> None:
    """A VM may bear another one's UUID as its name."""
    vm = world.made()
    twin = world.foreign(name=str(vm.uuid))
    try:
        with pytest.raises(Ambiguous) as caught:
            world.driver.get(str(vm.uuid))
        assert str(vm.uuid) in str(caught.value)
        assert str(twin.uuid) in str(caught.value)
    finally:
        world.remove(twin)


@pytest.mark.parametrize(
    "uri",
    [
        "qemu+unix:///system?socket=/nonexistent/libvirt-sock",
        "qemu+tcp://127.0.0.1:1/system",
        "qemu+ssh://127.0.0.1:1/system",
        "nonsense://",
        "qemu:///nonsense",
    ],
)
def test_a_site_that_does_not_answer(uri: str) -> None:
    with pytest.raises(Unreachable, match=r"Site 'lab': unable to connect to .*nons|unable to connect to") as caught:
        open_site(Site("lab", "libvirt", {"uri": uri}))
    assert uri in str(caught.value)
    assert caught.value.todo
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", ["test://{}", "test:///{}", "test+unix://{}", "test://{}?mode=auto", "test://{}/none"])
def test_a_file_that_is_no_test_host_is_not_quoted(form: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n", encoding="utf-8")
    uri = form.format(tmp_path / "secret")
    with pytest.raises(Unreachable, match=rf"names the file /?{tmp_path}/secret.*does not take as the desc") as caught:
        open_site(Site("lab", "libvirt", {"uri": uri}))
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("qemu+ext://host/system?command=/tmp/x", "asks for a program of the controller's"),
        ("qemu+ssh://host/system?command=/tmp/x", "the option 'command'"),
        ("qemu+ssh://host/system?COMMAND=/tmp/x", "the option 'COMMAND'"),
        ("qemu+ssh://host/system?mode=direct;command=/tmp/x", "the option 'command'"),
        ("qemu+ssh://host/system?mode=direct&netcat=/tmp/x", "the option 'netcat'"),
        ("qemu+ssh://host/system?c%6fmmand=/tmp/x", "the option 'command'"),
        ("qemu+ssh://host/system?no_verify=1", "the option 'no_verify'"),
        ("qemu://host/system?no_verify=1", "the option 'no_verify'"),
        ("qemu+libssh2://host/system?known_hosts_verify=ignore", "the option 'known_hosts_verify'"),
        ("qemu+ssh://-oProxyCommand=x/system", "begins with '-'"),
        ("qemu+ssh://-oProxyCommand=x@host/system", "begins with '-'"),
        ("qemu+ssh://root:hunter2@host/system", "holds a password"),
        ("qemu+ssh://[x/system", "is not one"),
    ],
)
def test_a_uri_runs_nothing_and_trusts_nobody(uri: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libvirt, "open", lambda _uri: pytest.fail("a connection was tried"))
    with pytest.raises(Unsupported) as caught:
        open_site(Site("lab", "libvirt", {"uri": uri}))
    assert says in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "remote"),
    [
        ("qemu:///system", False),
        ("qemu+unix:///system?socket=/run/x", False),
        ("qemu://host/system", True),
        ("qemu+ssh://user@host:22/system?keyfile=/k&no_tty=1", True),
        ("", False),
    ],
)
def test_remote_sites_are_known_as_such(uri: str, remote: bool) -> None:
    assert is_remote(uri) is remote


def test_a_connection_that_is_gone_is_no_empty_site(world: World) -> None:
    world.made()
    driver = open_site(world.access)
    driver.close()
    driver.close()
    with pytest.raises(Exception) as caught:
        driver.list()
    assert caught.type.__module__.endswith("drivers.driver")
