"""Sockets that listen, from /proc alone."""

from __future__ import annotations

import socket
import struct
from typing import Any

from ..host import Host
from .asked import Asked

LISTEN = "0A"


def address(text: str) -> tuple[str, int]:
    """``0100007F:0016`` is ("127.0.0.1", 22): 32-bit words in the byte order of the machine."""
    host, port = text.split(":")
    words = [int(host[i:i + 8], 16) for i in range(0, len(host), 8)]
    packed = b"".join(struct.pack("=I", word) for word in words)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed), int(port, 16)


def listening(text: str) -> set[tuple[str, int]]:
    """Addresses and ports that listen, of the text of /proc/net/tcp or tcp6."""
    rows = [line.split() for line in text.splitlines()[1:]]
    return {address(row[1]) for row in rows if len(row) > 3 and row[3] == LISTEN}


def facts(host: Host, asked: Asked) -> dict[str, Any]:
    """`listening`: address and port of each TCP socket that listens, at most 500; `ipv6` whether it is in use."""
    found: set[tuple[str, int]] = set()
    for name in ("tcp", "tcp6"):
        found |= listening(host.read(f"/proc/net/{name}") or "")
    sockets: list[dict[str, Any]] = [{"address": ip, "port": port} for ip, port in sorted(found)][:500]
    return {"listening": sockets, "ipv6": host.exists("/proc/sys/net/ipv6/conf/all/forwarding")}
