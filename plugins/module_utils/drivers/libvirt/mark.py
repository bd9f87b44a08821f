"""The ownership mark in a libvirt domain's metadata: who owns the VM, and the fields that no hardware holds."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...model.normal import normalise
from ...model.patterns import NAME
from ...model.vm import Mark

NAMESPACE = "https://muster.fleet/ns/vm/1"
PREFIX = "muster"
TAG = f"{{{NAMESPACE}}}vm"
_LIMIT = 256 << 10
_NAME = re.compile(NAME)
_FLEET = re.compile(NAME.removesuffix("$") + "(?:/drill)?$")  # twins of a drill are of a fleet of their own
_OPERATION = re.compile(r"[A-Za-z0-9._-]{0,100}")
_SEED = re.compile(r"[A-Za-z0-9-]{0,64}")
_PORT = re.compile(r"[1-9][0-9]{0,4}")


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
    """The mark of a domain's XML; None where there is none or where it is not one that Muster can have written: what
    was changed by hand, or made to be believed, is left alone and breaks no listing."""
    node = domain.find(f"metadata/{TAG}")
    if node is None or not node.text or len(node.text) > _LIMIT:
        return None
    try:
        data = json.loads(node.text)
        mark = Mark(data["fleet"], data["vm"], data.get("operation", ""))
        seed = data.get("seed", "")
        names = ((_FLEET, mark.fleet), (_NAME, mark.vm), (_OPERATION, mark.operation), (_SEED, seed))
        if not all(pattern.fullmatch(text) for pattern, text in names):
            return None
        fields = data.get("fields") or {}
        # What is read is what was checked: the normal form, never the text beside it.
        known: dict[str, Any] = normalise({key: value for key, value in fields.items() if key != "ports"})
        if fields.get("ports"):
            known["ports"] = {nic: _ports(rules) for nic, rules in fields["ports"].items()}
        return Written(mark, known, data.get("built") is True, data.get("ready") is not False, seed)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _ports(rules: Mapping[str, Any]) -> dict[str, int]:
    """The loopback port of each port of the guest. Raises ValueError for what is none."""
    found = {}
    for guest, host in rules.items():
        if not all(_PORT.fullmatch(str(port)) and int(port) < 65536 for port in (guest, host)):
            raise ValueError("no port")
        found[guest] = int(host)
    return found
