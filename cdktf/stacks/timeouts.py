"""The ``timeouts`` of a ``muster_vm``: Terraform's own, and no field of a VM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from muster.model.errors import ModelError
from muster.model.fields import field
from muster.model.normal import layer

from .written import unresolved

NAME = "timeouts"
_DURATION = field("str", "A duration.", unit="duration", min=1)
_OPERATIONS = dict.fromkeys(("create", "update", "delete"), _DURATION)


def attributes(timeouts: Mapping[str, str] | str | None, problems: list[ModelError]) -> dict[str, Any]:
    """The attribute that says how long each operation may take, such as ``{"create": "30m"}``; none where nothing is
    set. A value, or the whole, may be an expression or a token."""
    if not timeouts:
        return {}
    if not unresolved(timeouts):
        layer({key: value for key, value in timeouts.items() if key not in _OPERATIONS or not unresolved(value)}
              if isinstance(timeouts, Mapping) else timeouts, _OPERATIONS, (NAME,), problems)
    return {NAME: timeouts}
