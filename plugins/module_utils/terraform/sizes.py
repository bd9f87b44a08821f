"""Sizes: units of providers in bytes, and what the names of the clouds' machine types say of CPUs and memory.

Only families whose sizes follow one rule are known; of others CPUs and memory stay unset.
"""

from __future__ import annotations

import functools
import re

MIB = 1 << 20
LARGEST = (1 << 63) - 1  # of a number in a document
GIB = 1 << 30

# Kernel and libvirt units, as libvirt's XML has them.
_UNITS = {
    "b": 1, "bytes": 1, "kb": 1000, "k": 1024, "kib": 1024, "mb": 1000**2, "m": MIB, "mib": MIB, "gb": 1000**3,
    "g": GIB, "gib": GIB, "tb": 1000**4, "t": 1 << 40, "tib": 1 << 40,
}
_PROXMOX = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*([KMGT]?)")

_AWS = re.compile(r"([cmr])[5-9][a-z0-9-]*\.(medium|large|(\d{0,3})xlarge)")
_AWS_MEMORY = {"c": 2, "m": 4, "r": 8}
_AWS_BURST = {
    "nano": (2, 0.5), "micro": (2, 1), "small": (2, 2), "medium": (2, 4), "large": (2, 8), "xlarge": (4, 16),
    "2xlarge": (8, 32),
}
_AWS_T2 = {"nano": (1, 0.5), "micro": (1, 1), "small": (1, 2)}
_AZURE = re.compile(r"Standard_([DEF])(\d{1,2})[a-z]*_v[2-9]")
_AZURE_MEMORY = {"D": 4, "E": 8, "F": 2}
_AZURE_BURST = {
    "B1ls": (1, 0.5), "B1s": (1, 1), "B1ms": (1, 2), "B2s": (2, 4), "B2ms": (2, 8), "B4ms": (4, 16), "B8ms": (8, 32),
}
_GOOGLE = re.compile(r"(n1|n2|n2d|e2|t2d)-(standard|highmem|highcpu)-(\d{1,3})")
_GOOGLE_MEMORY = {
    ("n1", "standard"): 3.75, ("n1", "highmem"): 6.5, ("n1", "highcpu"): 0.9, ("", "standard"): 4.0,
    ("", "highmem"): 8.0, ("", "highcpu"): 1.0,
}
_GOOGLE_CUSTOM = re.compile(r"(?:[a-z0-9]{2,4}-)?custom-(\d{1,3})-(\d{3,8})(?:-ext)?")
_GOOGLE_SHARED = {
    "e2-micro": (2, 1), "e2-small": (2, 2), "e2-medium": (2, 4), "f1-micro": (1, 0.6), "g1-small": (1, 1.7),
}


def scaled(number: float | None, unit: int) -> int | None:
    """`number` of `unit` in bytes, at most as many as a document holds; None, zero and less are not set."""
    return int(min(number * unit, LARGEST)) if number is not None and number > 0 else None


def share(limit: float | None, cpus: int) -> int | None:
    """The percent of a CPU that each of `cpus` may use, of how many they may use together; None is no limit."""
    return min(100, max(1, round(100 * limit / cpus))) if limit is not None and limit > 0 else None


def with_unit(number: float | None, unit: str | None, default: str = "kib") -> int | None:
    """`number` of libvirt's `unit` in bytes; None for a unit that libvirt does not know."""
    factor = _UNITS.get((unit or default).lower())
    return scaled(number, factor) if factor else None


def proxmox(text: str | int | None) -> int | None:
    """A size as Proxmox writes it, ``32G``, ``512M``, in bytes. A bare number is GiB."""
    match = _PROXMOX.fullmatch(str(text)) if text is not None else None
    return scaled(float(match.group(1)), _UNITS[(match.group(2) or "G").lower()]) if match else None


@functools.lru_cache(maxsize=256)
def aws(name: str | None) -> tuple[int | None, int | None]:
    """CPUs and memory in bytes of an instance type."""
    match = _AWS.fullmatch(name or "")
    if match:
        cpus = {"medium": 1, "large": 2}.get(match.group(2)) or 4 * int(match.group(3) or 1)
        return cpus, cpus * _AWS_MEMORY[match.group(1)] * GIB
    family, _dot, size = (name or "").partition(".")
    known = _AWS_T2.get(size) if family == "t2" else None
    return _of(known or (_AWS_BURST.get(size) if family in ("t2", "t3", "t3a", "t4g") else None))


@functools.lru_cache(maxsize=256)
def azure(name: str | None) -> tuple[int | None, int | None]:
    """CPUs and memory in bytes of a VM size."""
    match = _AZURE.fullmatch(name or "")
    if match and not (match.group(1) == "E" and int(match.group(2)) > 48):
        cpus = int(match.group(2))
        return cpus, cpus * _AZURE_MEMORY[match.group(1)] * GIB
    return _of(_AZURE_BURST.get((name or "").removeprefix("Standard_")))


@functools.lru_cache(maxsize=256)
def google(name: str | None) -> tuple[int | None, int | None]:
    """CPUs and memory in bytes of a machine type."""
    match = _GOOGLE.fullmatch(name or "")
    if match:
        family, kind, number = match.groups()
        each = _GOOGLE_MEMORY[(family if family == "n1" else "", kind)]
        return int(number), int(int(number) * each * GIB)
    custom = _GOOGLE_CUSTOM.fullmatch(name or "")
    if custom:
        return int(custom.group(1)), int(custom.group(2)) * MIB
    return _of(_GOOGLE_SHARED.get(name or ""))


def _of(known: tuple[int, float] | None) -> tuple[int | None, int | None]:
    return (known[0], int(known[1] * GIB)) if known else (None, None)
