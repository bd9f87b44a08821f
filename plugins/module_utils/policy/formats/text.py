"""A check as text: what people see first. The worst first, a block for each rule, and the sum at the end.

One VM or a thousand, the text stays short: VMs that a rule says the same of are counted and named together.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from ..remedy import in_words
from ..rule import SEVERITIES, Finding, Rule
from .by_control import controls_text
from .checked import Checked, Part
from .words import Style, join, line, plural

NAMED = 8  # VMs that one line names
GROUPS = 8  # different things that a block says of one rule

Pair = tuple[Finding, Part]


def write(checked: Checked, style: Style | None = None) -> Iterator[str]:
    """The text, block by block. `style` is plain by default: no colour, no line broken."""
    style = style or Style()
    for part in checked.parts:
        if part.missing:
            yield from style.wrapped(f"{line(part.missing)}\n")
            yield "\n"
    where = _Where(checked)
    found: dict[str, list[Pair]] = {}
    for pair in checked.attention():
        found.setdefault(pair[0].outcome, []).append(pair)
    if checked.frameworks:
        yield from controls_text(checked, style)
    else:
        for outcome in ("fail", "error"):
            for _rule, pairs in groupby(found.get(outcome, ()), key=lambda pair: pair[0].rule):
                yield from _block(list(pairs), where, style)
        yield from _unknown(found.get("unknown", ()), where, style)
        yield from _waived(found.get("waived", ()), where, style)
    yield from _aside(checked, style)
    if found.get("fail") and not checked.frameworks:
        yield from _more(found["fail"][0][0].of, style)
    yield f"{sum_line(checked, style)}\n"


def sum_line(checked: Checked, style: Style | None = None) -> str:
    """The whole check on one line: ``2 VMs, 21 rules, stage spec: 3 failed (1 high, 2 medium), 40 passed.``"""
    style = style or Style()
    report = checked.report
    totals = report.totals
    sites = len({subject for table in report.tables for subject in table.subjects
                 if table.rules and table.rules[0].about == "site"})
    things = [plural(_vms(checked), "VM"), *([plural(sites, "site")] if sites else []),
              plural(len(report.rules), "rule")]
    stages = report.stage.split("+")
    things.append(f"{'stages' if len(stages) > 1 else 'stage'} {join(stages)}")
    worst = Counter(finding.severity for table in report.tables for finding in table.findings
                    if finding.outcome == "fail")
    by = ", ".join(f"{worst[one]} {one}" for one in reversed(SEVERITIES) if worst[one])
    parts = [style.bad(f"{totals['failed']} failed ({by})") if totals["failed"] else style.good("none failed")]
    parts += [words for count, words in (
        (totals["errors"], style.bad(f"{totals['errors']} could not be judged")),
        (totals["unknown"], style.doubt(f"{totals['unknown']} unknown")),
        (totals["waived"], f"{totals['waived']} waived"),
        (totals["passed"], f"{totals['passed']} passed"),
        (totals["not_applicable"], f"{totals['not_applicable']} do not apply"),
    ) if count]
    return f"{', '.join(things)}: {', '.join(parts)}."


def _vms(checked: Checked) -> int:
    """How many VMs were checked. Two of one name in one source are two; in two sources, a plan and its fleet file, one.
    """
    vms: Counter[tuple[str, str]] = Counter()
    for part in checked.parts:
        vms |= Counter((row["name"], row["site"]) for row in part.vms)
    return vms.total()


class _Where:
    """Names VMs as shortly as this check allows: the site where there are several, else file and line or address."""

    def __init__(self, checked: Checked) -> None:
        self._sites = len({subject.site for subject in checked.report.subjects}) > 1
        self._sources = len({part.source for part in checked.parts}) > 1
        self._vms = _vms(checked)

    def all(self, pairs: Sequence[Pair], rules: int = 1) -> str:
        """``all 1000 VMs`` where that is what `pairs` of so many rules are, and too many to be named; else nothing."""
        about = {pair[0].of.about for pair in pairs}
        whole = about == {"vm"} and len(pairs) == self._vms * rules and self._vms > NAMED
        return f"all {plural(self._vms, 'VM')}" if whole else ""

    def name(self, pair: Pair) -> str:
        """The VM's name alone, as a list of many has it; the address where a Terraform document has the VM."""
        finding, _part = pair
        return line(finding.address or finding.vm or "a VM without a name")

    def full(self, pair: Pair) -> str:
        finding, part = pair
        text = self.name(pair)
        if finding.address and finding.vm not in ("", finding.address):
            text += f" '{line(finding.vm)}'"
        if self._sites and finding.site and finding.of.about == "vm" and not finding.address:
            text += f" at {line(finding.site)}"
        number = part.lines.get(finding.vm)
        if number:
            return f"{text} ({line(part.source)}:{number})"
        return f"{text} ({line(part.source)})" if self._sources and part.source else text


def _block(pairs: list[Pair], where: _Where, style: Style) -> Iterator[str]:
    """What one rule found wrong."""
    finding = pairs[0][0]
    rule = finding.of
    yield f"{style.severity(rule.severity)}  {style.strong(line(rule.id))}  {line(rule.title)}\n"
    said: dict[str, list[Pair]] = {}
    for pair in pairs:
        said.setdefault(pair[0].clause, []).append(pair)
    groups = sorted(said.items(), key=lambda item: -len(item[1]))
    for clause, members in groups[:GROUPS]:
        yield from _members(members, line(clause).rstrip("."), rule.about, where, style)
    rest = sum(len(members) for _clause, members in groups[GROUPS:])
    if rest:
        yield f"  and {plural(rest, 'VM' if rule.about == 'vm' else 'site')} more; --format json has all\n"
    if finding.outcome == "error":
        yield from style.lines("Rule", f"{line(rule.source)}. Neither passed nor failed.")
        return
    yield from style.lines("Why", line(rule.why))
    fix = line(in_words(rule.fix))
    if fix:
        yield from style.lines("Fix", fix)
    yield "\n"


def _members(members: Sequence[Pair], clause: str, about: str, where: _Where, style: Style) -> Iterator[str]:
    if len(members) <= 2:
        yield from style.wrapped(f"  {join([where.full(pair) for pair in members])}: {clause}\n")
        return
    if everywhere := where.all(members):
        yield from style.wrapped(f"  {everywhere}: {clause}\n")
        return
    yield from style.wrapped(f"  {plural(len(members), 'VM' if about == 'vm' else 'site')}: {clause}\n")
    yield from style.wrapped(f"      {_named([where.name(pair) for pair in members])}\n")


def _named(names: Iterable[str], most: int = NAMED) -> str:
    each = sorted(set(names), key=_natural)
    return join(each) if len(each) <= most else f"{', '.join(each[:most])} and {len(each) - most} more"


def _natural(name: str) -> list[tuple[int, str]]:
    """web-2 before web-10."""
    parts = re.split(r"([0-9]{1,9})", name)
    return [(int(part) if place % 2 else 0, part) for place, part in enumerate(parts)]


def _unknown(pairs: Sequence[Pair], where: _Where, style: Style) -> Iterator[str]:
    """What could not be told, by its reason: one missing value can leave many rules open on many VMs."""
    if not pairs:
        return
    yield f"{style.doubt('UNKNOWN')}  not passed, for want of a value\n"
    reasons: dict[str, list[Pair]] = {}
    for pair in pairs:
        reasons.setdefault(pair[0].clause, []).append(pair)
    groups = sorted(reasons.items(), key=lambda item: -len(item[1]))
    for clause, members in groups[:2 * GROUPS]:
        rules = list(dict.fromkeys(pair[0].rule for pair in members))
        on = where.all(members, len(rules)) or _named([where.name(pair) for pair in members], 4)
        yield from style.wrapped(f"  {line(clause).rstrip('.')}: {_named(rules, 4)}, on {on}\n")
    rest = sum(len(members) for _clause, members in groups[2 * GROUPS:])
    if rest:
        yield f"  and {rest} more; --format json has all\n"
    yield "\n"


def _waived(pairs: Sequence[Pair], where: _Where, style: Style) -> Iterator[str]:
    if not pairs:
        return
    yield "WAIVED\n"
    said: dict[tuple[str, str], list[Pair]] = {}
    for pair in pairs:
        said.setdefault((pair[0].rule, pair[0].clause), []).append(pair)
    for (rule, clause), members in said.items():
        yield from style.wrapped(f"  {rule} on {_named([where.name(pair) for pair in members], 4)}: "
                                 f"{line(clause).rstrip('.')}\n")
    yield "\n"


def _more(rule: Rule, style: Style) -> Iterator[str]:
    """Where a rule is explained: a block says what was found, and how the fleet file mends it."""
    pack = f" --pack {shlex.quote(line(rule.pack))}" if rule.pack and not rule.pack.startswith("muster/") else ""
    yield from style.wrapped("What a rule expects, and how Ansible and Terraform mend it: "
                             f"muster rules show {line(rule.id)}{pack}\n")
    yield "\n"


def _aside(checked: Checked, style: Style) -> Iterator[str]:
    """What was not judged, and waivers that do nothing."""
    report = checked.report
    told = False
    for part in checked.parts:
        for note in part.notes:
            told = True
            yield from style.wrapped(f"{line(note)}\n")
    if report.unmapped:
        told = True
        what = ", ".join(f"{count} {line(kind)}" for kind, count in sorted(report.unmapped.items()))
        yield from style.wrapped(f"Not judged, for they are no VMs that Muster reads: {what}.\n")
    for waiver in report.waivers:
        if waiver["state"] == "used":
            continue
        told = True
        ended = waiver["state"] == "expired"
        did = f"ended on {waiver['until']} and waives nothing" if ended else "waived nothing here"
        yield from style.wrapped(f"The waiver of {line(waiver['rule'])} for {line(', '.join(waiver['vms']))} {did}.\n")
    ran = {rule.id for rule in report.rules}
    others = Counter(stage for rule in checked.rules if rule.id not in ran for stage in rule.stages)
    waiting = sum(rule.id not in ran for rule in checked.rules)
    if waiting:
        told = True
        stages = join([f"{stage} ({count})" for stage, count in others.items()])
        are = "is" if waiting == 1 else "are"
        yield from style.wrapped(f"{plural(waiting, 'rule')} of these packs {are} for other stages and did not run: "
                                 f"{stages}.\n")
    if told:
        yield "\n"


__all__ = ["Style", "sum_line", "write"]
