"""The ``timeouts`` of a ``muster_vm``: Terraform's own, and no field of a VM."""

from __future__ import annotations

from collections.abc import Mapping

from muster.model.errors import ModelError
from muster.model.fields import field
from muster.model.normal import layer

from .written import unresolved

NAME = "timeouts"
_DURATION = field("str", "A duration.", unit="duration", min=1)
_OPERATIONS = dict.fromkeys(("create", "update", "delete"), _DURATION)


def attributes(timeouts: Mapping[str, str] | None, problems: list[ModelError]) -> dict[str, Mapping[str, str]]:
    """The attribute that says how long each operation may take, such as ``{"create": "30m"}``; none where nothing is
    set. A value may be an expression or a token."""
    if not timeouts:
        return {}
    layer({key: value for key, value in timeouts.items() if key not in _OPERATIONS or not unresolved(value)},
          _OPERATIONS, (NAME,), problems)
    return {NAME: timeouts}
