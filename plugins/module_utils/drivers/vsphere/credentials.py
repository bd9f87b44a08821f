"""The account of a site, from the environment or from a file; never from the fleet file, never in an error."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...model.fleet import Site
from .. import credentials
from ..driver import Denied

_FORM = "user:password in one line, such as muster@vsphere.local:SECRET"


@dataclass(frozen=True)
class Account:
    """A user of vCenter, ``name@domain`` or ``DOMAIN\\name``, and the password, which no representation shows."""

    user: str
    password: str = field(repr=False)


def account(access: Site) -> Account:
    """The site's account. Raises Denied, with what to write where."""
    text, source = credentials.read(access, "account", _FORM)
    user, colon, password = text.partition(":")
    if not (user and colon and password) or "\n" in text:
        raise Denied(f"{source} holds no account", site=access.name, todo=f"Write {_FORM}")
    return Account(user, password)
