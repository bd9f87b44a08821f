"""Loopback ports: the one asked for, else the one had before, else a free one. Real sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from muster.drivers.driver import Conflict
from muster.drivers.libvirt import forwards


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def nics(*rules: dict[str, int]) -> list[dict[str, Any]]:
    return [{"name": "nic0", "network": "user", "forwards": list(rules)}]


def chosen(rules: list[dict[str, Any]], known: Any = None, running: Any = None) -> forwards.Ports:
    return forwards.choose(rules, known or {}, "lab", "web", running)


def test_no_forwards() -> None:
    assert chosen([{"name": "nic0", "network": "user"}, {"name": "nic1", "network": "x", "forwards": None}]) == {}


def test_a_free_port_is_found() -> None:
    ports = chosen(nics({"guest": 22}, {"guest": 80}))["nic0"]
    assert set(ports) == {22, 80}
    assert all(forwards.is_free(port) for port in ports.values())
    assert ports[22] != ports[80]


def test_the_port_asked_for() -> None:
    port = forwards.free_port()
    assert chosen(nics({"guest": 22, "host": port})) == {"nic0": {22: port}}


def test_a_taken_port_that_is_asked_for_is_a_conflict(taken: int) -> None:
    with pytest.raises(Conflict, match=f"port {taken} on the loopback address is taken.*the VM was not started"):
        chosen(nics({"guest": 22, "host": taken}))


def test_the_port_that_the_vm_itself_holds_is_not_taken(taken: int) -> None:
    held = {"nic0": {22: taken}}
    assert chosen(nics({"guest": 22, "host": taken}), running=held) == held
    assert chosen(nics({"guest": 22}), running=held) == held


def test_the_port_had_before(taken: int) -> None:
    before = {"nic0": {22: forwards.free_port()}}
    assert chosen(nics({"guest": 22}), before) == before
    assert chosen(nics({"guest": 22}), {"nic0": {22: taken}})["nic0"][22] != taken


def test_two_forwards_never_share_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may give out the same free port twice, as nobody has bound it yet."""
    first = forwards.free_port()
    given = iter([first, first, first, forwards.free_port()])
    monkeypatch.setattr(forwards, "free_port", lambda: next(given))
    ports = chosen(nics({"guest": 22}, {"guest": 80}))["nic0"]
    assert ports[22] != ports[80]


def test_one_port_asked_for_twice_is_a_conflict() -> None:
    port = forwards.free_port()
    with pytest.raises(Conflict):
        chosen(nics({"guest": 22, "host": port}, {"guest": 80, "host": port}))
