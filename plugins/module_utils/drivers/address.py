"""The address of a site that is asked over HTTPS."""

from __future__ import annotations

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
        shown = f"{address.scheme}://{host or ''}"
        raise Unreachable(
            f"its uri {shown[:300]} is no address of {whose}",
            site=access.name,
            todo=f"Write sites.{access.name}.uri, such as {example}",
        )
    return address, host, port
