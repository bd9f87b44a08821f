"""A way to a server that takes its time, as a network's does."""

from __future__ import annotations

import asyncio
import contextlib
import threading


class Network:
    """Passes on what is sent to `address`, HOST:PORT of the loopback, after `latency` seconds, and the answers at once.
    `address` is its own."""

    def __init__(self, address: str, latency: float) -> None:
        self.upstream, self.latency = address, latency
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="network", daemon=True)
        self.thread.start()
        start = asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.server = asyncio.run_coroutine_threadsafe(start, self.loop).result(30)
        self.address = f"127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    def stop(self) -> None:
        """End it, with all that is on its way."""
        asyncio.run_coroutine_threadsafe(self._end(), self.loop).result(30)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(30)
        self.loop.close()

    async def _end(self) -> None:
        self.server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connected(self, there: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        host, _colon, port = self.upstream.partition(":")
        answers, asks = await asyncio.open_connection(host, int(port))
        await asyncio.gather(_pass_on(there, asks, self.latency), _pass_on(answers, back, 0))


async def _pass_on(there: asyncio.StreamReader, to: asyncio.StreamWriter, latency: float) -> None:
    with contextlib.suppress(OSError):
        while some := await there.read(1 << 20):
            await asyncio.sleep(latency)
            to.write(some)
            await to.drain()
    with contextlib.suppress(OSError):
        to.close()
