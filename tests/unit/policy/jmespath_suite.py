"""JMESPath's public compliance suite, as Debian's archive has it in the source of go-jmespath.

The suite is fetched once from the machine's own Debian mirror, held against its SHA-256 and kept in the build folder;
it is not a part of this repository.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PATH = "pool/main/g/golang-github-jmespath-go-jmespath/golang-github-jmespath-go-jmespath_0.4.0.orig.tar.gz"
_SHA256 = "aa86d00b6836345eee196c13df2df084a18e0b1159935de9289f2ef6a7fe375d"
_KEPT = Path(__file__).parents[3] / "build" / "jmespath-suite.tar.gz"


@dataclass(frozen=True)
class Case:
    """An expression on a document: what it gives, or that it is an error (`error` names its kind)."""

    name: str
    document: Any
    text: str
    result: Any = None
    error: str = ""


def cases() -> Iterator[Case]:
    """Every case of the suite, its benchmarks aside."""
    with tarfile.open(fileobj=io.BytesIO(_archive())) as archive:
        for member in sorted(archive.getmembers(), key=lambda one: one.name):
            path = Path(member.name)
            file = archive.extractfile(member) if path.parent.name == "compliance" and path.suffix == ".json" else None
            if file is None:
                continue
            for number, group in enumerate(json.load(file)):
                for index, case in enumerate(group["cases"]):
                    if "bench" not in case:
                        yield Case(f"{path.stem}-{number}-{index}", group["given"], case["expression"],
                                   case.get("result"), case.get("error", ""))


def _archive() -> bytes:
    if not _KEPT.is_file() or hashlib.sha256(_KEPT.read_bytes()).hexdigest() != _SHA256:
        mirrors = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"],
                                 capture_output=True, text=True, check=True).stdout.split()
        content = _fetch(dict.fromkeys(mirrors))
        _KEPT.parent.mkdir(parents=True, exist_ok=True)
        partial = _KEPT.with_suffix(f".{os.getpid()}")
        partial.write_bytes(content)
        partial.replace(_KEPT)
    return _KEPT.read_bytes()


def _fetch(mirrors: Any) -> bytes:
    for mirror in mirrors:
        try:
            with urllib.request.urlopen(mirror.rstrip("/") + "/" + _PATH, timeout=60) as answer:
                content: bytes = answer.read(1 << 20)
        except OSError:
            continue
        if hashlib.sha256(content).hexdigest() == _SHA256:
            return content
    raise AssertionError("no Debian mirror of this machine has JMESPath's compliance suite")
