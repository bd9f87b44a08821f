"""``muster check``: fleet files, plans, states and sites against packs of rules."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from . import output
from .errors import CannotCheckError
from .sources import Given, guests, read, with_guests

if TYPE_CHECKING:
    from ..policy import Report
    from ..policy.formats import Checked
    from ..policy.framework import Framework
    from ..policy.rule import Rule
    from ..policy.waivers import Waiver

CLEAN, FINDINGS = 0, 1
DEFAULT_PACK = "muster/baseline"
INSPECT_PACK = "muster/inspect"


def run(options: argparse.Namespace) -> int:
    """Check what `options` names and write the report. Returns the exit code: 0 clean, 1 findings. Raises
    CannotCheckError, and then nothing was written."""
    from ..policy.formats import FormatError, pieces
    from ..policy.formats.text import Style, sum_line, write

    checked = judge(options)
    if options.format == "text":
        style = Style() if options.output else Style(output.colour(), output.width())
        written = write(checked, style)
    else:
        try:
            written = pieces(options.format, checked)
        except FormatError as error:
            raise CannotCheckError(str(error)) from None
    if options.output:
        output.to_file(options.output, written)
        told = [f"{part.missing}\n" for part in checked.parts if part.missing]
        output.to_terminal([*told, f"{options.output}: {sum_line(checked, Style(output.colour()))}\n"])
    else:
        output.to_terminal(written)
    lost = any(part.missing for part in checked.parts)
    return FINDINGS if options.fail_on and (lost or checked.report.at_least(options.fail_on)) else CLEAN


def judge(options: argparse.Namespace) -> Checked:
    """The check itself. Raises CannotCheckError."""
    from ..policy.evaluate import check
    from ..policy.formats import Checked, Part, inspected

    began = time.monotonic()
    now = datetime.now(UTC)
    given = _given(options)
    rules = _rules(options.pack or ([INSPECT_PACK] if options.every else _packs_of(given)))
    waivers = _waivers(options.waivers, given)
    frameworks = _frameworks(options.framework)
    if not any(one.stage in rule.stages for one in given for rule in rules):
        stages = ", ".join(dict.fromkeys(one.stage for one in given))
        there = ", ".join(dict.fromkeys(stage for rule in rules for stage in rule.stages))
        raise CannotCheckError(f"No rule of these packs is for the stage {stages}, so nothing was judged; they are for "
                               f"{there}. Name other packs with --pack.")
    parts = []
    for one in given:
        report = check(one.documents, rules, one.stage, waivers, now=now)
        _endless(report)
        if one.unmapped:
            report = replace(report, unmapped=dict(one.unmapped))
        vms = [inspected(document) for document in one.documents if document.get("kind") != "site"]
        parts.append(Part(report, one.source, one.lines, vms, one.notes, one.missing))
    name = next((one.fleet.name for one in given if one.fleet), given[0].source)
    return Checked(name, tuple(parts), rules, now, time.monotonic() - began, frameworks)


def _given(options: argparse.Namespace) -> list[Given]:
    if bool(options.files) == bool(options.site):
        raise CannotCheckError("Give either files or a site: 'muster check fleet.yml plan.json', or 'muster check "
                               "--site lab --fleet fleet.yml'.")
    if options.files.count("-") > 1:
        raise CannotCheckError("Standard input can be read once; give '-' once.")
    if options.site:
        from .site import ask

        given = [ask(options.fleet, options.site, options.every)]
    else:
        given = [read(path) for path in dict.fromkeys(options.files)]
    if not options.guests:
        return given
    facts = guests(options.guests)
    inside = [
        replace(one, stage="guest", documents=with_guests(vms, facts), notes=(), missing="", unmapped={})
        for one in given
        if one.stage != "plan" and (vms := [vm for vm in one.documents if vm.get("kind") != "site"])
    ]
    known = {document["name"] for one in inside for document in one.documents}
    stray = [name for name in facts if name not in known]
    if not inside or stray:
        what = f"has facts of '{stray[0]:.80}', which is no VM that is checked" if stray else "has facts, and no VM is"
        raise CannotCheckError(f"{options.guests}: {what}. Give the fleet file or the site of these guests.")
    return given + inside


def _packs_of(given: Iterable[Given]) -> list[str]:
    """The packs that the fleet files name, else the baseline."""
    named = dict.fromkeys(pack for one in given if one.fleet for pack in one.fleet.rules)
    return list(named) or [DEFAULT_PACK]


def _rules(packs: Sequence[str]) -> tuple[Rule, ...]:
    from ..policy.packfile import PackError, load_rules

    try:
        return load_rules(packs)
    except PackError as error:
        raise CannotCheckError(str(error)) from None


def _waivers(path: str | None, given: Iterable[Given]) -> tuple[Waiver, ...]:
    """Those of the file at `path`, and those of the fleet files."""
    from ..policy.waivers import WaiverError, load_waivers

    fleets = {id(source.fleet): source.fleet for source in given if source.fleet}
    found = [waiver for fleet in fleets.values() for waiver in fleet.waivers]
    try:
        return (*found, *(load_waivers(path) if path else ()))
    except WaiverError as error:
        raise CannotCheckError(str(error)) from None


def _frameworks(names: Sequence[str]) -> tuple[Framework, ...]:
    if not names:
        return ()
    from ..policy.framework import FrameworkError, load_framework

    try:
        return tuple(load_framework(name) for name in dict.fromkeys(names))
    except FrameworkError as error:
        raise CannotCheckError(str(error)) from None


def _endless(report: Report) -> None:
    """Refuse a rule that no document of a check could be judged by within its bounds: the rule is wrong, and its
    findings would tell nothing. Where it could judge some, the others are findings."""
    from ..policy.report import CODES
    from ..policy.runtime import MAX_WORK

    for table in report.tables:
        for finding in table.findings:
            if finding.outcome == "error" and f"{MAX_WORK} steps" in finding.clause:
                number = table.rules.index(finding.of)
                if all(row[number] == CODES["error"] for row in table.outcomes):
                    raise CannotCheckError(f"{finding.of.source}: rule {finding.rule}: {finding.clause}.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``muster check``."""
    add: Any = parser.add_argument
    add("files", nargs="*", metavar="FILE", help="a fleet file, the JSON of 'terraform show -json', or - for "
        "standard input")
    add("--site", metavar="NAME", help="ask this site of the fleet file for its VMs")
    _add_common(add)
    add("--pack", metavar="PACK", action="append", default=[], help="a pack, such as muster/resilience, or the path of "
        "one; repeatable (default: the rules of the fleet file, else muster/baseline)")
    add("--fail-on", choices=["low", "medium", "high", "critical"], default="low", help="the least severity of a "
        "failed rule that makes the exit code 1 (default: low)")
    parser.set_defaults(every=False)


def add_inspect_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``muster inspect``, which is a check of all that a site has."""
    add: Any = parser.add_argument
    add("--site", metavar="NAME", required=True, help="the site of the fleet file to look at")
    _add_common(add)
    add("--pack", metavar="PACK", action="append", default=[], help=f"a pack, or the path of one; repeatable (default: "
        f"{INSPECT_PACK})")
    add("--fail-on", choices=["low", "medium", "high", "critical"], help="the least severity of a failed rule that "
        "makes the exit code 1 (default: none does, this is a report)")
    parser.set_defaults(every=True, files=[])


def _add_common(add: Any) -> None:
    add("--fleet", metavar="FILE", default="fleet.yml", help="the fleet file of --site (default: fleet.yml)")
    add("--guests", metavar="PATH", help="facts of guests to judge too: a JSON file, or the folder that 'ansible -m "
        "muster.fleet.guest_info --tree FOLDER' writes")
    add("--waivers", metavar="FILE", help="waivers beside those of the fleet file")
    add("--format", choices=["text", "json", "sarif", "junit", "csv", "html", "oscal"], default="text",
        help="form of the report (default: text)")
    add("--output", metavar="FILE", help="write the report here, whole or not at all")
    add("--framework", metavar="NAME", action="append", default=[], help="report by control of a framework, such as "
        "pci_dss_4; repeatable")


__all__ = ["CLEAN", "FINDINGS", "add_arguments", "add_inspect_arguments", "judge", "run"]
