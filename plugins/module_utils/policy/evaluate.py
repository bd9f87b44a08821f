"""Rules against VMs. Whatever a document or a rule does, the answer is a finding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from .context import FROM_OTHERS, enrich
from .documents import LATER, UNTOLD, Absent, DocumentError, normal
from .expressions import explained
from .observed import observed
from .report import CODES, Report, Subject, Table
from .rule import STAGES, Finding, Rule
from .runtime import truthy
from .waivers import Waiver

Verdict = tuple[str, str]  # outcome and a clause that explains it


def check(
    documents: Iterable[Mapping[str, Any]],
    rules: Iterable[Rule],
    stage: str,
    waivers: Iterable[Waiver] = (),
    today: date | None = None,
    now: datetime | None = None,
) -> Report:
    """Judge every VM and site of `documents` by every rule of `stage` that is about such a thing.

    What a rule knows of a VM by looking at the others (peers, siblings, neighbours) comes from these documents.
    `today` is the day that waivers are held against, `now` the time that ages are counted from; the clock's by
    default, in UTC. Raises ValueError for a stage that is none; whatever else goes wrong becomes a finding.
    """
    if stage not in STAGES:
        raise ValueError(f"'{stage}' is not a stage; there are {', '.join(STAGES)}")
    now = now or datetime.now(UTC)
    known = Waivers(waivers, today or now.date())
    chosen = [rule for rule in rules if stage in rule.stages]
    tables = {about: Table(stage, tuple(rule for rule in chosen if rule.about == about)) for about in ("vm", "site")}
    given = list(documents)
    if any(_needs_context(rule) for rule in chosen):
        enriched = iter(enrich(document for document in given if isinstance(document, Mapping)))
        given = [next(enriched, document) if isinstance(document, Mapping) else document for document in given]
    for document in given:
        about = "site" if isinstance(document, Mapping) and document.get("kind") == "site" else "vm"
        _judge(document, tables[about], known, now)
    filled = tuple(table for table in tables.values() if table.subjects or table.rules)
    return Report(stage, filled, known.report())


def _needs_context(rule: Rule) -> bool:
    """Whether `rule` reads what a VM's document has from the others of the check."""
    fields = [expression.fields for expression in (rule.when, rule.expect) if expression is not None]
    return any(one is None or one & FROM_OTHERS.keys() for one in fields)


class Waivers:
    """The waivers of one check, by the rule that they are for, and what each of them did."""

    def __init__(self, waivers: Iterable[Waiver], today: date) -> None:
        self._today = today
        self._all = tuple(waivers)
        self._used: set[int] = set()
        self._by_rule: dict[str, list[tuple[int, Waiver]]] = {}
        for number, waiver in enumerate(self._all):
            self._by_rule.setdefault(waiver.rule, []).append((number, waiver))

    def settle(self, rule: str, subject: Subject, outcome: str, clause: str) -> Verdict:
        """The verdict as it is once the waivers were asked."""
        for number, waiver in self._by_rule.get(rule, ()):
            if waiver.covers(rule, subject.name, self._today, subject.address):
                self._used.add(number)
                return "waived", waiver.sentence()
            if waiver.concerns(rule, subject.name, subject.address):
                clause += f" (the waiver of {waiver.approver} ended on {waiver.until.isoformat()})"
        return outcome, clause

    def report(self) -> tuple[dict[str, Any], ...]:
        """What each waiver did."""
        return tuple({
            "rule": waiver.rule, "vms": list(waiver.vms), "reason": waiver.reason, "approver": waiver.approver,
            "until": waiver.until.isoformat(),
            "state": "expired" if self._today > waiver.until else "used" if number in self._used else "unused",
        } for number, waiver in enumerate(self._all))


def _judge(document: Mapping[str, Any], table: Table, waivers: Waivers, now: datetime) -> None:
    """Add what the rules of `table` say of one VM or site."""
    subject = Subject(*(_label(document, key) for key in ("name", "site", "terraform_address")))
    plain: dict[str, Any] = {}
    broken = ""
    try:
        plain = normal(document)
    except (DocumentError, RecursionError) as error:
        broken = str(error) if isinstance(error, DocumentError) else "is nested too deeply"
    unseen = table.stage == "guest" and "guest" not in plain  # what nobody looked at is neither set nor absent
    codes = bytearray()
    for rule in table.rules:
        if broken:
            outcome, clause = "error", f"its document {broken}"
        elif unseen:
            outcome, clause = "unknown", "nobody looked into the guest"
        else:
            outcome, clause = verdict(rule, plain, now)
        if outcome in ("pass", "not_applicable"):
            codes.append(CODES[outcome])
            continue
        if table.stage != "plan":
            clause = clause.replace(LATER, UNTOLD)
        if outcome in ("fail", "unknown"):
            outcome, clause = waivers.settle(rule.id, subject, outcome, clause)
        codes.append(CODES[outcome])
        table.findings.append(Finding(rule, subject.name, subject.site, table.stage, outcome, clause, subject.address))
    table.add(subject, bytes(codes))


def verdict(rule: Rule, document: dict[str, Any], now: datetime) -> Verdict:
    """The outcome of `rule` for a document that went through `documents.normal`, waivers aside."""
    part = "when"
    try:
        if rule.when is not None:
            applies = rule.when.run(document, now)
            if applies.__class__ is Absent:
                return "unknown", f"whether it applies cannot be told, because {applies.reason()}"
            if not truthy(applies):
                return "not_applicable", ""
        part = "expect"
        holds = rule.expect.run(document, now)
    except Exception as error:
        return "error", f"'{part}' could not be evaluated: {explained(error)}"
    if holds is True:
        return "pass", ""
    if holds is False:
        return "fail", observed(rule.expect, document, now)
    if isinstance(holds, Absent):
        return "unknown", holds.reason()
    return "error", "'expect' gave neither true nor false; compare it with something"


def _label(document: Mapping[str, Any], key: str) -> str:
    value = document.get(key) if isinstance(document, Mapping) else None
    return str.__str__(value)[:255] if isinstance(value, str) else ""
