"""The ``timeouts`` of a resource: how long each of its operations may take. They are Terraform's alone and nothing of a
VM, so another of them is no change.

All but one are read from the configuration. Terraform tells a deletion nothing but the state: so another ``delete`` is
an update, of the state alone. Terraform takes a plan that differs from the configuration where the state holds a value
already: so one where nothing is set holds nulls.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from muster.model.errors import ModelError
from muster.model.fields import field
from muster.model.normal import layer
from tf.types import Unknown

NAME = "timeouts"
OF_VM = ("create", "update", "delete")
OF_SNAPSHOT = ("create", "delete")
OF_RESTORE_POINT = ("create",)
DURATION = field("str", "A duration.", unit="duration", min=1)


@dataclass(frozen=True)
class Limit:
    """How many `seconds` an operation may take, None for as long as the drivers do, and the `setting` that says so."""

    seconds: int | None
    setting: str


def unset(operations: Iterable[str]) -> dict[str, None]:
    """What a state holds where nothing is set."""
    return dict.fromkeys(operations)


def check(config: Mapping[str, Any], problems: list[ModelError]) -> None:
    """Report each that is no duration."""
    given = config.get(NAME)
    if isinstance(given, dict):
        known = {key: value for key, value in given.items() if value is not Unknown}
        layer(known, dict.fromkeys(known, DURATION), (NAME,), problems)


def planned(config: Any, prior: Any, operations: Iterable[str]) -> Any:
    """What a plan says of `config`, where the state has `prior` (None: there is no state)."""
    given = unset(operations) if config is None else config
    if prior is None or given is Unknown:
        return given
    return prior if given.get("delete") == prior.get("delete") else given


def limit(operation: str, values: Mapping[str, Any], default: int | None) -> Limit:
    """That of `operation` by `values`, a configuration or, for a deletion, a state; `default` is the provider's."""
    own = (values.get(NAME) or {}).get(operation)
    if own is None:
        return Limit(default, "the provider's setting timeout")
    applied = ", which counts once it was applied" if operation == "delete" else ""
    return Limit(layer({NAME: own}, {NAME: DURATION}, (), [])[NAME], f"the resource's {NAME}.{operation}{applied}")
