"""A check as OSCAL assessment results: an observation for each rule and outcome, a finding for each control.

Controls are those of the frameworks that were asked for, NIST SP 800-53 by default. A control is satisfied only where
every rule that evidences it ran and none found anything; what is a gap, or out of reach of rules, was not reviewed and
is not in the document. The same check of the same fleet has the same identifiers, so that documents can be compared.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Iterator
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

Row = dict[str, Any]


def write(checked: Checked) -> Iterator[str]:
    """The document, in one piece. Raises ImportError where compliance-trestle is missing."""
    from trestle.oscal import OSCAL_VERSION
    from trestle.oscal.assessment_results import AssessmentResults

    plan = _id("plan", checked.name)
    document = AssessmentResults.model_validate({
        "uuid": _id("results", checked.name, checked.generated),
        "metadata": {"title": _line(f"Muster: {checked.name}"), "last-modified": checked.generated,
                     "version": checked.generated, "oscal-version": OSCAL_VERSION},
        "import-ap": {"href": f"#{plan}"},
        "results": [_result(checked, part) for part in checked.parts],
        "back-matter": {"resources": [{
            "uuid": plan, "title": "The rules of this check",
            "description": f"There is no assessment plan beside the rules themselves: {printable(_packs(checked))}."}]},
    })
    return iter([document.oscal_serialize_json(pretty=True), "\n"])


def _packs(checked: Checked) -> str:
    return ", ".join(dict.fromkeys(rule.pack for rule in checked.rules)) or "none"


def _result(checked: Checked, part: Part) -> Row:
    key = (checked.name, part.source, part.report.stage)
    groups: dict[tuple[str, str], list[Finding]] = {}
    for _subject, found in part.by_subject():
        for finding in found:
            if finding.outcome in _TOLD:
                groups.setdefault((finding.rule, finding.outcome), []).append(finding)
    findings = [row for framework in checked.frameworks or (load_framework(_DEFAULT),)
                for row in _findings(checked, part, framework, key, groups)]
    controls = dict.fromkeys(row["target"]["target-id"] for row in findings)
    items = [{"uuid": _vm(subject.name, subject.site, subject.address), "description": _line(" at ".join(
        text for text in (subject.name or subject.address or "a VM without a name", subject.site) if text))}
        for subject in part.report.subjects]
    return {
        "uuid": _id("result", *key),
        "title": _line(f"Stage {part.report.stage} of {part.source or checked.name}"),
        "description": "What the rules said of the VMs. Unknown is never passed.",
        "start": checked.generated,
        "end": checked.generated,
        "reviewed-controls": {"control-selections": [
            {"include-controls": [{"control-id": one} for one in controls]} if controls else {"include-all": {}}]},
        # OSCAL has no empty lists.
        **({"local-definitions": {"inventory-items": items}} if items else {}),
        **({"observations": [_observation(checked, key, found) for found in groups.values()]} if groups else {}),
        **({"findings": findings} if findings else {}),
    }


def _observation(checked: Checked, key: tuple[str, ...], found: list[Finding]) -> Row:
    """What one rule said in one way of all these VMs."""
    first = found[0]
    told = first.outcome != "pass"
    return {
        "uuid": _id("observation", *key, first.rule, first.outcome),
        "title": _line(f"{first.title}: {first.outcome}"),
        "description": printable(first.of.why),
        "props": [{"name": "rule", "value": first.rule}, {"name": "outcome", "value": first.outcome},
                  {"name": "severity", "value": first.severity}],
        "methods": ["TEST"],
        "subjects": [{"subject-uuid": _vm(one.vm, one.site, one.address), "type": "inventory-item",
                      "title": _line(one.vm or one.address or "a VM without a name"),
                      **({"remarks": printable(one.sentence)} if told else {})} for one in found],
        "collected": checked.generated,
    }


def _findings(checked: Checked, part: Part, framework: Framework, key: tuple[str, ...],
              groups: Collection[tuple[str, str]]) -> Iterator[Row]:
    """A finding for each control of which a rule said something."""
    for row in by_control(part.report.by_rule(), checked.rules, framework):
        evidence = [(rule, outcome) for rule in row["rules"] for outcome in _TOLD if (rule, outcome) in groups]
        if row["verdict"] not in _VERDICTS or not evidence:
            continue
        status = {"state": "satisfied" if row["verdict"] == "met" else "not-satisfied",
                  "reason": _REASONS.get(row["verdict"], "other")}
        yield {
            "uuid": _id("finding", *key, framework.name, row["control"]),
            "title": _line(f"{framework.title} {row['control']}: {row['title']}"),
            "description": f"{row['verdict'].capitalize()}, by the rules {', '.join(row['rules'])}.",
            "target": {"type": "objective-id", "target-id": _token(framework.name, row["control"]), "status": status},
            "related-observations": [{"observation-uuid": _id("observation", *key, *one)} for one in evidence],
        }


def _token(framework: str, control: str) -> str:
    """The control's id as OSCAL writes ids: ``ac-6.2`` for NIST's AC-6(2), elsewhere the framework and the number."""
    plain = re.sub(r"\(([0-9A-Za-z]+)\)", r".\1", control)
    if framework == _DEFAULT:
        return plain.lower()
    return f"{framework}-{re.sub('[^A-Za-z0-9.-]', '-', plain)}"


def _vm(name: str, site: str, address: str) -> str:
    return _id("vm", address or name, site)


def _id(*parts: str) -> str:
    return str(uuid.uuid5(_SPACE, "\0".join(parts).encode("utf-8", "replace").decode()))


def _line(text: str) -> str:
    return " ".join(printable(text).split())[:500] or "unnamed"
