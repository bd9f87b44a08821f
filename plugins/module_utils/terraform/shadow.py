"""Terraform's shadows: ``after_unknown`` and ``after_sensitive`` repeat the form of a value, with ``true`` where the
value is known only after apply, or is not to be shown."""

from __future__ import annotations

from typing import Any

from .shapes import Shape

Shadow = Any  # dict, list, bool or None


def under(shadow: Shadow, step: str | int) -> Shadow:
    """The shadow of the part at `step`: a name or an index. True covers all that is below it."""
    if shadow is True:
        return True
    if shadow.__class__ is dict:
        return shadow.get(step)
    if shadow.__class__ is list and step.__class__ is int and step < len(shadow):
        return shadow[step]
    return None


def without(value: Any, shadow: Shadow) -> Any:
    """`value` without what `shadow` covers, at every depth. A covered item of a list leaves an empty one behind."""
    if shadow is True:
        return type(value)() if isinstance(value, (dict, Shape)) else None
    if isinstance(shadow, dict):
        for name, mark in shadow.items():
            if isinstance(value, dict) and name in value:
                value[name] = without(value[name], mark)
            elif isinstance(value, Shape) and hasattr(value, name):
                setattr(value, name, without(getattr(value, name), mark))
    elif isinstance(shadow, list) and isinstance(value, list):
        return [without(item, mark) for item, mark in zip(value, [*shadow, *[None] * len(value)], strict=False)]
    return value


def touched(shadow: Shadow) -> bool:
    """Whether the value is covered, wholly or in part."""
    if shadow.__class__ is dict:
        return any(touched(item) for item in shadow.values())
    if shadow.__class__ is list:
        return any(touched(item) for item in shadow)
    return shadow is True
