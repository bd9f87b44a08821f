"""The API token of a site, from the environment or from a file; never from the fleet file, never in an error."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from ...model.fleet import Site
from ..driver import Denied

_TOKEN = re.compile(r"([^\s!=@]+@[^\s!=@]+)!([^\s!=]+)=([^\s=]+)")
_LIMIT = 4096


@dataclass(frozen=True)
class Token:
    """An API token: ``user@realm``, its name and its secret, which no representation shows."""

    user: str
    name: str
    secret: str = field(repr=False)


def variable(site: str) -> str:
    """The environment variable that holds the token of `site`."""
    return "MUSTER_CREDENTIALS_" + site.upper().replace("-", "_")


def token(access: Site) -> Token:
    """The site's token. Raises Denied, with what to write where."""
    name, path = variable(access.name), access["credentials"]
    text = os.environ.get(name, "")
    source = f"the environment variable {name}"
    if not text and path:
        source = f"the file {path}"
        try:
            with Path(path).open(encoding="utf-8") as file:
                text = file.read(_LIMIT)
        except (OSError, UnicodeError) as error:
            words = error.strerror if isinstance(error, OSError) else "it is no text"
            raise Denied(
                f"{source} with its credentials cannot be read: {words}",
                site=access.name,
                todo="Give it the token, in one line, and let the user of this run read it",
            ) from error
    if not text:
        raise Denied(
            "there is no API token for it",
            site=access.name,
            todo=f"Set {name}, or name a file in sites.{access.name}.credentials; it holds user@realm!name=secret, as "
            "'pveum user token add' prints it",
        )
    found = _TOKEN.fullmatch(text.strip())
    if found is None:
        raise Denied(
            f"{source} holds no API token",
            site=access.name,
            todo="Write user@realm!name=secret in one line, as 'pveum user token add' prints it",
        )
    return Token(*found.groups())
