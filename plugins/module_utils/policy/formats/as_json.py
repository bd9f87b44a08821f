"""A check as JSON: the run report of docs/report.schema.json, a VM, a rule and a finding on each line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..rule import Finding
from .checked import Checked, Part

_LISTS = ("vms", "rules", "stages", "waivers", "frameworks")


def write(checked: Checked) -> Iterator[str]:
    """The report, line by line."""
    compliance = checked.summary()
    yield "{"
    yield from _members(checked.head())
    yield ',\n"compliance": {'
    yield from _members(compliance)
    yield ',\n"findings": ['
    encode = _encoder(len(checked.parts) > 1)
    yield from _lines(encode(finding, part) for finding, part in checked.attention())
    yield "]}}\n"


def _members(values: dict[str, Any]) -> Iterator[str]:
    """The members of an object, those that are lists of many with an item on each line."""
    for number, (key, value) in enumerate(values.items()):
        yield f'{"," if number else ""}\n"{key}": '
        if key in _LISTS:
            yield "["
            yield from _lines(_dumps(row) for row in value)
            yield "]"
        else:
            yield _dumps(value)


def _lines(rows: Iterable[str]) -> Iterator[str]:
    before = "\n"
    for row in rows:
        yield before + row
        before = ",\n"


def _encoder(several: bool) -> Callable[[Finding, Part], str]:
    """Encodes findings as `Finding.document` has them, and the place of each VM. What a rule says of each of its
    findings is encoded once."""
    quote = json.encoder.encode_basestring_ascii
    fixed: dict[tuple[str, str], tuple[str, str]] = {}

    def encode(finding: Finding, part: Part) -> str:
        key = (finding.rule, finding.outcome)
        if key not in fixed:
            whole = finding.document()
            fixed[key] = (
                _dumps({name: whole[name] for name in ("rule", "title", "severity", "outcome")})[:-1],
                _dumps({name: whole[name] for name in ("fix", "controls")})[1:],
            )
        before, after = fixed[key]
        line = part.lines.get(finding.vm)
        source = f'"source": {quote(f"{part.source}:{line}" if line else part.source)}, ' if line or several else ""
        address = f'"address": {quote(finding.address)}, ' if finding.address else ""
        return (f'{before}, "vm": {quote(finding.vm)}, "site": {quote(finding.site)}, "stage": "{finding.stage}", '
                f'"sentence": {quote(finding.sentence)}, {address}{source}{after}')

    return encode


def _dumps(value: Any) -> str:
    return json.dumps(value, allow_nan=False, default=str)
