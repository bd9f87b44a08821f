"""Whatever stands in a file: a reading or one sentence, never another error, and nothing sensitive in either."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from muster.terraform import TerraformError
from muster.terraform.reading import parse
from terraform_files import files, places, read

HERE = Path(__file__).parent
FILES = files()

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
    | st.sampled_from(["aws_instance", "module.a", "var.x", "create", "[", "1" * 400, "0", "-1", "32G", "\x00"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def put(document: Any, path: tuple[Any, ...], value: Any) -> None:
    for step in path[:-1]:
        document = document[step]
    document[path[-1]] = value


@FEW
@given(st.data(), VALUES)
@pytest.mark.parametrize("number", range(len(FILES)))
def test_any_value_in_any_place(number: int, data: st.DataObject, value: Any) -> None:
    document = copy.deepcopy(FILES[number])
    put(document, data.draw(st.sampled_from(list(places(document)))), value)
    read(json.dumps(document).encode())


@FEW
@given(st.data())
def test_any_place_left_out(data: st.DataObject) -> None:
    document = copy.deepcopy(data.draw(st.sampled_from(FILES)))
    path = data.draw(st.sampled_from(list(places(document))))
    parent = document
    for step in path[:-1]:
        parent = parent[step]
    del parent[path[-1]]
    read(json.dumps(document).encode())


@FEW
@given(st.data())
def test_any_byte_changed_or_cut(data: st.DataObject) -> None:
    text = bytearray(json.dumps(data.draw(st.sampled_from(FILES))).encode())
    place = data.draw(st.integers(0, len(text) - 1))
    text[place] = data.draw(st.integers(0, 255))
    read(bytes(text))
    read(bytes(text[:place]))


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    read(data)
    read(b'{"format_version":"1.2","resource_changes":[' + data + b"]}")


def resources(document: dict[str, Any]) -> list[dict[str, Any]]:
    return document.get("resource_changes") or []


@FEW
@given(st.data())
def test_a_value_that_is_marked_sensitive_is_nowhere(data: st.DataObject) -> None:
    """Every text of one resource is replaced by a canary and marked, all of it or attribute by attribute."""
    document = copy.deepcopy(data.draw(st.sampled_from([each for each in FILES if resources(each)])))
    change = data.draw(st.sampled_from(resources(document)))["change"]
    if not isinstance(change["after"], dict):
        return
    canary = "C4N4RY"
    for path in list(places(change["after"])):
        found: Any = change["after"]
        for step in path:
            found = found[step]
        if isinstance(found, str):
            put(change["after"], path, canary)
    whole = data.draw(st.booleans())
    change["after_sensitive"] = True if whole else dict.fromkeys(change["after"], True)
    text = json.dumps(document)
    try:
        shown = repr(parse(text.encode(), "plan.json"))
    except TerraformError as error:
        shown = str(error)
    assert canary not in shown


@FEW
@given(st.data())
def test_what_is_unknown_is_never_a_value(data: st.DataObject) -> None:
    """An attribute that moves from the values to the unknown takes its field along, into `unknown` or away.

    A VM without a name is still called something: by its address.
    """
    document = copy.deepcopy(data.draw(st.sampled_from([each for each in FILES if resources(each)])))
    change = data.draw(st.sampled_from(resources(document)))["change"]
    if not isinstance(change["after"], dict) or not change["after"]:
        return
    change["after_unknown"] = dict.fromkeys(change["after"], True)
    change["after"] = {}
    reading = read(json.dumps(document).encode())
    assert reading is not None
    for vm in reading.vms:
        for path in vm.get("unknown", []):
            value: Any = vm
            for name, index in re.findall(r"([A-Za-z_][A-Za-z0-9_-]*)|\[(\d+)\]", path):
                value = value.get(name, None) if name and isinstance(value, dict) else (
                    value[int(index)] if index and isinstance(value, list) else None)
            assert not value or path == "name", f"{path} is unknown and yet {value!r}"


def test_reading_twice_is_the_same() -> None:
    for document in FILES:
        data = json.dumps(document).encode()
        assert parse(data) == parse(data)


@pytest.mark.parametrize("size", [8_589_934_592, 1 << 52])
def test_a_size_beyond_all_disks_is_still_judged(size: int) -> None:
    document = copy.deepcopy(next(each for each in FILES if '"google_compute_instance"' in json.dumps(each)))
    places_of = [path for path in places(document) if path[-1] == "size" and "initialize_params" in path]
    for path in places_of:
        put(document, path, size)
    assert places_of
    assert read(json.dumps(document).encode())
