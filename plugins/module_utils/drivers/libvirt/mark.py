"""The ownership mark in a libvirt domain's metadata."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from .. import ownership
from ..ownership import NAMESPACE, Written

PREFIX = "muster"
TAG = f"{{{NAMESPACE}}}vm"


def element(written: Written) -> ET.Element:
    """The metadata element. Text goes through the element builder, so that no value can break out of it."""
    root = ET.Element(TAG)
    root.text = ownership.write(written)
    return root


def read(domain: ET.Element) -> Written | None:
    """The mark of a domain's XML; None where there is none, or none that Muster can have written."""
    node = domain.find(f"metadata/{TAG}")
    return None if node is None else ownership.read(node.text)
