"""A check as OSCAL assessment results: an observation for each rule and outcome, a finding for each control.

Controls are those of the frameworks that were asked for, NIST SP 800-53 by default. A control is satisfied only where
every rule that evidences it ran and none found anything; what is a gap, or out of reach of rules, was not reviewed and is
not in the document. The same check of the same fleet has the same identifiers, so that two documents can be compared.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

from ..framework import Framework, by_control, load_framework
from ..rule import Finding
from ..wording import printable
from .checked import Checked, Part

_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://github.com/muster-fleet/muster/oscal")
_DEFAULT = "nist_800_53"
_REASONS = {"met": "pass", "failed": "fail"}
_VERDICTS = ("met", "failed", "unknown", "waived")
_TOLD = ("pass", "fail", "unknown", "waived", "error")


def write(checked: Checked) -> Iterator[str]:
    """The document, in one piece. Raises ImportError where compliance-trestle is missing."""
    from trestle.oscal import OSCAL_VERSION
    from trestle.oscal.assessment_results import AssessmentResults, ImportAp
    from trestle.oscal.common import BackMatter, Metadata, Resource

    plan = _id("plan", checked.name)
    document = AssessmentResults(
        uuid=_id("results", checked.name, checked.generated),
        metadata=Metadata.model_validate({
            "title": _line(f"Muster: {checked.name}"), "last-modified": checked.now, "version": checked.generated,
            "oscal-version": OSCAL_VERSION}),
        import_ap=ImportAp(href=f"#{plan}"),
        results=[_result(checked, part) for part in checked.parts],
        back_matter=BackMatter(resources=[Resource(
            uuid=plan, title="The rules of this check",
            description=_text(f"There is no assessment plan beside the rules themselves: {_packs(checked)}."))]),
    )
    return iter([document.oscal_serialize_json(pretty=True), "\n"])


def _packs(checked: Checked) -> str:
    return ", ".join(dict.fromkeys(rule.pack for rule in checked.rules)) or "none"


def _result(checked: Checked, part: Part) -> Any:
    from trestle.oscal.assessment_results import LocalDefinitions1, Result
    from trestle.oscal.common import ControlSelections, ControlSelectionsAll, IncludeAll, InventoryItem, ReviewedControls

    key = (checked.name, part.source, part.report.stage)
    observations = list(_observations(checked, part, key))
    frameworks = checked.frameworks or (load_framework(_DEFAULT),)
    findings = [finding for framework in frameworks
                for finding in _findings(checked, part, framework, key, {rule for rule, _one in observations})]
    controls = list(dict.fromkeys(control for control, _one in findings))
    selection = ControlSelections.model_validate({"include-controls": [{"control-id": one} for one in controls]}) \
        if controls else ControlSelectionsAll(include_all=IncludeAll())
    items = {_subject(subject.name, subject.site, subject.address): subject for subject in part.report.subjects}
    return Result(
        uuid=_id("result", *key),
        title=_line(f"Stage {part.report.stage} of {part.source or checked.name}"),
        description="What the rules said of the VMs. Unknown is never passed.",
        start=checked.now, end=checked.now,
        local_definitions=LocalDefinitions1(inventory_items=[
            InventoryItem(uuid=one, description=_text(" at ".join(
                text for text in (subject.name or subject.address or "a VM without a name", subject.site) if text)))
            for one, subject in items.items()]) if items else None,
        reviewed_controls=ReviewedControls(control_selections=[selection]),
        observations=[one for _rule, one in observations] or None,
        findings=[one for _control, one in findings] or None,
    )


def _observations(checked: Checked, part: Part, key: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """The id of the rule and the observation, for each rule and outcome."""
    from trestle.oscal.common import Observation, Property, SubjectReference

    groups: dict[tuple[str, str], list[Finding]] = {}
    for _subject_, found in part.by_subject():
        for finding in found:
            if finding.outcome in _TOLD:
                groups.setdefault((finding.rule, finding.outcome), []).append(finding)
    for (rule, outcome), found in groups.items():
        first = found[0]
        yield rule, Observation(
            uuid=_id("observation", *key, rule, outcome),
            title=_line(f"{first.title}: {outcome}"),
            description=_text(first.of.why),
            props=[Property(name="rule", value=rule), Property(name="outcome", value=outcome),
                   Property(name="severity", value=first.severity)],
            methods=["TEST"],
            subjects=[SubjectReference(
                subject_uuid=_subject(one.vm, one.site, one.address), type="inventory-item",
                title=_line(one.vm or one.address or "a VM without a name"),
                remarks=None if outcome == "pass" else _text(one.sentence)) for one in found],
            collected=checked.now,
        )


def _findings(checked: Checked, part: Part, framework: Framework, key: tuple[str, ...],
              seen: set[str]) -> Iterator[tuple[str, Any]]:
    """The control and the finding, for each control of which a rule said something."""
    from trestle.oscal.common import Finding as Judged
    from trestle.oscal.common import FindingTarget, ObjectiveStatus, RelatedObservation

    outcomes = {(finding.rule, finding.outcome) for _s, found in part.by_subject() for finding in found}
    for row in by_control(part.report.by_rule(), checked.rules, framework):
        evidence = [(rule, outcome) for rule in row["rules"] if rule in seen for outcome in _TOLD
                    if (rule, outcome) in outcomes]
        if row["verdict"] not in _VERDICTS or not evidence:
            continue
        control = _token(framework.name, row["control"])
        met = row["verdict"] == "met"
        yield control, Judged(
            uuid=_id("finding", *key, framework.name, row["control"]),
            title=_line(f"{framework.title} {row['control']}: {row['title']}"),
            description=f"{row['verdict'].capitalize()}, by the rules {', '.join(row['rules'])}.",
            target=FindingTarget(
                type="objective-id", target_id=control,
                status=ObjectiveStatus(state="satisfied" if met else "not-satisfied",
                                       reason=_REASONS.get(row["verdict"], "other"))),
            related_observations=[RelatedObservation(observation_uuid=_id("observation", *key, rule, outcome))
                                  for rule, outcome in evidence],
        )


def _token(framework: str, control: str) -> str:
    """The control's id as OSCAL writes ids: ``ac-6.2`` for NIST's AC-6(2), elsewhere the framework and the number."""
    plain = re.sub(r"\(([0-9A-Za-z]+)\)", r".\1", control)
    if framework == _DEFAULT:
        return plain.lower()
    return f"{framework}-{re.sub('[^A-Za-z0-9.-]', '-', plain)}"


def _subject(name: str, site: str, address: str) -> str:
    return _id("vm", address or name, site)


def _id(*parts: str) -> str:
    return str(uuid.uuid5(_SPACE, "\0".join(parts).encode("utf-8", "replace").decode()))


def _line(text: str) -> str:
    return " ".join(printable(text).split())[:500] or "unnamed"


def _text(text: str) -> str:
    return printable(text)
