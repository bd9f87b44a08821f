"""A check of documents that mean no good: a finding of each rule, no word on anybody else, and reports that hold."""

from __future__ import annotations

import copy
import csv
import io
import json
from functools import cache
from typing import Any
from xml.etree import ElementTree

from muster.policy.context import enrich
from muster.policy.evaluate import check
from muster.policy.formats import Checked, Part, pieces
from muster.policy.packfile import load_rules, shipped
from muster.policy.rule import OUTCOMES, STAGES, Rule
from muster.policy.selftest import NOW

from .choices import Choices
from .expressions import places, put

_KEYS = ("name", "site", "tags", "disks", "nics", "unknown", "kind", "host", "service", "environment", "vlan",
         "network")
_PATHS = ("cpus", "memory", "tags.owner", "tags", "nics", "nics[0].vlan", "disks[0].size", "anti_affinity",
          "neighbours", "tags.service", "guest", "name", "..", "x" * 200)
_QUIET = {"name": "quiet", "site": "lab", "host": "h1", "zone": "z1", "power": "on", "anti_affinity": "g", "cpus": 2,
          "memory": 4 << 30, "tags": {"service": "s", "environment": "production", "owner": "o", "data": "internal"},
          "nics": [{"name": "nic0", "network": "n", "vlan": 5}], "cpu_pinning": "0-1", "platform": "libvirt",
          "disks": [{"name": "root", "size": 10 << 30, "encrypted": True}]}
_SHARED = ("site", "host", "anti_affinity", "tags", "nics", "cpu_pinning", "platform")


@cache
def rules() -> tuple[Rule, ...]:
    """The rules of all packs."""
    return load_rules(shipped())


@cache
def _cases() -> list[dict[str, Any]]:
    return [dict(case) for rule in rules() for case in (*rule.passing, *rule.failing)] + [_QUIET]


def _documents(choices: Choices) -> list[Any]:
    made: list[Any] = []
    for _number in range(1 + choices.below(4)):
        kind = choices.below(12)
        document = choices.value(_KEYS) if kind == 11 else copy.deepcopy(choices.one(_cases()))
        if kind < 6 and isinstance(document, dict):
            document.update({key: copy.deepcopy(_QUIET[key]) for key in _SHARED if choices.below(2)})
        for _change in range(choices.below(4) if isinstance(document, dict) and document else 0):
            spots = [path for path, _value in places(document) if path.replace(".", "").isalpha()]
            path = choices.one(spots or ["name"])
            try:
                put(document, path, choices.value(_KEYS, 2))
            except (KeyError, TypeError, IndexError):
                continue
        if isinstance(document, dict) and choices.below(4) == 0:
            document["unknown"] = [choices.one(_PATHS) for _number in range(choices.below(4))]
        made.append(document)
    return made


def judged(data: bytes) -> None:
    """Each document gets a finding of each rule of its stage, and a quiet VM beside them no error."""
    choices = Choices(data)
    stage = choices.one(STAGES)
    documents = [_QUIET, *_documents(choices)]
    before = copy.deepcopy(documents)
    report = check(documents, rules(), stage, now=NOW)
    assert repr(documents) == repr(before), "a check changed what it was given"
    for about in ("vm", "site"):
        asked = [rule for rule in rules() if stage in rule.stages and rule.about == about]
        those = [one for one in documents if (isinstance(one, dict) and one.get("kind") == "site") is (about == "site")]
        found = [finding for finding in report.findings if finding.of.about == about]
        assert len(found) == len(asked) * len(those)
    for number, finding in enumerate(report.findings):
        assert finding.outcome in OUTCOMES
        assert "that it cannot use (" not in finding.clause, finding.sentence  # a gap in the compiler
        if number < len(asked_of(stage)):
            assert finding.outcome != "error", finding.sentence


def asked_of(stage: str) -> list[Rule]:
    return [rule for rule in rules() if stage in rule.stages and rule.about == "vm"]


def enriched(data: bytes) -> None:
    """What documents know of each other does not depend on their order, and changes nothing that was given."""
    choices = Choices(data)
    documents = [one for one in _documents(choices) if isinstance(one, dict)]
    for number, document in enumerate(documents):
        document["name"] = str(number)
    before = copy.deepcopy(documents)
    there, back = enrich(documents), enrich(documents[::-1])[::-1]
    assert repr(documents) == repr(before)
    for one, other in zip(there, back, strict=True):
        assert one.keys() == other.keys()
        for key in one.keys() - {"peers", "siblings", "unknown"}:
            assert repr(one[key]) == repr(other[key]), key
        assert sorted(map(repr, one.get("unknown") or ())) == sorted(map(repr, other.get("unknown") or ()))


def written(data: bytes) -> None:
    """Every form of a report can be read by what reads such files, and no name in it acts on a terminal."""
    choices = Choices(data)
    stage = choices.one(STAGES[:3])
    some = asked_of(stage)
    first = choices.below(len(some))
    report = check(_documents(choices), some[first:first + 4], stage, now=NOW)
    checked = Checked(choices.text(), (Part(report, choices.text()),), tuple(some[first:first + 4]), NOW)
    form = choices.one(("text", "json", "csv", "junit", "html", "text", "csv", "json"))
    text = "".join(pieces(form, checked))
    text.encode("utf-8")
    if form == "json":
        json.loads(text)
    elif form == "csv":
        rows = list(csv.reader(io.StringIO(text)))
        assert all(len(row) == len(rows[0]) for row in rows if row)
    elif form == "junit":
        ElementTree.fromstring(text)
    elif form == "html":
        assert text.count("<script") == text.count("</script")
    else:
        assert not set(text) & set("\x00\x07\x1b\x9b\u202e\ud800")
