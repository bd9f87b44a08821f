"""The key with which a site's guests are reached, for drivers whose cloud-init puts it into new ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .driver import Conflict


def public_key(ssh: Mapping[str, Any], site: str, vm: str) -> str:
    """The public half of the site's SSH key (``<key>.pub``). Raises Conflict where it cannot be read."""
    path = Path(f"{ssh['key']}.pub").expanduser()
    try:
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        raise Conflict(
            f"the SSH public key {path} cannot be read: {error.strerror if isinstance(error, OSError) else error}",
            site=site,
            vm=vm,
            todo="Make it with ssh-keygen, or name another in the site's ssh.key",
        ) from error
    if "\n" in key or not key.startswith(("ssh-", "ecdsa-", "sk-")):
        raise Conflict(f"{path} does not hold one SSH public key", site=site, vm=vm, todo="Name the right ssh.key")
    return key
