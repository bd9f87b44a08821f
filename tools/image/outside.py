"""An image from outside: a path or a URL with its SHA-256. Verified before anything opens it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from tools.errors import ToolError
from tools.image import cache
from tools.progress import Progress

TIMEOUT = 60  # seconds without a byte
SPARE = 1 << 30  # bytes that a download leaves free on the disk of the cache


def take(where: str, expected: str, images: Path, progress: Progress) -> Path:
    """Verify the image at ``where`` (path or http(s) URL) and put it into the cache; return its place there."""
    if not re.fullmatch(r"[0-9a-fA-F]{64}", expected):
        raise ToolError("MUSTER_IMAGE needs MUSTER_IMAGE_SHA256, the 64 hexadecimal digits of its SHA-256.")
    expected = expected.lower()
    shown = re.sub(r"//\S*@", "//...@", where)  # an address may hold a password, and what is printed is kept somewhere
    image = images / f"outside-{expected[:16]}.qcow2"
    if cache.state(image) == "whole" and cache.sha256(image) == expected:
        return image
    coming = images / f".coming-{os.getpid()}"
    try:
        with progress.during(f"fetching {shown}"):
            _fetch(where, coming, shown)
        actual = cache.sha256(coming)
        if actual != expected:
            raise ToolError(
                f"The image {shown} has the SHA-256 {actual}, not {expected}: it is not used. "
                "Correct MUSTER_IMAGE_SHA256 or fetch the image again."
            )
        refuse_references(coming, shown)
        cache.keep(coming, image)
    finally:
        coming.unlink(missing_ok=True)
    return image


def _fetch(where: str, target: Path, shown: str) -> None:
    try:
        if urlsplit(where).scheme in ("http", "https"):
            room = shutil.disk_usage(target.parent).free - SPARE
            buffer = memoryview(bytearray(cache.CHUNK))  # of a fixed size, whatever size the server gives to its chunks
            with urllib.request.urlopen(where, timeout=TIMEOUT) as source, target.open("wb") as out:  # noqa: S310
                while count := source.readinto(buffer):
                    room -= count
                    if room < 0:
                        raise OSError(f"it is larger than {target.parent} has room for")
                    out.write(buffer[:count])
        else:
            shutil.copyfile(where, target)
    except (OSError, urllib.error.URLError, ValueError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or error
        raise ToolError(f"The image {shown} cannot be read ({reason}); check MUSTER_IMAGE.") from None


def refuse_references(image: Path, name: str) -> None:
    """A qcow2 that names a backing or data file makes QEMU read any file of this machine: refused, both fields."""
    argv = ["qemu-img", "info", "--output=json", "-f", "qcow2", str(image)]
    try:
        answer = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except FileNotFoundError:
        raise ToolError("qemu-img is not installed; run 'make install', which installs it.") from None
    if answer.returncode != 0:
        raise ToolError(f"The image {name} is not a qcow2 image; convert it with 'qemu-img convert -O qcow2'.")
    facts = json.loads(answer.stdout)
    specific = (facts.get("format-specific") or {}).get("data") or {}
    named = {
        "backing file": facts.get("backing-filename") or facts.get("full-backing-filename"),
        "data file": specific.get("data-file") or specific.get("data-file-raw"),
    }
    for kind, value in named.items():
        if value:
            raise ToolError(
                f"The image {name} has a {kind}, which could be any file of this machine: it is not used. "
                "Flatten it where it was made with 'qemu-img convert -O qcow2'."
            )
