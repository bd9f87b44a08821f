"""The certificate of the provider's socket, which Terraform asks for and trusts for this one process.

Making one needs a library that takes long to import, so a certificate is kept for a day in the user's cache, readable
by nobody else. It guards nothing but a socket in a folder of the user's own.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import stat
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

_DAY = 86400


@dataclass(frozen=True)
class Certificate:
    """Key and certificate as PEM, and the certificate as the handshake has it: DER in base64 without padding."""

    key: bytes
    chain: bytes
    handshake: str


def certificate() -> Certificate:
    """The certificate of today: the one in the cache where it is the user's own and still good, else a new one."""
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "muster"
    except RuntimeError:  # a user without a home, as in a container
        return _made()
    path = folder / "provider-certificate.json"
    found = _kept(path)
    if found is None:
        found = _made()
        with contextlib.suppress(OSError):
            _keep(path, found)
    return found


def _kept(path: Path) -> Certificate | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as stream:
        about = os.fstat(stream.fileno())
        if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o077:
            return None
        try:
            data = json.loads(stream.read(1 << 16))
            if not time.time() < float(data["until"]) <= time.time() + _DAY:
                return None
            return Certificate(data["key"].encode(), data["chain"].encode(), data["handshake"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


def _keep(path: Path, made: Certificate) -> None:
    """Write it whole or not at all; mkstemp's files are the user's alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            json.dump({"key": made.key.decode(), "chain": made.chain.decode(), "handshake": made.handshake,
                       "until": time.time() + _DAY}, stream)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _made() -> Certificate:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return Certificate(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        made.public_bytes(pem),
        base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode().rstrip("="),
    )
