"""The address of a site that is asked over HTTPS."""

from __future__ import annotations

import ssl
from urllib.parse import SplitResult, urlsplit

from ..model.fleet import Site
from .driver import Unreachable


def https(access: Site, whose: str, example: str) -> tuple[SplitResult, str, int | None]:
    """The site's uri in its parts, with host and port. Raises Unreachable, without what may be a secret in it: a
    user, a password, parameters."""
    address = urlsplit(str(access["uri"] or ""))
    try:
        host, port = address.hostname, address.port
    except ValueError:
        host = port = None
    if address.scheme != "https" or not host or address.username or address.query or address.fragment:
        shown = f"{address.scheme}://{host or ''}{f':{port}' if port else ''}"
        why = ": it must begin with https" if host and address.scheme != "https" else ""
        raise Unreachable(
            f"its uri {shown[:300]} is no address of {whose}{why}",
            site=access.name,
            todo=f"Write sites.{access.name}.uri, such as {example}",
        )
    return address, host, port


def trusting(access: Site, ca: str | None) -> ssl.SSLContext:
    """TLS that trusts the authorities in the file `ca`, else those of this machine. Raises Unreachable for a file that
    cannot be read."""
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or str(error)
        raise Unreachable(
            f"the authorities in {ca} cannot be read: {words}",
            site=access.name,
            todo=f"Mend sites.{access.name}.tls.ca; it names a file of certificates as PEM",
        ) from error


def distrusted(site: str, words: str) -> str:
    """What to do about a certificate that is not trusted, for these reasons of OpenSSL's."""
    if "mismatch" in words:  # the host name or the address
        return (
            f"Write a name or an address that the certificate holds into sites.{site}.uri, for it is not one for the "
            "host that is named there, or its fingerprint into tls.fingerprint"
        )
    return f"Name its authority in sites.{site}.tls.ca, or its certificate in tls.fingerprint"
