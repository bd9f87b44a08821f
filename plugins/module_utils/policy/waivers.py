"""Waivers: who allowed which VMs to miss which rule, why, and until when. Past its last day a waiver waives nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

from ..model.waiver import Waiver
from .strict_yaml import YamlError, read_file
from .wording import one_line

_KEYS = ("rule", "vms", "reason", "approver", "until")
# A name of any platform or an address of Terraform's; a star ends a beginning.
_VMS = re.compile(r"[^*\x00-\x1f\x7f]{1,1000}\*?|\*")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
MAX_WAIVERS = 10_000


class WaiverError(ValueError):
    """The waivers cannot be used. Its text is a sentence with file, waiver and fix."""

    def __init__(self, sentence: str) -> None:
        super().__init__(one_line(sentence))  # it quotes what stands in the file


def load_waivers(path: Path | str) -> tuple[Waiver, ...]:
    """The waivers in the file at `path`: ``waivers: [{rule, vms, reason, approver, until}]``. Raises WaiverError."""
    try:
        document = read_file(Path(path))
    except YamlError as error:
        raise WaiverError(str(error)) from None
    if not isinstance(document, dict) or set(document) != {"waivers"} or not isinstance(document["waivers"], list):
        raise WaiverError(f"{path}: is not a file of waivers. Write 'waivers:' and a list below it.")
    return parse_waivers(document["waivers"], str(path))


def parse_waivers(raw: Iterable[Any], source: str = "waivers") -> tuple[Waiver, ...]:
    """The waivers in a list of mappings; `source` names it in errors. Raises WaiverError."""
    waivers = tuple(_waiver(one, f"{source}: waiver {number}") for number, one in enumerate(raw, 1))
    if len(waivers) > MAX_WAIVERS:
        raise WaiverError(f"{source}: has more than {MAX_WAIVERS} waivers. Fix what they waive.")
    return waivers


def _waiver(raw: Any, where: str) -> Waiver:
    if not isinstance(raw, dict) or set(raw) != set(_KEYS):
        raise WaiverError(f"{where}: must have exactly {', '.join(_KEYS)}.")
    for key in ("rule", "reason", "approver", "until"):
        if not isinstance(raw[key], str) or not raw[key].strip() or len(raw[key]) > 1000:
            raise WaiverError(f"{where}: '{key}' is empty, too long or not a text.")
    names = raw["vms"]
    if not isinstance(names, list) or not names or not all(isinstance(n, str) and _VMS.fullmatch(n) for n in names):
        raise WaiverError(f"{where}: 'vms' is not a list of VM names. Write [web-1, web-*], addresses of "
                          "Terraform or ['*'] for all.")
    try:
        if not _DAY.fullmatch(raw["until"]):
            raise ValueError
        until = date.fromisoformat(raw["until"])
    except ValueError:
        raise WaiverError(f"{where}: 'until' is not a day. Write its last day as 2026-12-31.") from None
    return Waiver(raw["rule"], tuple(names), " ".join(raw["reason"].split()), raw["approver"].strip(), until)


__all__ = ["Waiver", "WaiverError", "load_waivers", "parse_waivers"]
