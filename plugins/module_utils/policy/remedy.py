"""What would mend a finding, in words and as YAML on one line."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

# Text that every reader of YAML takes for just this text, also within brackets.
_PLAIN = re.compile(r"[A-Za-z/_][A-Za-z0-9 ./_+-]*[A-Za-z0-9./_+-]|[A-Za-z]|[0-9]+ ?(?:[KMGT]iB|min|[smhdw])")
_WORDS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))


def in_words(fix: Mapping[str, Any]) -> str:
    """The fix of a rule as people read it; an empty text where there is none."""
    if not fix:
        return ""
    if isinstance(fix.get("advice"), str):
        return " ".join(str(fix["advice"]).split())
    fields = fix.get("vm")
    if isinstance(fields, Mapping):
        return f"Set {_inner(fields)}"
    return f"Set in the guest, by the role muster.fleet.harden: {_inner(fix)}"


def flow(value: Any) -> str:
    """`value` as YAML on one line."""
    if isinstance(value, Mapping):
        return f"{{{_inner(value)}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(flow, value))}]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _inner(fields: Mapping[Any, Any]) -> str:
    return ", ".join(f"{flow(str(key))}: {flow(value)}" for key, value in fields.items())
