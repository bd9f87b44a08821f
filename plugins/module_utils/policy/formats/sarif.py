"""A check as SARIF 2.1.0, for code scanning: a run for each source and stage.

What failed is a result of the kind ``fail`` with the severity as its level, what is unknown one of the kind ``open``,
and what is waived is suppressed with the waiver's sentence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from ..remedy import in_words
from ..rule import Finding, Rule
from ..wording import printable
from .checked import Checked, Part

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
PAGES = "https://github.com/muster-fleet/muster"
_LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note"}
_SCORES = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "2.0"}  # as code scanning ranks security findings


def write(checked: Checked) -> Iterator[str]:
    """The log, result by result. Raises ImportError where sarif-pydantic is missing."""
    import sarif_pydantic  # noqa: F401 told before anything is written

    return _log(checked)


def _log(checked: Checked) -> Iterator[str]:
    yield f'{{"$schema": "{SCHEMA}",\n"version": "2.1.0",\n"runs": ['
    for number, part in enumerate(checked.parts):
        yield ",\n" if number else "\n"
        rules = part.report.rules
        places = {rule.id: place for place, rule in enumerate(rules)}
        run = _run(checked, part, rules).model_dump_json(by_alias=True, exclude_none=True)
        yield f'{run[:-1]},\n"results": ['
        before = "\n"
        for finding in part.report.attention():
            result = _result(finding, part, places[finding.rule])
            yield before + result.model_dump_json(by_alias=True, exclude_none=True)
            before = ",\n"
        yield "]}"
    yield "]}\n"


def _run(checked: Checked, part: Part, rules: list[Rule]) -> Any:
    from sarif_pydantic import Invocation, Run, Tool, ToolDriver

    driver = ToolDriver(name="Muster", information_uri=PAGES, rules=[_rule(rule) for rule in rules])
    return Run(
        tool=Tool(driver=driver),
        invocations=[Invocation(execution_successful=True, end_time_utc=checked.now)],
        properties={"stage": part.report.stage, "source": printable(part.source)},
        columnKind="unicodeCodePoints",
    )


def _rule(rule: Rule) -> Any:
    from sarif_pydantic import Message, ReportingConfiguration, ReportingDescriptor

    fix = in_words(rule.fix)
    tags = ["security", *(f"{framework}:{one}" for framework, ids in rule.controls.items() for one in ids)]
    return ReportingDescriptor(
        id=rule.id,
        short_description=Message(text=printable(rule.title)),
        full_description=Message(text=printable(rule.why)),
        help=Message(text=printable(f"{rule.why} {fix}".strip())),
        default_configuration=ReportingConfiguration(level=_LEVELS[rule.severity]),
        properties={"tags": tags, "security-severity": _SCORES[rule.severity], "severity": rule.severity},
    )


def _result(finding: Finding, part: Part, place: int) -> Any:
    from sarif_pydantic import Message, Result
    from sarif_pydantic.sarif import Suppression

    failed = finding.outcome in ("fail", "error", "waived")
    identity = "\0".join((finding.rule, finding.stage, finding.site, finding.address or finding.vm))
    return Result(
        rule_id=finding.rule,
        rule_index=place,
        kind="fail" if failed else "open",
        level=_LEVELS[finding.severity] if failed else "none",
        message=Message(text=printable(finding.sentence)),
        locations=[_location(finding, part)],
        partial_fingerprints={"muster/v1": hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()[:32]},
        suppressions=[Suppression(kind="external", status="accepted", justification=printable(finding.clause))]
        if finding.outcome == "waived" else None,
        properties={"outcome": finding.outcome},
    )


def _location(finding: Finding, part: Part) -> Any:
    from sarif_pydantic import ArtifactLocation, Location, LogicalLocation, PhysicalLocation, Region

    name = finding.address or "/".join(one for one in (finding.site, finding.vm) if one) or "a VM without a name"
    line = part.lines.get(finding.vm)
    file = part.source if part.report.stage in ("spec", "plan") or line else ""
    return Location(
        physical_location=PhysicalLocation(
            artifact_location=ArtifactLocation(uri=quote(file.encode("utf-8", "surrogateescape"))),
            region=Region(start_line=line) if line else None,
        ) if file else None,
        logical_locations=[LogicalLocation(name=printable(finding.vm or name), fully_qualified_name=printable(name),
                                           kind="resource")],
    )
