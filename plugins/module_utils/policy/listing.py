"""The findings of a page in little room: half a million of them must fit a file that a browser opens at once.

Most of a finding is said by its rule or its VM. Each text stands in a table once, and findings that share rule, stage,
outcome and reason are one group of pairs of numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .remedy import in_words
from .wording import printable

_FRAMEWORKS = {"cis_controls_8": "CIS Controls", "cis_debian_12": "CIS Debian 12",
               "cis_ubuntu_24_04": "CIS Ubuntu 24.04", "gdpr": "GDPR", "hipaa": "HIPAA",
               "nist_800_53": "NIST 800-53", "pci_dss_4": "PCI DSS"}


class Texts:
    """A table of texts, each once; a text is its number."""

    def __init__(self, *known: str) -> None:
        self.numbers: dict[str, int] = {text: number for number, text in enumerate(known)}

    def __call__(self, text: str) -> int:
        return self.numbers.setdefault(text, len(self.numbers))

    def list(self) -> list[str]:
        return [printable(text) for text in self.numbers]


@dataclass(frozen=True)
class Item:
    """One finding, as numbers of the tables of its `Listing`."""

    rule: int
    subject: int
    stage: int
    outcome: int
    clause: int
    reason: int
    since: int
    new: bool


@dataclass
class Listing:
    """Findings in tables, in the order that they came in: the worst first.

    `rules` are [id, title, severity, fix in words, controls], `subjects` [VM, site, where its source has it]. A reason
    is what a sentence says after what was seen, most often why the rule is there. The first of `reasons` and of
    `dates` is empty.
    """

    rules: list[tuple[str, str, str, str, list[str]]] = field(default_factory=list)
    subjects: list[tuple[str, str, str]] = field(default_factory=list)
    stages: Texts = field(default_factory=Texts)
    outcomes: Texts = field(default_factory=Texts)
    clauses: Texts = field(default_factory=Texts)
    reasons: Texts = field(default_factory=lambda: Texts(""))
    dates: Texts = field(default_factory=lambda: Texts(""))
    groups: dict[tuple[int, int, int, int, int, bool], tuple[list[int], list[int]]] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(len(subjects) for subjects, _clauses in self.groups.values())

    def items(self) -> Iterable[Item]:
        """Every finding."""
        for (rule, stage, outcome, reason, since, new), (subjects, clauses) in self.groups.items():
            for subject, clause in zip(subjects, clauses, strict=True):
                yield Item(rule, subject, stage, outcome, clause, reason, since, new)

    def document(self) -> dict[str, Any]:
        """The tables as the page's script reads them. Clauses are one number where a group has but one."""
        return {
            "rules": [[printable(part) if isinstance(part, str) else [printable(one) for one in part] for part in rule]
                      for rule in self.rules],
            "subjects": [[printable(part) for part in subject] for subject in self.subjects],
            "stages": self.stages.list(), "outcomes": self.outcomes.list(), "clauses": self.clauses.list(),
            "reasons": self.reasons.list(), "dates": self.dates.list(),
            "groups": [[*key[:-1], int(key[-1]), subjects, clauses[0] if len(set(clauses)) == 1 else clauses]
                       for key, (subjects, clauses) in self.groups.items()],
        }


def listing(rows: Iterable[Mapping[str, Any]]) -> Listing:
    """The findings `rows` of a run report. What is missing or of a wrong type is empty."""
    made = Listing()
    rules: dict[tuple[str, ...], int] = {}
    subjects: dict[tuple[str, str, str], int] = {}
    for row in rows:
        vm, site, sentence = _text(row, "vm"), _text(row, "site"), _text(row, "sentence")
        fix, outcome = row.get("fix"), _text(row, "outcome")
        # Only what can be mended has a fix; what else a rule says is the same for all its findings.
        named = (_text(row, "rule"), _text(row, "title"), _text(row, "severity"), "fix" if fix else "")
        rule = rules.get(named)
        if rule is None:
            rule = rules[named] = len(made.rules)
            made.rules.append((*named[:3], in_words(fix) if isinstance(fix, Mapping) else "", _controls(row)))
        place = " · ".join(filter(None, (_text(row, "address"), _text(row, "source"))))
        about = (vm, site, place)
        subject = subjects.get(about)
        if subject is None:
            subject = subjects[about] = len(made.subjects)
            made.subjects.append(about)
        for start in (f"{vm} at {site}: ", f"{vm}: "):
            if sentence.startswith(start):
                sentence = sentence[len(start):]
                break
        # What failed is said first, and then why the rule is there; other outcomes say the first alone.
        clause, stop, reason = sentence.partition(". ") if outcome == "fail" else (sentence, "", "")
        key = (rule, made.stages(_text(row, "stage")), made.outcomes(outcome), made.reasons(reason),
               made.dates(_text(row, "since")), row.get("new") is True)
        group = made.groups.setdefault(key, ([], []))
        group[0].append(subject)
        group[1].append(made.clauses(clause + stop.rstrip()))
    return made


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) else "" if value is None else str(value)


def _controls(row: Mapping[str, Any]) -> list[str]:
    controls = row.get("controls")
    if not isinstance(controls, Mapping):
        return []
    return [f"{_FRAMEWORKS.get(framework, framework)} {one}" for framework, ids in controls.items()
            if isinstance(ids, (list, tuple)) for one in ids]
