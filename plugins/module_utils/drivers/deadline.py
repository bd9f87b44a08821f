"""A limit for the time that an answer over HTTP takes as a whole. The timeout of a socket is for the silence between
two reads alone: a server that sends one byte a second never meets it."""

from __future__ import annotations

import http.client
import io
import time
from typing import Any


class Late(OSError):
    """An answer that was not whole in time."""


class _Timed(io.RawIOBase):
    """What `raw` reads, until `ends`, a time of the monotonic clock; the silence that the socket allows comes to it."""

    def __init__(self, raw: io.RawIOBase, seconds: float) -> None:
        self.raw, self.seconds, self.ends = raw, seconds, time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if time.monotonic() > self.ends:
            raise Late(f"the answer was not whole after {self.seconds:g} seconds")
        return self.raw.readinto(buffer)

    def close(self) -> None:
        self.raw.close()
        super().close()


def answers(seconds: float) -> type[http.client.HTTPResponse]:
    """The `response_class` of a connection whose answers, head and all, take so many seconds. They count from when the
    question was sent."""

    class Answer(http.client.HTTPResponse):
        def __init__(self, sock: Any, *arguments: Any, **options: Any) -> None:
            super().__init__(sock, *arguments, **options)
            self.fp.close()
            self.fp = io.BufferedReader(_Timed(sock.makefile("rb", buffering=0), seconds))

    return Answer
