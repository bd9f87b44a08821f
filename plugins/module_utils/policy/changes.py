"""What changed since the last report: findings that are new, resolved, waived, or no longer looked at. Pure.

The last report is a file that anybody may have written. What is wrong with it is said in one sentence, in the report
that could not be compared with it; it never stops a run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_OPEN = ("fail", "error", "unknown")
_TEXTS = ("rule", "title", "severity", "vm", "site", "stage", "outcome")
_LISTED = 1000
# What became of a finding that was open in the last report and is not open now.
ENDS = ("resolved", "waived", "not_checked")

Key = tuple[str, str, str, str, str]


class IncomparableError(ValueError):
    """The last report cannot be compared. Its text ends the sentence "The last report cannot be compared: …"."""


def begin(compliance: Mapping[str, Any], now: str) -> dict[str, Any]:
    """`compliance` as that of a first report: every finding is there since `now`."""
    return {**compliance, "findings": [{**row, "since": now} for row in compliance.get("findings", ())]}


def compare(compliance: Mapping[str, Any], now: str, last: Any) -> dict[str, Any]:
    """`compliance`, made at `now`, with what changed since the run report `last`, both as report.schema.json has them.

    Its findings get `since`, when a report first had them, and `new` where the last one did not have them open. Its
    `changes` are {last: time, new, remaining, resolved, waived, not_checked: counts, ended: the first thousand
    findings that are no longer open, each with `became`, one of `ENDS`}. A finding is resolved where the same rule
    judged the same VM at the same stage again; else nobody looked, and it is `not_checked`.

    Raises IncomparableError where `last` is not a run report, or is younger than `now`.
    """
    before, then = _findings(last, now)
    counts: Counter[str] = Counter()
    rows: list[dict[str, Any]] = []
    there: dict[Key, bool] = {}
    for row in compliance.get("findings", ()):
        key = _key(row)
        known = before.get(key)
        is_open = row["outcome"] in _OPEN
        fresh = is_open and (known is None or known["outcome"] not in _OPEN)
        counts["new" if fresh else "remaining" if is_open else ""] += 1
        rows.append({**row, "since": known["since"] if known else now, **({"new": True} if fresh else {})})
        there[key] = is_open
    looked = _looked(compliance)
    ended: list[dict[str, Any]] = []
    for key, row in before.items():
        if row["outcome"] not in _OPEN or there.get(key):
            continue
        became = "waived" if key in there else "resolved" if looked(key) else "not_checked"
        counts[became] += 1
        if len(ended) < _LISTED:
            ended.append({**row, "became": became})
    changes = {"last": then, **{name: counts[name] for name in ("new", "remaining", *ENDS)}, "ended": ended}
    return {**compliance, "findings": rows, "changes": changes}


def _key(row: Mapping[str, Any]) -> Key:
    return row["rule"], row["vm"], row["site"], row["stage"], row.get("address") or ""


def _looked(compliance: Mapping[str, Any]) -> Any:
    """Whether a rule judged a VM at a stage."""
    rules = {row["rule"] for row in compliance.get("rules", ())}
    vms = {(row["vm"], row["site"]) for row in compliance.get("vms", ())}
    stages = set(str(compliance.get("stage", "")).split("+"))
    return lambda key: key[0] in rules and (key[1], key[2]) in vms and key[3] in stages


def _findings(last: Any, now: str) -> tuple[dict[Key, dict[str, Any]], str]:
    """The findings of the last report by what they are about, and when it was made."""
    if not isinstance(last, Mapping) or not isinstance(last.get("compliance"), Mapping):
        raise IncomparableError("it is no run report with findings")
    then = _time(last.get("generated"))
    if then is None:
        raise IncomparableError("it does not say when it was made")
    if then > _required(now):
        raise IncomparableError("it says that it was made later than this one; look at the clock")
    rows = last["compliance"].get("findings")
    if not isinstance(rows, list):
        raise IncomparableError("it has no list of findings")
    found: dict[Key, dict[str, Any]] = {}
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping) or not all(isinstance(row.get(name), str) for name in _TEXTS) \
                or not isinstance(row.get("address", ""), str):
            raise IncomparableError(f"its finding {number} is not one")
        since = _time(row.get("since"))
        told = row["since"] if since is not None and since <= then else last["generated"]
        found[_key(row)] = {**{name: row[name] for name in _TEXTS}, "since": told}
    return found, last["generated"]


def _time(value: Any) -> datetime | None:
    """A time in ISO 8601 with its zone; None for anything else."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _required(value: str) -> datetime:
    moment = _time(value)
    if moment is None:
        raise IncomparableError("this one does not say when it was made")
    return moment
