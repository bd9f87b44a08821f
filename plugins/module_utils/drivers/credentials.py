"""The credentials of a site: one text, handed over by whoever runs Muster, from the environment, from a file or from
Vault; never in an error."""

from __future__ import annotations

import os
from pathlib import Path

from ..model.catalogue import VAULT
from ..model.fleet import Site
from . import vault
from .driver import Denied

_LIMIT = 4096
_ENCRYPTED = "$ANSIBLE_VAULT;"  # how a file begins that ansible-vault has encrypted


def variable(site: str) -> str:
    """The environment variable that holds the credentials of `site`."""
    return "MUSTER_CREDENTIALS_" + site.upper().replace("-", "_")


def read(access: Site, what: str, form: str) -> tuple[str, str]:
    """The text without spaces around it, and where it was found, in words. `what` it is (``API token``) and its `form`
    are for the error. Raises Denied, with what to write where, and Unreachable where Vault does not answer."""
    name, where = variable(access.name), access["credentials"]
    if access.secret:
        return access.secret.strip(), "the option 'credentials'"
    text = os.environ.get(name, "")
    source = f"the environment variable {name}"
    if not text and where and where.startswith(VAULT):
        text, source = vault.read(access, where, what), f"the secret {where}"
    elif not text and where:
        text, source = _file(access, where, what), f"the file {where}"
    if not text:
        raise Denied(
            f"there is no {what} for it",
            site=access.name,
            todo=f"Set {name}, or name a file or a secret of Vault in sites.{access.name}.credentials; it holds {form}",
        )
    return text.strip(), source


def _file(access: Site, path: str, what: str) -> str:
    try:
        with Path(path).open(encoding="utf-8") as file:
            text = file.read(_LIMIT)
    except (OSError, UnicodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "it is no text"
        raise Denied(
            f"the file {path} with its credentials cannot be read: {words}",
            site=access.name,
            todo=f"Give it the {what}, in one line, and let the user of this run read it",
        ) from error
    if text.startswith(_ENCRYPTED):
        raise Denied(
            f"the file {path} with its credentials is encrypted by ansible-vault, which only Ansible can open",
            site=access.name,
            todo=f"For playbooks set muster_credentials: {{{access.name}: \"{{{{ lookup('file', '{path}') }}}}\"}}; "
            f'elsewhere export {variable(access.name)}="$(ansible-vault view {path})"',
        )
    return text
