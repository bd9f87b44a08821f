"""The transport of requests with bounds for an answer: its size, unpacked, and the time that it takes as a whole."""

from __future__ import annotations

from typing import Any

from . import deadline

try:
    from requests.adapters import HTTPAdapter
    from requests.exceptions import RequestException
except ImportError:  # the sentence comes when a site of this platform is opened, not when Ansible imports the file
    HTTPAdapter, RequestException = object, Exception

_PIECE = 1 << 14  # bytes, packed: zlib makes a thousand times as many of them
_PACKED = {"", "identity", "gzip", "deflate"}  # of these alone is known how much a piece becomes


class Unbounded(RequestException):  # type: ignore[misc]
    """An answer of more bytes or seconds than are allowed. Its text says which."""


class Bounded(HTTPAdapter):  # type: ignore[misc]
    """Answers have `limit` bytes at most and are whole after `seconds`, counted from when the question was sent; an
    answer is read before it is handed on. `fingerprint`: of the one certificate that is wanted."""

    def __init__(self, limit: int, seconds: float, fingerprint: str | None = None, **options: Any) -> None:
        self.limit, self.seconds, self.fingerprint = limit, seconds, fingerprint
        super().__init__(**options)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        if self.fingerprint:
            options["assert_fingerprint"] = self.fingerprint
        super().init_poolmanager(*arguments, **options)
        self._time(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **options)
        if new:
            self._time(manager)
        return manager

    def _time(self, manager: Any) -> None:
        """Let the connections of `manager` have answers with a deadline."""
        answer = deadline.answers(self.seconds)
        manager.pool_classes_by_scheme = {
            scheme: _with(pool, ConnectionCls=_with(pool.ConnectionCls, response_class=answer))
            for scheme, pool in manager.pool_classes_by_scheme.items()
        }

    def add_headers(self, request: Any, **_options: Any) -> None:
        """Ask for what `_read` takes; requests asks for all that is installed."""
        request.headers["Accept-Encoding"] = "gzip, deflate"

    def send(self, request: Any, stream: bool = False, *arguments: Any, **options: Any) -> Any:
        """The answer, which is read. Raises the errors of requests, Unbounded among them."""
        try:
            answer = super().send(request, True, *arguments, **options)
            answer._content = self._read(answer)  # where requests keeps what it has read
        except RequestException as error:
            late = _late(error)
            if late is None:
                raise
            raise Unbounded(str(late), request=request) from None
        return answer

    def _read(self, answer: Any) -> bytes:
        if answer.headers.get("Content-Encoding", "").strip().lower() not in _PACKED:
            answer.close()
            raise Unbounded("the answer is packed in a way that is not read", request=answer.request)
        pieces, size = [], 0
        for piece in answer.iter_content(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > self.limit:
                answer.close()
                raise Unbounded(f"the answer has more than {self.limit >> 20} MiB", request=answer.request)
        return b"".join(pieces)


def _with(kind: Any, **more: Any) -> type:
    """A class that has more than `kind`, under its name: urllib3 writes that into its errors."""
    return type(kind.__name__, (kind,), more)


def _late(error: BaseException | None) -> deadline.Late | None:
    """The deadline that is behind an error, which requests and urllib3 wrap in their own."""
    while error is not None and not isinstance(error, deadline.Late):
        error = error.__cause__ or error.__context__
    return error
