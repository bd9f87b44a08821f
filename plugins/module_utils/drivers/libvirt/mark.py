"""The ownership mark in a libvirt domain's metadata: who owns the VM, and the fields that no hardware holds."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...model.vm import Mark

NAMESPACE = "https://muster.fleet/ns/vm/1"
PREFIX = "muster"
TAG = f"{{{NAMESPACE}}}vm"
_LIMIT = 256 << 10


@dataclass(frozen=True)
class Written:
    """What the metadata holds: the mark, the fields kept in it, and whether the VM is finished.

    `built` is False from the definition until the disks are complete: a retry may then rebuild them, as nobody can
    have written to them yet.
    """

    mark: Mark
    fields: Mapping[str, Any] = field(default_factory=dict)
    built: bool = True
    ready: bool = True  # whether the guest was ever seen ready; False is where an interrupted run carries on
    seed: str = ""  # the identity that the guest was first booted with; a restored twin must show the same


def element(written: Written) -> ET.Element:
    """The metadata element. Text goes through the element builder, so that no value can break out of it."""
    root = ET.Element(TAG)
    root.text = json.dumps(
        {
            "fleet": written.mark.fleet,
            "vm": written.mark.vm,
            "operation": written.mark.operation,
            "built": written.built,
            "ready": written.ready,
            "seed": written.seed,
            "fields": dict(written.fields),
        },
        sort_keys=True,
    )
    return root


def read(domain: ET.Element) -> Written | None:
    """The mark of a domain's XML; None where there is none or where it is not one that Muster wrote."""
    node = domain.find(f"metadata/{TAG}")
    if node is None or not node.text or len(node.text) > _LIMIT:
        return None
    try:
        data = json.loads(node.text)
        mark = Mark(str(data["fleet"]), str(data["vm"]), str(data.get("operation", "")))
        fields = data.get("fields") or {}
        if not isinstance(fields, dict):
            return None
        return Written(
            mark, fields, data.get("built") is True, data.get("ready") is not False, str(data.get("seed", ""))
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
