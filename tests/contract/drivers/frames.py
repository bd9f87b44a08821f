"""Frames of Ethernet as a guest sends them, and a QEMU whose NIC is a socket of the test's: no guest boots."""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
from collections.abc import Iterator
from typing import Any

MAC = bytes.fromhex("525400123456")
GATEWAY_MAC = bytes.fromhex("52550a000202")
GUEST = {4: "10.0.2.15", 6: "fec0::5054:ff:fe12:3456"}
GATEWAY = {4: "10.0.2.2", 6: "fec0::2"}
NAMES = {4: "10.0.2.3", 6: "fec0::3"}  # where user-mode networking answers for the host's resolver
_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
QUERY = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + b"\x09localhost\0\0\x01\0\x01"


def _sum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _address(version: int, text: str) -> bytes:
    return socket.inet_pton(_FAMILY[version], text)


def packet(version: int, to: str, protocol: int, payload: bytes, checksum_at: int) -> bytes:
    """A whole frame from the guest; the payload's own checksum is filled in at `checksum_at`."""
    source, target = _address(version, GUEST[version]), _address(version, to)
    if version == 4:
        pseudo = source + target + struct.pack(">BBH", 0, protocol, len(payload))
    else:
        pseudo = source + target + struct.pack(">IHBB", len(payload), 0, 0, protocol)
    pseudo = b"" if (version, protocol) == (4, 1) else pseudo
    value = struct.pack(">H", _sum(pseudo + payload) or 0xFFFF)
    payload = payload[:checksum_at] + value + payload[checksum_at + 2 :]
    if version == 4:
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0) + source + target
        head = head[:10] + struct.pack(">H", _sum(head)) + head[12:]
    else:
        head = struct.pack(">IHBB", 0x60000000, len(payload), protocol, 255) + source + target
    return GATEWAY_MAC + MAC + struct.pack(">H", 0x0800 if version == 4 else 0x86DD) + head + payload


def tcp_syn(version: int, to: str, port: int) -> bytes:
    return packet(version, to, 6, struct.pack(">HHIIBBHHH", 4001, port, 1000, 0, 0x50, 2, 65535, 0, 0), 16)


def udp(version: int, to: str, port: int, data: bytes) -> bytes:
    return packet(version, to, 17, struct.pack(">HHHH", 4002, port, 8 + len(data), 0) + data, 6)


def introductions() -> list[bytes]:
    """Who the guest is: ARP for IPv4, a neighbour's advertisement for IPv6."""
    arp = struct.pack(">HHBBH", 1, 0x800, 6, 4, 1) + MAC + _address(4, GUEST[4]) + b"\0" * 6 + _address(4, GATEWAY[4])
    advert = struct.pack(">BBHI", 136, 0, 0, 0x60000000) + _address(6, GUEST[6]) + b"\x02\x01" + MAC
    return [b"\xff" * 6 + MAC + b"\x08\x06" + arp, packet(6, GATEWAY[6], 58, advert, 2)]


@contextlib.contextmanager
def nic_on(netdev: str) -> Iterator[Any]:
    """A socket that is the guest's end of a NIC on `netdev`, an option of QEMU's with an id."""
    ends = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _end in range(2)]
    for end in ends:
        end.bind(("127.0.0.1", 0))
    ours, theirs = ends
    port = theirs.getsockname()[1]
    theirs.close()
    name = netdev.split("id=")[1].split(",")[0]
    wire = f"socket,id=wire,udp=127.0.0.1:{ours.getsockname()[1]},localaddr=127.0.0.1:{port}"
    argv = ["qemu-system-x86_64", "-machine", "none", "-nodefaults", "-display", "none", "-monitor", "stdio"]
    for option in (netdev, wire, f"hubport,id=a,hubid=0,netdev={name}", "hubport,id=b,hubid=0,netdev=wire"):
        argv += ["-netdev", option]
    ours.connect(("127.0.0.1", port))
    pipe = subprocess.PIPE
    with ours, subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe) as qemu:
        assert qemu.stdout is not None
        read = b""
        while not read.endswith(b"(qemu) "):  # its monitor answers: the network is there
            byte = qemu.stdout.read(1)
            assert byte, qemu.stderr.read() if qemu.stderr else b""
            read += byte
        try:
            yield ours
        finally:
            qemu.kill()
