"""Domain XML: what is built is read back, and no value ever becomes markup."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.drivers.libvirt import domain as xml
from muster.drivers.libvirt import mark as marks
from muster.model.errors import ModelErrors
from muster.model.normal import normalise
from muster.model.vm import VM, Mark

UUID = "8b1e9f0a-0000-5000-8000-000000000001"
WRITTEN = marks.Written(Mark("acme", "web", "op"), {"profile": "web"})
ACCELERATORS = ["qemu", "kvm", "test"]


def built(spec: dict[str, Any], accelerator: str = "qemu", **more: Any) -> str:
    sources = [xml.DiskSource(disk["name"], f"/pool/{disk['name']}.qcow2", disk) for disk in spec.get("disks", ())]
    return xml.build(VM("web", "lab", spec), UUID, WRITTEN, sources, accelerator=accelerator, **more)


NAMES = st.from_regex(r"\A[a-z0-9][a-z0-9-]{0,30}\Z")
DISKS = st.lists(
    st.fixed_dictionaries(
        {"name": NAMES, "size": st.just(1 << 20)},
        optional={"iops_limit": st.integers(1, 10**7), "bandwidth_limit": st.integers(1, 1 << 40)},
    ),
    max_size=4,
    unique_by=lambda disk: disk["name"],
)
NICS = st.lists(
    st.fixed_dictionaries(
        {"name": NAMES, "network": st.sampled_from(["user", "default", "blue"])},
        optional={
            "mac": st.sampled_from(["52:54:00:00:00:01", "52:54:00:aa:bb:cc"]),
            "connected": st.booleans(),
            "bandwidth_limit": st.integers(1, 1 << 20).map(lambda kib: kib << 10),
        },
    ),
    max_size=3,
    unique_by=lambda nic: nic["name"],
)
SPECS = st.fixed_dictionaries(
    {
        "cpus": st.integers(1, 64),
        "memory": st.integers(16, 1 << 20).map(lambda mib: mib << 20),
        "disks": DISKS,
        "nics": NICS,
        "firmware": st.sampled_from(["bios", "uefi"]),
    },
    optional={
        "cpu_pinning": st.sampled_from(["0", "0-1"]),
        "cpu_topology": st.fixed_dictionaries(
            {"sockets": st.integers(1, 4), "cores": st.integers(1, 4), "threads": st.integers(1, 2)}
        ),
    },
)


@given(SPECS, st.sampled_from(ACCELERATORS))
def test_what_is_built_is_read_back(spec: dict[str, Any], accelerator: str) -> None:
    found = xml.read(xml.parse(built(spec, accelerator)))
    for field in ("cpus", "memory", "firmware", "cpu_pinning", "cpu_topology"):
        assert found.get(field) == spec.get(field), field
    assert [disk["name"] for disk in found["disks"]] == [disk["name"] for disk in spec["disks"]]
    for disk, there in zip(spec["disks"], found["disks"], strict=True):
        assert there["path"] == f"/pool/{disk['name']}.qcow2"
        for field in ("iops_limit", "bandwidth_limit"):
            assert there.get(field, 0) == disk.get(field, 0)
    for nic, there in zip(spec["nics"], found["nics"], strict=True):
        assert there["connected"] == nic.get("connected", True)
        assert there["mac"] == (nic.get("mac") or xml.mac_of(UUID, nic["name"]))
        for field in ("name", "network", "bandwidth_limit"):
            assert there.get(field) == nic.get(field), field


@given(SPECS, st.sampled_from(ACCELERATORS))
def test_the_mark_is_read_back(spec: dict[str, Any], accelerator: str) -> None:
    assert marks.read(xml.parse(built(spec, accelerator))) == WRITTEN


HOSTILE = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "a'/><disk type='file'/>",
            '"/><interface type="bridge">',
            "]]>",
            "<!--",
            "&lt;",
            "&#0;",
            "<!DOCTYPE x>",
            "\x00",
            "\ud800",
            "'; drop",
        ]
    ),
)


@given(HOSTILE, HOSTILE, HOSTILE)
def test_no_value_breaks_out_of_its_element(name: str, network: str, path: str) -> None:
    """Either the text is no XML at all, which libvirt refuses, or it has the very elements of a harmless VM."""

    def text(name: str, network: str, path: str) -> str:
        spec = {"nics": [{"name": "nic0", "network": network, "mac": network}], "cpu_pinning": path}
        source = xml.DiskSource("root", path, {"name": "root"})
        return xml.build(VM(name, "lab", spec), UUID, WRITTEN, [source], accelerator="qemu", seed=path)

    plain = ET.fromstring(text("web", "user" if network == "user" else "blue", "/x" if path else ""))
    try:
        hostile = xml.parse(text(name, network, path))
    except (ET.ParseError, ValueError):
        return
    assert [node.tag for node in hostile.iter()] == [node.tag for node in plain.iter()]
    assert [sorted(node.attrib) for node in hostile.iter()] == [sorted(node.attrib) for node in plain.iter()]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | HOSTILE, lambda inner: st.dictionaries(HOSTILE, inner, max_size=3)
    )
)
def test_tags_never_break_out_of_the_mark(value: Any) -> None:
    written = marks.Written(WRITTEN.mark, {"tags": {"a": str(value)}}, seed="s-1")
    root = xml.parse(xml.build(VM("web", "lab"), UUID, written, [], accelerator="qemu"))
    assert [node.tag for node in root.findall("metadata/*")] == [marks.TAG]
    assert len(root.find("metadata")[0]) == 0  # type: ignore[index]
    try:
        normalise(written.fields)
    except ModelErrors:
        assert marks.read(root) is None
    else:
        assert marks.read(root) == written


@pytest.mark.parametrize(
    "text",
    [
        "<domain>" + " " * (5 << 20) + "</domain>",
        '<!DOCTYPE d [<!ENTITY a "b">]><domain>&a;</domain>',
        '<?xml version="1.0"?>\n<!DOCTYPE d SYSTEM "file:///etc/passwd"><domain/>',
    ],
    ids=["large", "entity", "external"],
)
def test_hostile_xml_is_not_parsed(text: str) -> None:
    with pytest.raises(ValueError, match="larger than 4 MiB or declares entities"):
        xml.parse(text)


@pytest.mark.parametrize(
    "text", ["", "<domain><name>", "no XML", "<!doctype html>", "<a></b>"], ids=["empty", "cut", "text", "HTML", "torn"]
)
def test_what_is_no_xml_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="a description that is no XML"):
        xml.parse(text)


NET = "<interface type='network'><source network='default'/></interface>"


@pytest.mark.parametrize(
    ("change", "isolated"),
    [
        (lambda text: text, True),
        (lambda text: text.replace("</devices>", f"{NET}</devices>"), False),
        (lambda text: text.replace("</devices>", "<hostdev mode='subsystem' type='pci'/></devices>"), False),
        (lambda text: text.replace(",restrict=on", ""), False),
        (lambda text: text.replace(",restrict=on", ",restrict=off"), False),
        (lambda text: text.replace(",restrict=on", ",restrict=on,restrict=off"), False),
        (lambda text: text.replace(",restrict=on", ",restrict=only"), False),
        (lambda text: text.replace(",restrict=on", ",restrict=on,guestfwd=tcp:10.0.2.9:80-tcp:192.0.2.1:80"), False),
        (lambda text: text.replace('value="user,', 'value="tap,'), False),
        (lambda text: text.replace('value="user,', 'value="l2tpv3,'), False),
        (lambda text: text.replace('"-netdev"', '"-nic"'), False),
        (lambda text: text.replace("<ns0:arg", "<x").replace("<qemu:arg", "<x"), False),
    ],
    ids=[
        "as built",
        "another NIC",
        "host device",
        "unrestricted",
        "restrict=off",
        "last word wins",
        "not quite on",
        "guestfwd",
        "tap",
        "l2tpv3",
        "-nic",
        "no NIC",
    ],
)
def test_isolation_is_judged_from_the_xml(change: Any, isolated: bool) -> None:
    text = built({"nics": [{"name": "nic0", "network": "default"}]}, isolation=xml.Isolation({22: 40022, 80: 40080}))
    changed = change(text)
    assert changed != text or isolated
    assert xml.is_isolated(changed) is isolated


def test_an_isolated_twin_has_no_nic_of_the_vm_and_its_forwards() -> None:
    text = built({"nics": [{"name": "nic0", "network": "default"}]}, isolation=xml.Isolation({22: 40022}))
    root = xml.parse(text)
    assert root.find("devices/interface") is None
    assert "user,id=drill0,restrict=on,hostfwd=tcp:127.0.0.1:40022-:22" in text


def test_macs_are_steady_and_of_qemus_range() -> None:
    assert xml.mac_of(UUID, "nic0") == xml.mac_of(UUID, "nic0")
    assert xml.mac_of(UUID, "nic0") != xml.mac_of(UUID, "nic1")
    assert xml.mac_of(UUID, "nic0").startswith("52:54:00:")
