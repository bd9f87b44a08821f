"""The API token of a site, from the environment or from a file; never from the fleet file, never in an error."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ...model.fleet import Site
from .. import credentials
from ..driver import Denied

_TOKEN = re.compile(r"([^\s!=@]+@[^\s!=@]+)!([^\s!=]+)=([^\s=]+)")


@dataclass(frozen=True)
class Token:
    """An API token: ``user@realm``, its name and its secret, which no representation shows."""

    user: str
    name: str
    secret: str = field(repr=False)


def token(access: Site) -> Token:
    """The site's token. Raises Denied, with what to write where."""
    form = "user@realm!name=secret, as 'pveum user token add' prints it"
    text, source = credentials.read(access, "API token", form)
    found = _TOKEN.fullmatch(text)
    if found is None:
        raise Denied(
            f"{source} holds no API token",
            site=access.name,
            todo="Write user@realm!name=secret in one line, as 'pveum user token add' prints it",
        )
    return Token(*found.groups())
