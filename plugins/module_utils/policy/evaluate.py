"""Rules against VMs. Whatever a document or a rule does, the answer is a finding."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from .documents import Absent, DocumentError, normal
from .expressions import EvaluationError, Expression, truthy
from .report import Report
from .rule import STAGES, Finding, Rule
from .waivers import Waiver

_SHOWN = 3
_SHOWN_LENGTH = 60
_SECRET = ("password", "secret", "token", "private", "credential", "passphrase")

Verdict = tuple[str, str]  # outcome and a clause that explains it


def check(
    documents: Iterable[Mapping[str, Any]],
    rules: Iterable[Rule],
    stage: str,
    waivers: Iterable[Waiver] = (),
    today: date | None = None,
    now: datetime | None = None,
) -> Report:
    """Judge every VM of `documents` by every rule of `stage`.

    `today` is the day that waivers are held against, `now` the time that ages are counted from; the clock's by
    default, in UTC. Raises ValueError for a stage that is none; whatever else goes wrong becomes a finding.
    """
    if stage not in STAGES:
        raise ValueError(f"'{stage}' is not a stage; there are {', '.join(STAGES)}")
    now = now or datetime.now(UTC)
    today = today or now.date()
    chosen = [rule for rule in rules if stage in rule.stages]
    known = tuple(waivers)
    used: set[int] = set()
    findings: list[Finding] = []
    for document in documents:
        findings.extend(_judge_vm(document, chosen, stage, known, used, today, now))
    return Report(stage, tuple(findings), tuple(_state(waiver, n in used, today) for n, waiver in enumerate(known)))


def _judge_vm(document: Mapping[str, Any], rules: list[Rule], stage: str, waivers: tuple[Waiver, ...], used: set[int],
              today: date, now: datetime) -> Iterable[Finding]:
    vm, site = _label(document, "name"), _label(document, "site")
    plain: dict[str, Any] = {}
    broken = ""
    try:
        plain = normal(document)
    except (DocumentError, RecursionError) as error:
        broken = str(error) if isinstance(error, DocumentError) else "is nested too deeply"
    unseen = stage == "guest" and "guest" not in plain  # what nobody looked at is neither set nor absent
    for rule in rules:
        if broken:
            outcome, clause = "error", f"its document {broken}"
        elif unseen:
            outcome, clause = "unknown", "nobody looked into the guest"
        else:
            outcome, clause = verdict(rule, plain, now)
        if outcome in ("fail", "unknown"):
            for number, waiver in enumerate(waivers):
                if waiver.covers(rule.id, vm, today):
                    used.add(number)
                    outcome, clause = "waived", waiver.sentence()
                    break
                if waiver.concerns(rule.id, vm):
                    clause += f" (the waiver of {waiver.approver} ended on {waiver.until.isoformat()})"
        yield Finding(
            rule=rule.id, title=rule.title, severity=rule.severity, vm=vm, site=site, stage=stage, outcome=outcome,
            sentence=_sentence(rule, vm, site, outcome, clause),
            fix=rule.fix if outcome in ("fail", "unknown") else {}, controls=rule.controls,
        )


def verdict(rule: Rule, document: dict[str, Any], now: datetime) -> Verdict:
    """The outcome of `rule` for a document that went through `documents.normal`, waivers aside."""
    part = "when"
    try:
        if rule.when is not None:
            applies = rule.when.evaluate(document, now)
            if isinstance(applies, Absent):
                return "unknown", f"whether it applies cannot be told, because {applies.reason()}"
            if not truthy(applies):
                return "not_applicable", ""
        part = "expect"
        holds = rule.expect.evaluate(document, now)
    except EvaluationError as error:
        return "error", f"'{part}' could not be evaluated: {error}"
    if isinstance(holds, Absent):
        return "unknown", holds.reason()
    if not isinstance(holds, bool):
        return "error", "'expect' gave neither true nor false; compare it with something"
    return ("pass", "") if holds else ("fail", _observed(rule.expect, document, now))


def _observed(expect: Expression, document: dict[str, Any], now: datetime) -> str:
    """The values that the expression read, as a clause: ``memory is 268435456 and tags.owner is not set``."""
    parts = []
    for path, steps in expect.steps[:_SHOWN]:
        value: Any = document
        for step in steps:
            value = _step(value, step)
        if isinstance(value, Absent):
            parts.append(f"{path} is {'not set' if value.settled else 'known only after apply'}")
        elif any(word in path.lower() for word in _SECRET):
            parts.append(f"{path} is set to another value")
        else:
            parts.append(f"{path} is {_shown(value)}")
    return " and ".join(parts) or "the expectation is false"


def _step(value: Any, step: str) -> Any:
    if step.startswith("[") and isinstance(value, list):
        index = int(step[1:-1])
        return value[index] if -len(value) <= index < len(value) else Absent()
    return value.get(step, Absent()) if isinstance(value, dict) else value if isinstance(value, Absent) else Absent()


def _shown(value: Any) -> str:
    if isinstance(value, dict) or (isinstance(value, list) and (len(value) > 3 or any(map(_nested, value)))):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    text = json.dumps(value, ensure_ascii=True, default=lambda absent: None)
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…"


def _nested(value: Any) -> bool:
    return isinstance(value, (dict, list))


def _sentence(rule: Rule, vm: str, site: str, outcome: str, clause: str) -> str:
    where = f"{vm or 'A VM without a name'} at {site}" if site else vm or "A VM without a name"
    clause = clause.rstrip(".")
    if outcome == "fail":
        return f"{where}: {clause}. {rule.why}"
    if outcome == "pass":
        return f"{where} satisfies '{rule.title}'."
    if outcome == "not_applicable":
        return f"'{rule.title}' does not apply to {where}."
    words = {"unknown": "this cannot be told", "waived": "this is waived", "error": "this could not be judged"}
    return f"{where}: {words[outcome]}: {clause}."


def _label(document: Mapping[str, Any], key: str) -> str:
    value = document.get(key) if isinstance(document, Mapping) else None
    return str.__str__(value)[:255] if isinstance(value, str) else ""


def _state(waiver: Waiver, used: bool, today: date) -> dict[str, Any]:
    return {
        "rule": waiver.rule, "vms": list(waiver.vms), "reason": waiver.reason, "approver": waiver.approver,
        "until": waiver.until.isoformat(),
        "state": "expired" if today > waiver.until else "used" if used else "unused",
    }
