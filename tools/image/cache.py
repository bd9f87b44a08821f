"""The image cache: a finished image has its hash beside it; whatever has not is not an image."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.errors import ToolError

CHUNK = 1 << 20


def folder() -> Path:
    """Where images are kept: ``$MUSTER_CACHE``, else the system's cache for root, the user's for others."""
    chosen = os.environ.get("MUSTER_CACHE")
    if chosen:
        return Path(chosen).absolute()
    if os.geteuid() == 0:
        return Path("/var/cache/muster/images")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "muster" / "images"


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as data:
        while chunk := data.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def hash_file(image: Path) -> Path:
    return image.with_name(image.name + ".sha256")


def state(image: Path) -> str:
    """``missing``, ``whole``, or what is wrong with it in words."""
    if not image.exists():
        return "missing"
    try:
        expected = hash_file(image).read_text(encoding="ascii").split()[0]
    except (OSError, IndexError, UnicodeDecodeError):
        return "half-built: its SHA-256 is not beside it"
    return "whole" if sha256(image) == expected else "damaged: its SHA-256 is not the one beside it"


def keep(built: Path, image: Path) -> None:
    """Move a finished file to its place: first its hash, then itself, so that a kill between them leaves no image."""
    hash_file(image).write_text(f"{sha256(built)}  {image.name}\n", encoding="ascii")
    built.chmod(0o644)
    with built.open("rb") as data:
        os.fsync(data.fileno())
    built.replace(image)


@contextmanager
def locked(cache: Path) -> Iterator[None]:
    """One builder at a time per cache; the kernel drops the lock of one that was killed."""
    try:
        cache.mkdir(parents=True, exist_ok=True, mode=0o755)
        lock = (cache / ".lock").open("w")
    except OSError as error:
        raise ToolError(f"The image cache {cache} cannot be written ({error.strerror}); set MUSTER_CACHE.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ToolError(f"Another build works in {cache}; wait until it is done, then run this again.") from None
        yield
