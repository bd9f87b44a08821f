"""What a VM is given at its first boot, judged without showing it: its length and the kinds of secrets in it."""

from __future__ import annotations

import base64
import binascii
import re

from .draft import Part

_LOOKED_AT = 64 << 10  # characters; the clouds take 16 to 64 KiB
_HASH = re.compile(r"[0-9a-f]{40}")
_SECRETS = (
    ("aws_access_key", re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    ("private_key", re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----")),
    # A value that begins with "$" is a variable or a hash, not a password.
    ("password", re.compile(
        r"(?i)(?:password|passwd|secret|token|api_?key)[\"']?[ \t]{0,8}[:=][ \t]{0,8}[\"']?(?!true|false|null|none)"
        r"[^\s\"'$<{]{6}")),
)


def put_user_data(part: Part, text: str | None, attribute: str, encoded: bool = False) -> None:
    """Put ``user_data`` as ``{length, secrets}``; unknown where the text is, or where only its hash is given."""
    if text is not None and _HASH.fullmatch(text):
        part.later("user_data")
        return
    plain = _plain(text) if encoded and text else text
    if text and plain is None:
        part.later("user_data")
        return
    found = None
    if plain:
        found = {"length": len(plain), "secrets": [kind for kind, sign in _SECRETS if sign.search(plain[:_LOOKED_AT])]}
    part.put("user_data", found, attribute)


def _plain(text: str) -> str | None:
    """`text` decoded from base64; None where it is none, such as compressed data."""
    try:
        return base64.b64decode(text, validate=False).decode()
    except (binascii.Error, ValueError):
        return None
