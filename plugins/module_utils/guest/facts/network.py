"""Sockets that listen, and whether there is a radio: from /proc and /sys alone."""

from __future__ import annotations

import ipaddress
import socket
import struct
from typing import Any

from ..host import Host
from .asked import Asked

LISTEN = "0A"
UNCONNECTED = "07"  # of a UDP socket that takes datagrams from anybody
EPHEMERAL = 32768  # ports from here on are lent to clients
CLIENTS = (68, 546)  # DHCP clients listen, but only to who answers them


def address(text: str) -> tuple[str, int]:
    """``0100007F:0016`` is ("127.0.0.1", 22): 32-bit words in the byte order of the machine."""
    host, port = text.split(":")
    words = [int(host[i:i + 8], 16) for i in range(0, len(host), 8)]
    packed = b"".join(struct.pack("=I", word) for word in words)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed), int(port, 16)


def listening(text: str, state: str = LISTEN) -> set[tuple[str, int]]:
    """Addresses and ports that listen, of the text of /proc/net/tcp or its like."""
    rows = [line.split() for line in text.splitlines()[1:]]
    return {address(row[1]) for row in rows if len(row) > 3 and row[3] == state}


def open_ports(host: Host, family: str) -> set[int]:
    """TCP and UDP ports that others than this machine reach, by the address that they listen on."""
    six = "6" if family == "ipv6" else ""
    found = listening(host.read(f"/proc/net/tcp{six}") or "")
    found |= {(ip, port) for ip, port in listening(host.read(f"/proc/net/udp{six}") or "", UNCONNECTED)
              if port < EPHEMERAL and port not in CLIENTS}
    if family == "ipv4":  # a socket on :: takes IPv4 too, unless told otherwise
        found |= {(ip, port) for ip, port in listening(host.read("/proc/net/tcp6") or "") if ip == "::"}
    return {port for ip, port in found if not ipaddress.ip_address(ip).is_loopback}


def wireless(host: Host) -> list[str]:
    """Names of network interfaces that are radios."""
    return [path.split("/")[4] for path in host.glob("/sys/class/net/*/wireless")]


def facts(host: Host, asked: Asked) -> dict[str, Any]:
    """`listening`: address and port of each TCP socket that listens, at most 500; `ipv6` whether it is in use;
    `wireless`: names of radios.
    """
    found: set[tuple[str, int]] = set()
    for name in ("tcp", "tcp6"):
        found |= listening(host.read(f"/proc/net/{name}") or "")
    sockets: list[dict[str, Any]] = [{"address": ip, "port": port} for ip, port in sorted(found)][:500]
    return {"listening": sockets, "ipv6": host.exists("/proc/sys/net/ipv6/conf/all/forwarding"),
            "wireless": wireless(host)}
