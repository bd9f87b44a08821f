"""Fleet files that nobody should believe: each is refused with one sentence that names the place and the fix."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from muster.model.errors import FleetErrors, nearest
from muster.model.fleet import load_fleet
from muster.model.yaml_reader import decode

HEAD = "fleet: acme\nsites: {lab: {platform: libvirt}}\n"
BAD = yaml.safe_load(Path(__file__).with_name("bad_fleets.yml").read_text(encoding="utf-8"))


def refusal(text: str) -> str:
    with pytest.raises(FleetErrors) as caught:
        load_fleet(text)
    return str(caught.value)


@pytest.mark.parametrize("case", BAD, ids=[case["name"] for case in BAD])
def test_bad_fleet(case: dict[str, Any]) -> None:
    assert refusal(case["fleet"]) == case["says"].rstrip("\n")


def bomb() -> str:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    pairs = zip("abcdefgh", "bcdefghi", strict=True)
    lines += [f"{name}: &{name} [{', '.join([f'*{below}'] * 9)}]" for below, name in pairs]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(("text", "says"), [
    pytest.param(bomb(), "fleet.yml:1: a: an anchor (&) is not allowed; put what is shared into 'defaults'",
                 id="alias bomb"),
    pytest.param(HEAD + "vms: " + "[" * 10_000, "fleet.yml:3: vms: the file is nested deeper than 32 levels; "
                 "flatten it", id="10,000 lists"),
    pytest.param(HEAD + "vms: " + "{a: " * 10_000, "fleet.yml:3: vms: the file is nested deeper than 32 levels; "
                 "flatten it", id="10,000 mappings"),
    pytest.param(HEAD + "vms:\n" + "\n".join(" " * depth + "a:" for depth in range(1, 1000)),
                 "fleet.yml:35: vms: the file is nested deeper than 32 levels; flatten it", id="1,000 blocks"),
    pytest.param("#" * (1 << 20) + "\n" + HEAD, "fleet.yml: the file has more than 1 MiB; split it into several fleets",
                 id="more than 1 MiB"),
    pytest.param("#" + "é" * (1 << 19) + "\n" + HEAD, "fleet.yml: the file has more than 1 MiB; split it into several "
                 "fleets", id="more than 1 MiB of UTF-8"),
    pytest.param(HEAD + "vms: {web: {profile: a\0b}}", "fleet.yml:3: the file holds a NUL character; remove it",
                 id="NUL"),
    pytest.param(HEAD + "vms: {web: {profile: \x1b[31m}}", "fleet.yml:3: the file holds an escape character; remove it",
                 id="escape"),
    pytest.param(HEAD + "vms: {web: {profile: \udc80}}", "fleet.yml: the file is not UTF-8; save it as UTF-8",
                 id="surrogate"),
])
def test_hostile_file(text: str, says: str) -> None:
    started = time.process_time()
    assert refusal(text).splitlines()[0] == says
    assert time.process_time() - started < 2


def test_bytes_that_are_not_utf8() -> None:
    with pytest.raises(FleetErrors) as caught:
        decode(b"fleet: acme\nsites: \xff\n", "fleet.yml")
    assert str(caught.value) == "fleet.yml:2: the file is not UTF-8; save it as UTF-8"
    assert decode(b"\xef\xbb\xbffleet: acme\n", "fleet.yml") == "fleet: acme\n"


def test_all_errors_of_a_file_are_told() -> None:
    text = HEAD + "vms:\n  web:\n    cpus: many\n    memory: lots\n  db: {disk: 1}\nrule: []\n"
    assert [line.split(": ")[0] for line in refusal(text).splitlines()] == [
        "fleet.yml:5", "fleet.yml:6", "fleet.yml:7", "fleet.yml:8"]


def test_an_error_of_the_defaults_is_told_once() -> None:
    names = "".join(f"  vm{number}: {{}}\n" for number in range(100))
    assert refusal(HEAD + "defaults: {site: lap}\nvms:\n" + names) == (
        "fleet.yml:3: defaults.site: there is no site 'lap'; did you mean 'lab'?")


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        load_fleet(HEAD + text)
    except FleetErrors as error:
        lines = str(error).splitlines()
    else:
        return
    assert lines
    assert all(line.isprintable() for line in lines)


PIECES = ["fleet", "acme", "sites", "vms", "web", "count", "overrides", "2", ": ", "\n", "  ", "- ", "{", "}", "[",
          "]", "&a ", "*a", "!x ", "defaults", "site", "disks", "size", "1 GiB", "null", "'", '"', "tags", "waivers",
          "rules"]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_any_heap_of_yaml_is_read_or_refused(text: str) -> None:
    for document in (text, HEAD + "vms:\n  web:\n    " + text, HEAD + text):
        try:
            load_fleet(document)
        except FleetErrors:
            continue


def test_a_mistake_among_thousands_of_names_is_not_compared_with_each() -> None:
    names = [f"web-{number}" for number in range(10_000)]
    assert nearest("web-17x", names).startswith("did you mean 'web-1")
    assert len(nearest("db", names)) < 1000
