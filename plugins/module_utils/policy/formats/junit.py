"""A check as JUnit XML, for a CI server's page of tests: a suite for each VM, a test for each rule.

What failed is a failure, a rule in error an error; what is unknown or waived is skipped with its reason. Rules that do
not apply are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..remedy import in_words
from ..report import Subject
from ..rule import Finding
from ..wording import printable
from .checked import Checked, Part

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_NAMELESS = "a VM without a name"


def write(checked: Checked) -> Iterator[str]:
    """The tests, suite by suite. Raises ImportError where junitparser is missing."""
    import junitparser  # noqa: F401 told before anything is written

    return _suites(checked)


def _suites(checked: Checked) -> Iterator[str]:
    totals = checked.report.totals
    tests = sum(totals.values()) - totals["not_applicable"]
    yield ('<?xml version="1.0" encoding="UTF-8"?>\n'
           f'<testsuites name="muster" tests="{tests}" failures="{totals["failed"]}" errors="{totals["errors"]}" '
           f'time="{checked.seconds:.3f}">\n')
    for part in checked.parts:
        for subject, found in part.by_subject():
            cases = [_case(finding, part) for finding in found if finding.outcome != "not_applicable"]
            if cases:
                yield f"{_suite(subject, cases, part, checked).tostring().decode()}\n"
    yield "</testsuites>\n"


def _suite(subject: Subject, cases: list[Any], part: Part, checked: Checked) -> Any:
    from junitparser import TestSuite

    where = subject.address or " at ".join(one for one in (subject.name, subject.site) if one) or _NAMELESS
    suite = TestSuite(_text(f"{where} ({part.report.stage})"))
    suite.timestamp = checked.now.replace(tzinfo=None).isoformat(timespec="seconds")
    suite.hostname = _text(subject.name)
    suite.add_testcases(cases)
    return suite


def _case(finding: Finding, part: Part) -> Any:
    from junitparser import Error, Failure, Skipped, TestCase

    name = f"{finding.rule}: {finding.title}"
    case = TestCase(_text(name), classname=_text(finding.address or finding.vm or _NAMELESS))
    if finding.outcome == "pass":
        return case
    kind = {"fail": Failure, "error": Error}.get(finding.outcome, Skipped)
    result = kind(_text(finding.sentence), finding.severity if kind is not Skipped else finding.outcome)
    line = part.lines.get(finding.vm)
    fix = in_words(finding.fix)
    result.text = _text("\n".join(one for one in (f"{part.source}:{line}" if line else part.source, fix) if one))
    case.result = [result]
    return case


def _text(text: str) -> str:
    """`text` as XML may hold it."""
    return _NO_XML.sub("\ufffd", printable(text))
