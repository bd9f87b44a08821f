"""A drill's twin reaches nothing: frames are sent as its guest would, and nothing of them arrives anywhere."""

from __future__ import annotations

import contextlib
import socket
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pytest
from frames import GATEWAY, NAMES, QUERY, introductions, nic_on, tcp_syn, udp
from muster.drivers.libvirt import domain as xml
from muster.drivers.libvirt import mark as marks
from muster.model.vm import VM, Mark

LOOPBACK = {4: (socket.AF_INET, "127.0.0.1"), 6: (socket.AF_INET6, "::1")}
PATIENCE = 3.0  # seconds in which an open network has long answered


def netdev() -> str:
    """The twin's network, as the driver writes it."""
    written = marks.Written(Mark("acme/drill", "web", "op"))
    text = xml.build(VM("web", "lab"), "8b1e9f0a-0000-4000-8000-000000000001", written, [], accelerator="qemu",
                     isolation=xml.Isolation({}))  # fmt: skip
    arguments = [node.get("value", "") for node in ET.fromstring(text).iter(f"{{{xml.QEMU_NS}}}arg")]
    return arguments[arguments.index("-netdev") + 1]


@contextlib.contextmanager
def listening(version: int, kind: socket.SocketKind) -> Iterator[socket.socket]:
    """A service of the host on its loopback address, which the guest's gateway stands for."""
    family, address = LOOPBACK[version]
    with socket.socket(family, kind) as server:
        server.bind((address, 0))
        if kind == socket.SOCK_STREAM:
            server.listen()
        server.settimeout(PATIENCE)
        yield server


def arrives(network: str, version: int, kind: socket.SocketKind) -> bool:
    """Whether what a guest sends to a port of its gateway arrives at the host."""
    with nic_on(network) as nic, listening(version, kind) as server:
        port = server.getsockname()[1]
        for frame in introductions():
            nic.send(frame)
        stream = kind == socket.SOCK_STREAM
        nic.send(tcp_syn(version, GATEWAY[version], port) if stream else udp(version, GATEWAY[version], port, b"x"))
        try:
            return bool(server.accept() if stream else server.recv(1))
        except TimeoutError:
            return False


def resolves(network: str) -> bool:
    """Whether a guest's question for a name is answered: a name is a message too."""
    with nic_on(network) as nic:
        for frame in introductions():
            nic.send(frame)
        nic.send(udp(4, NAMES[4], 53, QUERY))
        nic.settimeout(PATIENCE)
        try:
            while True:
                frame = nic.recv(65536)
                if frame[12:14] == b"\x08\x00" and frame[23] == 17 and frame[34:36] == b"\x00\x35":
                    return True
        except TimeoutError:
            return False


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["tcp", "udp"])
def test_nothing_arrives(version: int, kind: socket.SocketKind) -> None:
    assert ",restrict=on" in netdev()
    assert arrives(netdev().replace(",restrict=on", ""), version, kind), "the test sees nothing, whatever is sent"
    assert not arrives(netdev(), version, kind)


def test_no_name_is_asked_for() -> None:
    """There is no open network to compare with here: its question would leave this machine."""
    assert not resolves(netdev())
