"""Packs and waivers: whatever a file holds, it is read or refused in one line."""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path

from muster.policy.evaluate import check
from muster.policy.packfile import load_rules
from muster.policy.rule import STAGES
from muster.policy.rulefile import PackError
from muster.policy.selftest import NOW
from muster.policy.waivers import WaiverError, load_waivers

from .choices import Choices
from .words import of_yaml

LONGEST = 1500


def pack(data: bytes) -> None:
    """A pack is rules that can be asked, or one line."""
    with tempfile.TemporaryDirectory(prefix="muster-fuzz-") as folder:
        path = Path(folder) / "pack.yml"
        path.write_bytes(data)
        (Path(folder) / "other.yml").write_bytes(data)
        try:
            rules = load_rules([str(path)])
        except PackError as error:
            _line(error, path)
            return
    documents = [case for rule in rules for case in (*rule.passing, *rule.failing)]
    for stage in STAGES if len(documents) < 30 else ():
        report = check(documents, rules, stage, now=NOW)
        assert all(finding.sentence for finding in report.findings)


def pack_of_words(data: bytes) -> None:
    """The same of files whose words are those of a pack."""
    pack(of_yaml(Choices(data), "pack").encode("utf-8", "surrogatepass"))


def waivers(data: bytes) -> None:
    """Waivers are waivers, each with a day, a reason and names, or one line."""
    with tempfile.TemporaryDirectory(prefix="muster-fuzz-") as folder:
        path = Path(folder) / "waivers.yml"
        path.write_bytes(data)
        try:
            found = load_waivers(path)
        except WaiverError as error:
            _line(error, path)
            return
    for waiver in found:
        assert waiver.vms
        assert waiver.reason.strip()
        assert waiver.approver.strip()
        assert waiver.covers(waiver.rule, waiver.vms[0].replace("*", "web"), waiver.until)
        assert not waiver.covers(waiver.rule, waiver.vms[0], date.max) or waiver.until == date.max


def waivers_of_words(data: bytes) -> None:
    """The same of files whose words are those of waivers."""
    waivers(of_yaml(Choices(data), "waivers").encode("utf-8", "surrogatepass"))


def _line(error: Exception, path: Path) -> None:
    text = str(error)
    assert text.startswith(str(path.parent)), text
    assert "\n" not in text
    assert "\x1b" not in text
    assert len(text) < LONGEST + 4 * len(str(path)), text
    assert text.endswith("."), text
