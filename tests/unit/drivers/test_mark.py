"""The ownership mark: what is not surely ours is not ours."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.drivers.libvirt import mark as marks
from muster.model.vm import Mark

GOOD: dict[str, Any] = {
    "fleet": "acme",
    "vm": "web",
    "operation": "20260101-000000-converge-abcdef",
    "built": True,
    "ready": True,
    "seed": "s",
    "fields": {"tags": {"owner": "shop"}},
}


def domain(text: str, tag: str = marks.TAG) -> ET.Element:
    root = ET.Element("domain")
    ET.SubElement(ET.SubElement(root, "metadata"), tag).text = text
    return root


def read(change: dict[str, Any]) -> marks.Written | None:
    return marks.read(domain(json.dumps({**GOOD, **change})))


def test_round_trip() -> None:
    written = read({})
    assert written is not None
    assert written.mark == Mark("acme", "web", GOOD["operation"])
    root = ET.Element("domain")
    ET.SubElement(root, "metadata").append(marks.element(written))
    assert marks.read(ET.fromstring(ET.tostring(root))) == written


def test_an_unfinished_vm_is_known_as_such() -> None:
    for value in (False, None, 0, "yes"):
        written = read({"built": value})
        assert written is not None
        assert not written.built


def test_a_twin_of_a_drill_is_of_another_fleet() -> None:
    written = read({"fleet": "acme/drill"})
    assert written is not None
    assert written.mark.fleet == "acme/drill"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "{",
        "[]",
        "5",
        "null",
        '"text"',
        "{}",
        "[" * 100_000,
        "x" * (300 << 10),
        '{"fleet": "acme"}',
        '{"fleet": "acme", "vm": "web", "fields": [1]}',
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_mark_owns_nothing(text: str) -> None:
    assert marks.read(domain(text)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"fleet": None},
        {"fleet": "ACME"},
        {"fleet": "a b"},
        {"fleet": "acme/drill/x"},
        {"fleet": "../acme"},
        {"fleet": 5},
        {"fleet": ["acme"]},
        {"vm": None},
        {"vm": "../web"},
        {"vm": "web\n"},
        {"vm": "-oProxyCommand=reboot"},
        {"vm": "{{ x }}"},
        {"operation": "x -o ProxyCommand=reboot"},
        {"operation": "a" * 200},
        {"operation": {"a": 1}},
        {"fields": 5},
        {"fields": "text"},
        {"fields": {"tags": 5}},
        {"fields": {"tags": {"a": ["b"]}}},
        {"fields": {"protection": "high"}},
        {"fields": {"protection": {"deletion": "perhaps"}}},
        {"fields": {"disks": 5}},
        {"fields": {"disks": [5]}},
        {"fields": {"nics": [{"name": "nic0"}]}},
        {"fields": {"nics": {"a": 1}}},
        {"fields": {"health": {"tcp": 1}}},
        {"fields": {"ports": 5}},
        {"fields": {"ports": {"nic0": {"22": "x"}}}},
        {"fields": {"ports": {"nic0": {"x": 22}}}},
        {"fields": {"ports": {"nic0": {"22": 99999}}}},
        {"fields": {"ports": {"nic0": {"22": float("inf")}}}},
        {"fields": {"ports": {"nic0": {"22": True}}}},
        {"fields": {"ports": {"nic0": {"\u0662\u0662": 22}}}},
        {"seed": {"a": 1}},
        {"seed": "\x1b[31m"},
        {"seed": "\ud800"},
    ],
    ids=str,
)
def test_a_mark_that_muster_cannot_have_written_owns_nothing(change: dict[str, Any]) -> None:
    """Somebody changed it by hand, or wrote it to be believed: the VM is left alone, and the listing goes on."""
    assert read(change) is None


def test_what_is_read_is_in_normal_form() -> None:
    """Whoever reads a mark trusts its types: a port that was checked as a number is one."""
    written = read({"fields": {"protection": {"rpo": "24h"}, "health": [{"tcp": {"port": "22"}}]}})
    assert written is not None
    assert written.fields == {"protection": {"rpo": 86400}, "health": [{"tcp": {"port": 22}}]}


def test_another_namespace_is_no_mark() -> None:
    assert marks.read(domain(json.dumps(GOOD), "{https://evil.example/}vm")) is None
    assert marks.read(ET.fromstring("<domain/>")) is None


@given(st.text(max_size=200))
def test_no_text_is_an_error(text: str) -> None:
    marks.read(domain(text))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["fleet", "vm", "fields", "tags", "disks", "nics", "ports", "a"]), inner, max_size=4
            )
        ),
    )
)
def test_no_document_is_an_error(document: Any) -> None:
    marks.read(domain(json.dumps(document)))
    marks.read(domain(json.dumps({**GOOD, "fields": document})))
