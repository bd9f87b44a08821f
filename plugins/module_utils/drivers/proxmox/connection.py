"""The connection to Proxmox: one session for a site, its certificate verified, its answers looked at."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ...model.fleet import Site
from .. import address
from ..bounded import Bounded, Unbounded
from ..driver import DriverError, Unknown, Unreachable, Unsupported
from . import credentials
from .errors import clean, error_of, fields

try:
    import requests
    from proxmoxer import ProxmoxAPI, ResourceException
except ImportError:  # the sentence comes when a site of this platform is opened, not when Ansible imports the file
    requests = None

TIMEOUT = (10, 120)  # seconds to connect, and of silence before an answer: Proxmox waits for locks that long
WIDTH = 8  # questions at the same time for one list
_CONNECTIONS = 64  # that are kept: as many as VMs are worked on at once, for each new one costs a TLS handshake
_TRIES = 3  # of a question; what changes the world is said once
_PAUSE = 0.2  # seconds before the next one
_LIMIT = 256 << 20  # bytes of one answer: a list has some 500 for each VM
_SECONDS = 300  # of one answer as a whole, its upload not counted


class _Named(io.BufferedReader):
    """A file that is sent under another name than its own."""

    def __init__(self, raw: io.FileIO, name: str) -> None:
        super().__init__(raw)
        self.sent_as = name

    @property
    def name(self) -> str:  # type: ignore[override]
        """The name that proxmoxer sends."""
        return self.sent_as


class Api:
    """Proxmox's API at one site, asked by path. Raises the contract's errors."""

    def __init__(self, access: Site) -> None:
        self.site = access.name
        if requests is None:
            raise Unsupported(
                "the Python packages proxmoxer and requests are not installed",
                site=access.name,
                todo="Install muster-fleet[proxmox] in the Python that runs this module",
            )
        _address, host, port = address.https(access, "Proxmox", "https://pve.example.org:8006")
        self.uri = f"https://{host}:{port or 8006}"
        tls, token = access["tls"] or {}, credentials.token(access)
        fingerprint = tls.get("fingerprint")
        # A pinned certificate is trusted for what it is, whoever signed it.
        verify = False if fingerprint or tls.get("verify") is False else (tls.get("ca") or True)
        if isinstance(verify, str):
            address.trusting(access, verify)  # requests tells of a missing file as of a site that is silent
        self.root = ProxmoxAPI(
            host,
            port=port or 8006,
            user=token.user,
            token_name=token.name,
            token_value=token.secret,
            verify_ssl=verify,
            timeout=TIMEOUT,
        )
        self.session = self.root._store["session"]
        self.session.max_redirects = 0  # an API does not send its callers elsewhere
        self.session.mount("https://", Bounded(_LIMIT, _SECONDS, fingerprint, pool_maxsize=_CONNECTIONS))
        self.closed = False
        self.rights: Mapping[str, Mapping[str, int]] | None = None  # of the token by path, once they were asked

    def close(self) -> None:
        """End the session."""
        self.closed = True
        with contextlib.suppress(Exception):
            self.session.close()

    def get(self, path: str, doing: str, vm: str | None = None, **parameters: Any) -> Any:
        """Ask. A question that got no answer is asked again."""
        for left in reversed(range(_TRIES)):
            try:
                return self._call("get", path, doing, vm, parameters)
            except Unreachable as error:
                if not left or self.closed or isinstance(error.__cause__, Unbounded):
                    raise
                time.sleep(_PAUSE)
        return None

    def post(self, path: str, doing: str, vm: str | None = None, **parameters: Any) -> Any:
        """Do something, once."""
        return self._call("post", path, doing, vm, parameters)

    def put(self, path: str, doing: str, vm: str | None = None, **parameters: Any) -> Any:
        """Change something, once."""
        return self._call("put", path, doing, vm, parameters)

    def delete(self, path: str, doing: str, vm: str | None = None, **parameters: Any) -> Any:
        """Delete something, once."""
        return self._call("delete", path, doing, vm, parameters)

    def upload(self, path: str, doing: str, vm: str, file: Path, name: str, parameters: dict[str, Any]) -> Any:
        """Send a file under `name`; in pieces, as it may be larger than the memory."""
        with _Named(io.FileIO(file), name) as opened:
            return self._call("post", path, doing, vm, {**parameters, "filename": opened})

    def _call(self, method: str, path: str, doing: str, vm: str | None, parameters: dict[str, Any]) -> Any:
        if self.closed:
            raise Unreachable(f"unable to {doing}: the session has ended", site=self.site, vm=vm, todo="Open it again")
        try:
            answer = getattr(self.root(path), method)(**parameters)
        except ResourceException as error:
            words = " ".join(filter(None, (clean(error.content), fields(_parameters(error)))))
            raise error_of(doing, words, site=self.site, vm=vm, status=error.status_code) from None
        except Unbounded as error:
            raise self._strange(doing, vm, clean(error), asked=method == "get") from error
        except requests.exceptions.TooManyRedirects:
            raise self._strange(doing, vm, "it sends whoever asks elsewhere", asked=method == "get") from None
        except OSError as error:  # those of requests are
            raise self._unreachable(doing, error, vm, asked=method == "get") from None
        except (KeyError, TypeError, AttributeError, RecursionError):
            answer = {"errors": b"JSON of another kind"}
        if isinstance(answer, dict) and isinstance(answer.get("errors"), bytes):  # what proxmoxer makes of no JSON
            words = clean(answer["errors"][:80].decode("utf-8", "replace"))
            raise self._strange(doing, vm, f"'{words}'", asked=method == "get")
        return answer

    def _strange(self, doing: str, vm: str | None, words: str, asked: bool) -> DriverError:
        return (Unreachable if asked else Unknown)(
            f"unable to {doing}: {self.uri} answers, and not as Proxmox does: {words}",
            site=self.site,
            vm=vm,
            todo="Look for a proxy or a login page between here and there; the site's uri must lead to the API",
        )

    def _unreachable(self, doing: str, error: Exception, vm: str | None = None, asked: bool = True) -> DriverError:
        words = _reason(error)
        todo = "Check that Proxmox runs there and that the uri is right, then run again"
        if isinstance(error, requests.exceptions.SSLError):
            todo = f"{address.distrusted(self.site, words)} (Proxmox shows it below Certificates of the node)"
        if not asked:
            words += "; whether it was done is not known"
            todo += ": the run looks at what is there before it does anything"
        kind = Unreachable if asked else Unknown
        return kind(f"unable to {doing} at {self.uri}: {words}", site=self.site, vm=vm, todo=todo)


def _parameters(error: Any) -> dict[str, Any]:
    found = error.errors if isinstance(error.errors, dict) else {}
    return {name: text for name, text in found.items() if isinstance(text, str)}


def _reason(error: Exception) -> str:
    """The words of the innermost error: what is around it names the libraries that we use."""
    inner: Any = error
    while isinstance(getattr(inner, "reason", None), Exception) or (
        getattr(inner, "args", None) and isinstance(inner.args[0], Exception)
    ):
        inner = inner.reason if isinstance(getattr(inner, "reason", None), Exception) else inner.args[0]
    return clean(inner) or type(inner).__name__


def quoted(part: object) -> str:
    """One part of a path: a volume's name holds slashes and colons."""
    return quote(str(part), safe="")
