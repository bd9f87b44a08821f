"""Trouble between the driver and fakepve: one terrible thing at the request that it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from fakepve import FakePve
from fakepve.server import error, ok

# What can happen to a request. Those of `HEARD` are done, and only the answer is lost.
HEARD = ("answer dropped", "answer cut short", "silence", "HTML for an answer")
# "gone" is from then on, as where the controller is killed: nobody cleans up.
UNHEARD = ("gone", "dropped", "HTML", "redirect", "ticket expired", "no right", "node offline", "locked", "no quorum",
           "no space")  # fmt: skip
FAULTS = (*HEARD, *UNHEARD, "a lie")
_PAGE = "<html><head><title>Sign in</title></head><body><form action='/login'>&nbsp;</form></body></html>"
_SAID: dict[str, tuple[int, str]] = {
    "ticket expired": (401, "permission denied - invalid PVE ticket"),
    "no right": (403, "Permission check failed (/vms, VM.Allocate)"),
    "node offline": (595, "No route to host"),
    "locked": (500, "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout"),
    "no quorum": (500, "cluster not ready - no quorum?"),
    "no space": (500, "unable to write: No space left on device"),
}
Answering = Callable[[], Awaitable[web.StreamResponse]]


class Trouble:
    """`arm` makes request `at` (from 1) meet `fault`; `calls` are the requests since then, `struck` whether it did."""

    def __init__(self, fake: FakePve) -> None:
        self.fake, self.last_task = fake, ""
        self.before: dict[int, Callable[[], object]] = {}  # what somebody else does just before a request
        self.silences = ("", 0)  # a part of a path, and how many requests for such are dropped
        self.arm()

    def arm(self, fault: str = "", at: int = 0) -> None:
        self.fault, self.at, self.struck, self.calls = fault, at, False, list[str]()

    async def meet(self, request: web.Request, answer: Answering) -> web.StreamResponse:
        """The answer to one request, or what happens to it."""
        self.calls.append(f"{request.method} {request.path.removeprefix('/api2/json')}")
        self.before.get(len(self.calls), int)()
        part, left = self.silences
        if left and part in request.path:
            self.silences = (part, left - 1)
            assert request.transport is not None
            request.transport.close()
            raise ConnectionResetError("dropped")
        asked = request.method == "GET"
        here = len(self.calls) == self.at or (self.fault == "gone" and 0 < self.at < len(self.calls))
        writes_alone = self.fault in ("locked", "no quorum", "no space", "a lie")
        if not here or not self.fault or (asked and writes_alone):
            return self._noted(await answer())
        self.struck = True
        if self.fault.startswith("named "):  # Proxmox's own, as fakepve's catalogue has it; once
            where = request.path.removeprefix("/api2/json")
            self.fake.fail(request.method, where, error=self.fault.removeprefix("named "), times=1)
            return await answer()
        if self.fault in _SAID:
            status, words = _SAID[self.fault]
            refused: web.Response = error(status, words)
            return refused
        if self.fault == "HTML":
            return web.Response(status=503, text=_PAGE, content_type="text/html")
        if self.fault == "redirect":
            return web.Response(status=302, headers={"Location": "https://127.0.0.1:1/login"})
        if self.fault == "a lie":  # it says that it is done, by a task of before where it would begin one
            return self._lie(request)
        done = await answer() if self.fault in HEARD else None
        if done is not None and self.fault == "HTML for an answer":
            return web.Response(status=200, text=_PAGE, content_type="text/html")
        if done is not None and self.fault == "silence":
            await asyncio.sleep(0.5)  # longer than the driver waits in these tests
        if done is not None and self.fault == "answer cut short":
            return await _half(request, done)
        assert request.transport is not None
        request.transport.close()
        raise ConnectionResetError("dropped")

    def _noted(self, response: web.StreamResponse) -> web.StreamResponse:
        if isinstance(response, web.Response) and response.text and '"UPID:' in response.text:
            self.last_task = json.loads(response.text)["data"]
        return response

    def _lie(self, request: web.Request) -> web.Response:
        nothing = request.method == "PUT" or not self.last_task
        lie: web.Response = ok(None if nothing else self.last_task)
        return lie


async def _half(request: web.Request, whole: Any) -> web.StreamResponse:
    """The first half of an answer that said how long it is."""
    body = bytes(whole.body or b"{}")
    cut = web.StreamResponse(status=whole.status, headers={"Content-Type": "application/json"})
    cut.content_length = len(body)
    await cut.prepare(request)
    await cut.write(body[: len(body) // 2])
    assert request.transport is not None
    request.transport.close()
    return cut
