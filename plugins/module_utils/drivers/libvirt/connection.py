"""The connection to libvirt: opening it, and turning its errors into the contract's."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ...model.fleet import Site
from ..driver import Conflict, Denied, DriverError, Failed, Locked, NotFound, Unreachable, Unsupported

try:
    import libvirt
except ImportError:  # the sentence comes when a site of this platform is opened, not when Ansible imports the file
    libvirt = None

# What a uri may ask of libvirt's client. Others run programs or trust whoever answers.
_OPTIONS = frozenset({"keyfile", "known_hosts", "mode", "no_tty", "pkipath", "socket", "sshauth", "tls_priority"})
_KINDS: dict[str, type[DriverError]] = {
    "VIR_ERR_NO_DOMAIN": NotFound,
    "VIR_ERR_NO_DOMAIN_SNAPSHOT": NotFound,
    "VIR_ERR_NO_STORAGE_POOL": NotFound,
    "VIR_ERR_NO_STORAGE_VOL": NotFound,
    "VIR_ERR_NO_NETWORK": NotFound,
    "VIR_ERR_AUTH_FAILED": Denied,
    "VIR_ERR_AUTH_CANCELLED": Denied,
    "VIR_ERR_ACCESS_DENIED": Denied,
    "VIR_ERR_OPERATION_DENIED": Denied,
    "VIR_ERR_NO_CONNECT": Unreachable,
    "VIR_ERR_INVALID_CONN": Unreachable,
    "VIR_ERR_SYSTEM_ERROR": Unreachable,
    "VIR_ERR_RPC": Unreachable,
    "VIR_ERR_OPERATION_TIMEOUT": Locked,
    "VIR_ERR_RESOURCE_BUSY": Locked,
    "VIR_ERR_DOM_EXIST": Conflict,
    "VIR_ERR_STORAGE_VOL_EXIST": Conflict,
    "VIR_ERR_NO_SUPPORT": Unsupported,
    "VIR_ERR_CONFIG_UNSUPPORTED": Unsupported,
    "VIR_ERR_OPERATION_UNSUPPORTED": Unsupported,
}

_TODO: dict[type[DriverError], str] = {
    NotFound: "List the VMs of the site with muster.fleet.vm_info",
    Denied: "Check the user, and the site's uri, in the fleet file",
    Unreachable: "Check that libvirtd runs there and that the uri is right, then run again",
    Locked: "Wait for the job that holds it (virsh domjobinfo), then run again",
    Failed: "Mend that at the site (its libvirt log has more), then run again: the run carries on where it stopped",
    Conflict: "Rename or remove what stands in the way, then run again",
}


def kind_of(error: Exception) -> type[DriverError]:
    """The contract's error for a libvirt error; a failed system call on anything but the connection is Failed."""
    code = error.get_error_code()  # type: ignore[attr-defined]
    for name, kind in _KINDS.items():
        if code == getattr(libvirt, name, None):
            if kind is Unreachable and error.get_error_domain() not in _connection_domains():  # type: ignore[attr-defined]
                return Failed
            return kind
    return Failed


def _connection_domains() -> set[int]:
    return {getattr(libvirt, name) for name in ("VIR_FROM_RPC", "VIR_FROM_REMOTE", "VIR_FROM_SSH", "VIR_FROM_NONE")}


@contextlib.contextmanager
def told(site: str, vm: str | None, doing: str) -> Iterator[None]:
    """Turn libvirt's errors inside the block into the contract's: ``unable to <doing>: <libvirt's words>``."""
    try:
        yield
    except ValueError as error:
        raise Failed(
            f"unable to {doing}: {error}", site=site, vm=vm, todo="Look at what that host really is"
        ) from error
    except libvirt.libvirtError as error:
        kind = kind_of(error)
        words = " ".join(str(error).split())[:400]
        todo = _TODO.get(kind, "")
        if "No space left" in words:
            todo = "Free space in the storage pool, then run again: the run carries on where it stopped"
        raise kind(f"unable to {doing}: {words}", site=site, vm=vm, todo=todo) from error


def code_is(error: Exception, name: str) -> bool:
    """Whether a libvirt error has the code `name` (as ``VIR_ERR_NO_DOMAIN``)."""
    return bool(error.get_error_code() == getattr(libvirt, name, None))  # type: ignore[attr-defined]


def connect(access: Site) -> Any:
    """Open the site's ``uri``. Raises Unreachable, Denied, and Unsupported where the Python bindings are missing."""
    if libvirt is None:
        raise Unsupported(
            "the Python bindings of libvirt are not installed",
            site=access.name,
            todo="Install libvirt-python in the Python that runs this module (make install does)",
        )
    libvirt.registerErrorHandler(lambda _context, _error: None, None)  # it would print to stderr beside our sentence
    uri = str(access["uri"] or ("qemu:///system" if os.geteuid() == 0 else "qemu:///session"))
    _refuse(uri, access.name)
    try:
        connection = libvirt.open(uri)
    except libvirt.libvirtError as error:
        parts = urlsplit(uri)
        if parts.scheme.partition("+")[0] == "test" and not parts.hostname:
            # libvirt's own words quote the beginning of the file, which may be a secret of the controller's.
            raise Unreachable(
                f"its uri names the file {parts.path:.300}, which libvirt does not take as the description of a "
                "test host",
                site=access.name,
                todo="Name an XML file of libvirt's test driver, as in test:///folder/node.xml, or a host of virtual "
                "machines, as in qemu:///system",
            ) from None
        words = " ".join(str(error).split())[:400]
        kind = kind_of(error)
        kind = kind if kind in (Denied, Unsupported) else Unreachable
        raise kind(
            f"unable to connect to {uri}: {words}", site=access.name, todo=_TODO.get(kind, _TODO[Unreachable])
        ) from error
    with contextlib.suppress(libvirt.libvirtError):  # the test driver has no transport to keep alive
        if "+" in uri or is_remote(uri):
            connection.setKeepAlive(5, 6)
    return connection


def is_remote(uri: str) -> bool:
    """Whether a uri leads to another host: ``qemu://host/system`` does, over TLS, ``qemu+unix:///system`` does not."""
    return bool(urlsplit(uri).hostname)


def _refuse(uri: str, site: str) -> None:
    """Raise Unsupported for what a uri may ask of libvirt's client beyond a connection: a program of the controller's
    to run (``qemu+ext``, ``command=``, ``netcat=``), or no look at who answers (``no_verify=``). It comes from the
    fleet file, whose author is not who runs it."""

    def refused(what: str, todo: str) -> Unsupported:
        return Unsupported(f"its uri {what}; no connection was made", site=site, todo=todo)

    try:
        parts = urlsplit(uri)
        options = [name for name, _value in parse_qsl(parts.query, keep_blank_values=True, separator="&")]
        options += [name for name, _value in parse_qsl(parts.query, keep_blank_values=True, separator=";")]
        host, user, password = parts.hostname or "", parts.username or "", parts.password
    except ValueError:
        raise refused("is not one", "Write one such as qemu:///system or qemu+ssh://user@host/system") from None
    if password is not None:
        raise refused("holds a password, which every reader of the file sees", "Use a key or a certificate instead")
    if host.startswith("-") or user.startswith("-"):
        raise refused("names a host or a user that begins with '-'", "Write the name of the host")
    if parts.scheme.endswith("+ext"):
        raise refused("asks for a program of the controller's", "Use the transport ssh or tls")
    strange = sorted({name for name in options if name.lower() not in _OPTIONS})
    if strange:
        raise refused(
            f"has the option {strange[0]!a:.40}, which is not allowed",
            f"Allowed are {', '.join(sorted(_OPTIONS))}; what else the client needs belongs into the controller's own "
            "configuration of ssh or libvirt",
        )
