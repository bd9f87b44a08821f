"""Tags of vSphere as Muster's: one meaning in a plan and in what runs."""

from __future__ import annotations

import re

_OTHER = re.compile(r"[^a-z0-9._-]+")


def key_of(name: str) -> str:
    """The key of a tag: the name of a category or custom attribute as rules write it. ``Cost Center`` is
    ``cost_center``."""
    return _OTHER.sub("_", name.strip().lower()).strip("_")
