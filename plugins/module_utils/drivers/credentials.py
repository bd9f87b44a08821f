"""The credentials of a site: one text, from the environment or from a file, never in an error."""

from __future__ import annotations

import os
from pathlib import Path

from ..model.fleet import Site
from .driver import Denied

_LIMIT = 4096


def variable(site: str) -> str:
    """The environment variable that holds the credentials of `site`."""
    return "MUSTER_CREDENTIALS_" + site.upper().replace("-", "_")


def read(access: Site, what: str, form: str) -> tuple[str, str]:
    """The text without spaces around it, and where it was found, in words. `what` it is (``API token``) and its `form`
    are for the error. Raises Denied, with what to write where."""
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
                todo=f"Give it the {what}, in one line, and let the user of this run read it",
            ) from error
    if not text:
        raise Denied(
            f"there is no {what} for it",
            site=access.name,
            todo=f"Set {name}, or name a file in sites.{access.name}.credentials; it holds {form}",
        )
    return text.strip(), source
