"""A driver whose guests are this machine: for tests of what asks services over the network. And servers to ask."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from muster.drivers.driver import Driver, Executed, NotFound
from muster.model.fleet import Site
from muster.model.vm import VM

GUEST = VM("web", "here", state={"power": "on"})


class Loopback(Driver):
    """The guest's ports are this machine's; a command runs here. Nothing else can be asked of it."""

    platform = "loopback"
    capabilities = frozenset()

    def __init__(self) -> None:
        super().__init__(Site("here", "loopback"))

    def endpoint(self, vm: VM, port: int) -> tuple[str, int]:
        if port == 1:
            raise NotFound(f"nothing leads to its port {port}", site=self.site, vm=vm.name)
        return "127.0.0.1", port

    def execute(self, vm: VM, argv: Sequence[str], timeout: float = 60) -> Executed:
        done = subprocess.run(argv, capture_output=True, timeout=timeout, check=False)
        return Executed(done.returncode, done.stdout.decode("utf-8", "replace"))

    def _none(self, *_arguments: Any, **_options: Any) -> Any:
        raise AssertionError("health only asks")

    close = list = check = refine = create = apply = delete = _none


@contextlib.contextmanager
def serving(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a TCP server that calls `talk` with each connection."""
    server = socket.create_server(("127.0.0.1", 0))

    def one(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            talk(connection)

    def loop() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=one, args=(server.accept()[0],), daemon=True).start()

    threading.Thread(target=loop, daemon=True).start()
    try:
        yield server.getsockname()[1]
    finally:
        server.close()


def answering(status: str, body: bytes, headers: str = "") -> Callable[[socket.socket], None]:
    """An HTTP server that always gives this answer."""

    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body)

    return talk


def closed_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
