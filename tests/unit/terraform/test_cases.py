"""Each resource type: fragments of plans and states, shaped as the providers' published schemas have them, and the
documents that must come of them. The cases are data, in `cases`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from muster.terraform.reading import parse
from muster.terraform.resources.registry import VMS
from terraform_files import COMMON, encoded

CASES = [
    pytest.param(case, id=f"{path.stem}: {case['case']}")
    for path in sorted((Path(__file__).parent / "cases").glob("*.yml"))
    for case in yaml.safe_load(path.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("case", CASES)
def test_case(case: dict[str, Any]) -> None:
    reading = parse(encoded(case), "plan.json")
    expected = case["expect"] if isinstance(case["expect"], list) else [case["expect"]]
    found = [
        {key: value for key, value in document.items() if key not in COMMON or key in wanted}
        for document, wanted in zip(reading.vms, expected, strict=True)
    ]
    assert found == expected
    assert reading.unmapped == case.get("unmapped", {})
    assert list(reading.deleted) == case.get("deleted", [])
    assert list(reading.forgotten) == case.get("forgotten", [])


def test_every_type_has_cases() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (Path(__file__).parent / "cases").glob("*.yml"))
    assert [name for name in VMS if f"{name}." not in text] == []
