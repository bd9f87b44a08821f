"""The settings that a rulebook asks of a guest: the fixes of its rules, merged into one document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from .documents import Absent, normal
from .expressions import EvaluationError, truthy
from .rule import Rule
from .waivers import Waiver


class FixConflictError(ValueError):
    """Two rules ask for different values of one setting. Its text is a sentence."""


def settings(rules: Iterable[Rule], document: Mapping[str, Any], waivers: Iterable[Waiver] = (),
             today: date | None = None, now: datetime | None = None) -> dict[str, Any]:
    """The settings document for the VM of `document`: the fixes of the guest rules that apply to it.

    A rule that the guest satisfies already is included, so that the settings are the whole desired state and a second
    run changes nothing. Left out are rules that are waived for the VM, that do not apply to it, and of which nobody
    can tell whether they apply. Raises FixConflictError, and DocumentError for a document that cannot be judged.
    """
    now = now or datetime.now(UTC)
    today = today or now.date()
    plain = normal(document)
    name = str(plain.get("name", ""))
    known = tuple(waivers)
    merged: dict[str, Any] = {}
    owners: dict[tuple[str, ...], str] = {}
    for rule in rules:
        if "guest" not in rule.stages or not rule.fix or "advice" in rule.fix or "vm" in rule.fix:
            continue
        if any(waiver.covers(rule.id, name, today) for waiver in known) or not _applies(rule, plain, now):
            continue
        _merge(merged, rule.fix, rule.id, (), owners)
    return merged


def _applies(rule: Rule, document: dict[str, Any], now: datetime) -> bool:
    if rule.when is None:
        return True
    try:
        applies = rule.when.evaluate(document, now)
    except EvaluationError:
        return False
    return not isinstance(applies, Absent) and truthy(applies)


def _merge(into: dict[str, Any], fix: Mapping[str, Any], rule: str, path: tuple[str, ...],
           owners: dict[tuple[str, ...], str]) -> None:
    """Mappings are merged, lists are united, anything else must agree."""
    for key, value in fix.items():
        here = (*path, key)
        if key not in into:
            into[key] = {} if isinstance(value, Mapping) else list(value) if isinstance(value, list) else value
            owners[here] = rule
        there = into[key]
        if isinstance(there, dict) and isinstance(value, Mapping):
            _merge(there, value, rule, here, owners)
        elif isinstance(there, list) and isinstance(value, list):
            there.extend(item for item in value if item not in there)
        elif there != value or isinstance(there, bool) is not isinstance(value, bool):
            raise FixConflictError(
                f"The rules {owners[here]} and {rule} ask for different values of {'.'.join(here)}: {there!r} and "
                f"{value!r}. Nothing was changed; waive one of them or drop its pack."
            )
