"""The session with vCenter: one for a site, its certificate verified, renewed when vCenter ended it, its answers looked
at."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import re
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import unquote

from ...model.fleet import Site
from .. import address
from ..deadline import Late
from ..driver import Denied, DriverError, Unknown, Unreachable, Unsupported
from .bulk import Light, transport
from .credentials import account
from .errors import clean, error_of
from .reading import TRIES, Reading
from .sdk import MODERN, MODERN_FROM, VERSION, vim, vmodl

Result = TypeVar("Result")
CONNECT = 10  # seconds to connect, TLS and all
TIMEOUT = 120  # seconds of silence before an answer
_WHOLE = 600  # seconds of one answer as a whole
WIDTH = 8  # connections that are kept
_IDLE = 20  # seconds after which a connection is not trusted to be still open
_PAUSE = 0.2  # seconds before a question is asked again


class _Pinned(ssl.SSLContext):
    """TLS with one certificate and no other, whoever signed it."""

    fingerprint = ""

    def wrap_socket(self, *arguments: Any, **options: Any) -> Any:
        wrapped = super().wrap_socket(*arguments, **options)
        found = hashlib.sha256(wrapped.getpeercert(True) or b"").hexdigest()
        if found != self.fingerprint:
            wrapped.close()
            raise ssl.SSLError(1, "its certificate is not the one of tls.fingerprint")
        return wrapped


def context_of(access: Site) -> ssl.SSLContext:
    """TLS as the site wants it. Raises Unreachable for a file of authorities that cannot be read."""
    tls = access["tls"] or {}
    fingerprint, ca = tls.get("fingerprint"), tls.get("ca")
    if fingerprint or tls.get("verify") is False:
        pinned = _Pinned(ssl.PROTOCOL_TLS_CLIENT) if fingerprint else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        pinned.check_hostname = False
        pinned.verify_mode = ssl.CERT_NONE
        if isinstance(pinned, _Pinned):
            pinned.fingerprint = str(fingerprint).replace(":", "").lower()
        return pinned
    return address.trusting(access, ca)


class Session(Reading):
    """vCenter's API at one site. Raises the contract's errors.

    `place` is what the site's uri names below the address: datacenter, cluster, and pools in it; `folder` the folders
    below the datacenter's own in which VMs are made.
    """

    def __init__(self, access: Site) -> None:
        self.site = access.name
        if vim is None:
            raise Unsupported(
                "the Python package pyvmomi is not installed",
                site=access.name,
                todo="Install muster-fleet[vsphere] in the Python that runs this module",
            )
        uri, host, port = address.https(access, "vCenter", "https://vcenter.example.org/datacenter/cluster")
        self.uri = f"https://{uri.netloc}"
        self.place = tuple(unquote(part) for part in uri.path.split("/") if part)
        self.folder = tuple(part for part in str(access["folder"] or "").split("/") if part)
        self.account = account(access)
        self.host, self.port, self.tls = host, port or 443, context_of(access)
        self._stub = transport(
            TIMEOUT,
            _WHOLE,
            host=host,
            port=self.port,
            path="/sdk",
            version=VERSION,
            poolSize=WIDTH,
            connectionPoolTimeout=_IDLE,
            httpConnectionTimeout=CONNECT,
            sslContext=self.tls,
        )
        self._lightly = Light(self._stub)
        self._lock = threading.Lock()
        self.key = ""  # of the session, as vCenter knows it
        self.memory: dict[str, Any] = {}  # what was read once, by those who read it
        self.renewals = 0
        self.closed = False
        root = vim.ServiceInstance("ServiceInstance", self._stub)
        self.content: Any = self._ask("open the site", root.RetrieveContent)
        if getattr(self.content.about, "apiType", "") != "VirtualCenter":
            raise Unsupported(
                f"{self.uri} is {clean(getattr(self.content.about, 'fullName', 'something else'))}, and no vCenter",
                site=access.name,
                todo="Name the vCenter that manages this host",
            )
        told = re.findall(r"[0-9]{1,6}", str(self.content.about.apiVersion)[:64])
        self.modern = tuple(map(int, told)) >= MODERN_FROM
        if self.modern:
            self._stub.ComputeVersionInfo(MODERN)
            self._lightly.version = MODERN
        self._login()

    def close(self) -> None:
        """End the session at vCenter, which keeps only so many, and here."""
        if not self.closed:
            self.closed = True
            with contextlib.suppress(Exception):
                self.content.sessionManager.Logout()
        self._stub.DropConnections()

    def _login(self) -> None:
        user, password = self.account.user, self.account.password
        self._stub.SetSessionId(None)
        # A login that got no answer may be repeated: a session that nobody uses ends by itself.
        session = self._ask("log in", lambda: self.content.sessionManager.Login(user, password, None))
        self.key = str(getattr(session, "key", ""))

    def _renew(self, seen: int) -> None:
        """Log in again, unless somebody did so since `seen`."""
        with self._lock:
            if self.renewals == seen:
                self._login()
                self.renewals += 1

    def ask(self, doing: str, act: Callable[[], Result], vm: str | None = None) -> Result:
        """A question. One that got no answer is asked again."""
        return self._renewing(doing, act, vm, TRIES)

    def do(self, doing: str, act: Callable[[], Result], vm: str | None = None) -> Result:
        """Something that changes the world: said once, for it may have been heard though no answer came."""
        return self._renewing(doing, act, vm, 1)

    def _renewing(self, doing: str, act: Callable[[], Result], vm: str | None, tries: int) -> Result:
        for left in reversed(range(TRIES)):
            if self.closed:
                raise Unreachable(
                    f"unable to {doing}: the session has ended", site=self.site, vm=vm, todo="Open it again"
                )
            seen = self.renewals
            try:
                return self._ask(doing, act, vm, tries)
            except Denied as error:
                # What vCenter refused for the session's sake it has not begun, so it may be said again.
                if not left or not isinstance(error.__cause__, vim.fault.NotAuthenticated):
                    raise
            self._renew(seen)
        return self._ask(doing, act, vm, tries)

    def _ask(self, doing: str, act: Callable[[], Result], vm: str | None = None, tries: int = TRIES) -> Result:
        for left in reversed(range(tries)):
            try:
                return act()
            except (vmodl.MethodFault, vmodl.RuntimeFault) as fault:
                raise error_of(doing, fault, site=self.site, vm=vm) from fault
            except (OSError, http.client.HTTPException) as error:
                if not left or isinstance(error, ssl.SSLError | Late):
                    raise self._unreachable(doing, error, vm, asked=tries > 1) from None
                time.sleep(_PAUSE)
            except DriverError:
                raise
            except Exception as error:  # what pyvmomi's parser makes of a login page, or of half an answer
                if not left:
                    raise self._nonsense(doing, error, vm, asked=tries > 1) from None
        raise AssertionError("neither answered nor refused")

    def _unreachable(self, doing: str, error: Exception, vm: str | None, asked: bool) -> Unreachable:
        words = clean(error) or type(error).__name__
        todo = "Check that vCenter runs there and that the uri is right, then run again"
        if isinstance(error, ssl.SSLError):
            todo = address.distrusted(self.site, words)
        elif not asked:
            words += "; whether it was done is not known"
            todo += ": the run looks at what is there before it does anything"
        kind = Unreachable if asked else Unknown
        return kind(f"unable to {doing} at {self.uri}: {words}", site=self.site, vm=vm, todo=todo)

    def _nonsense(self, doing: str, error: Exception, vm: str | None, asked: bool) -> Unreachable:
        unknown = "" if asked else "; whether it was done is not known"
        return (Unreachable if asked else Unknown)(
            f"unable to {doing}: {self.uri} answers, and not as vCenter does ({clean(error)[:80]}){unknown}",
            site=self.site,
            vm=vm,
            todo="Look for a proxy or a login page between here and there; the site's uri must lead to vCenter",
        )
