"""vSphere: answers that are read lightly say what pyvmomi makes of them; one that is none of vCenter's is an error."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.drivers.driver import Failed, Unreachable
from muster.drivers.vsphere import light, listing, reading
from pyVmomi import SoapAdapter, VmomiSupport, vim, vmodl
from vsphere_site import VsphereWorld, on_vsphere

STUB = SoapAdapter.SoapStubAdapter("vcenter.example.org", version="vim.version.version11")
HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?><e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema"><e:Body>'
    '<RetrievePropertiesExResponse xmlns="urn:vim25"><returnval>'
)
TAIL = "</returnval></RetrievePropertiesExResponse></e:Body></e:Envelope>"


def answer(values: str, obj: str = '<obj type="VirtualMachine">vm-1</obj>') -> bytes:
    """An answer with one object."""
    return f"{HEAD}<objects>{obj}{values}</objects>{TAIL}".encode()


def prop(value: str, name: str = "name") -> str:
    return f"<propSet><name>{name}</name>{value}</propSet>"


def of_pyvmomi(content: bytes) -> Any:
    reader = SoapAdapter.SoapResponseDeserializer(STUB)
    return reader.Deserialize(io.BytesIO(content), vmodl.query.PropertyCollector.RetrieveResult)


def differences(ours: Any, theirs: Any, where: str) -> Iterator[str]:
    """Where a value of ours is another than pyvmomi's, all properties of all objects in it included."""
    if isinstance(theirs, list):
        if len(ours) != len(theirs):
            yield f"{where}: {len(ours)} and {len(theirs)}"
        for number, (one, other) in enumerate(zip(ours, theirs, strict=False)):
            yield from differences(one, other, f"{where}[{number}]")
    elif isinstance(theirs, VmomiSupport.DataObject):
        if ours.__class__ is not theirs.__class__:
            yield f"{where}: {ours.__class__} and {theirs.__class__}"
        for info in type(theirs)._GetPropertyList():
            yield from differences(getattr(ours, info.name), getattr(theirs, info.name), f"{where}.{info.name}")
    elif ours != theirs or isinstance(ours, bool) != isinstance(theirs, bool):
        yield f"{where}: {ours!r} and {theirs!r}"


def compare(content: bytes) -> int:
    """The number of properties in an answer, which both read alike."""
    ours, theirs = light.page(content, STUB), of_pyvmomi(content)
    assert (ours.token, [one.obj for one in ours.objects]) == (theirs.token, [one.obj for one in theirs.objects])
    pairs = [(f"{one.obj._moId} {its.name}", its, their)
             for one, other in zip(ours.objects, theirs.objects, strict=True)
             for its, their in zip(one.propSet, other.propSet, strict=True)]  # fmt: skip
    assert [its.name for _where, its, _their in pairs] == [their.name for _where, _its, their in pairs]
    assert [found for where, its, their in pairs for found in differences(its.val, their.val, where)] == []
    return len(pairs)


@on_vsphere
def test_each_property_of_each_vm_is_as_pyvmomi_reads_it(world: VsphereWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world.template()
    world.made("a", disks=[{"size": "1 MiB"}, {"size": "2 MiB", "iops_limit": 7}], nics=[{"network": "DC0_DVPG0"}],
               firmware="uefi", secure_boot=True, tags={"owner": "<&>"})  # fmt: skip
    world.foreign(nestedHVEnabled=True, flags=vim.vm.FlagInfo(enableLogging=False))
    seen: list[bytes] = []
    page = light.page
    monkeypatch.setattr(light, "page", lambda content, stub: seen.append(content) or page(content, stub))
    monkeypatch.setattr(reading, "_PAGE", 2)
    assert len(world.driver.list()) == 2
    monkeypatch.undo()
    assert len(seen) == 2
    assert sum(compare(content) for content in seen) > 60


@on_vsphere
def test_one_vm_is_the_same_read_alone(world: VsphereWorld) -> None:
    made = [world.made("a", disks=[{"size": "1 MiB"}]), world.foreign(),
            world.made("b", nics=[{"network": "DC0_DVPG0"}])]  # fmt: skip
    listed = {vm.uuid: vm for vm in world.driver.list()}
    session: Any = world.driver.session  # type: ignore[attr-defined]
    for vm in made:
        assert listing.current(session, vm) == listed[vm.uuid]


SCALARS = st.one_of(
    st.integers(-(1 << 31), (1 << 31) - 1).map(lambda number: f'<val xsi:type="xsd:int">{number}</val>'),
    st.integers(-(1 << 63), (1 << 63) - 1).map(lambda number: f'<val xsi:type="xsd:long">{number}</val>'),
    st.sampled_from(["true", "false", "1", "0"]).map(lambda word: f'<val xsi:type="xsd:boolean">{word}</val>'),
    st.text("ab<>&;'\" äß\u2603\U0001f600\n{}$", max_size=20).map(
        lambda text: f'<val xsi:type="xsd:string">{text.replace("&", "&amp;").replace("<", "&lt;")}</val>'),
    st.sampled_from(["VirtualMachine", "HostSystem"]).map(
        lambda kind: f'<val type="{kind}" xsi:type="ManagedObjectReference">x-1</val>'),
    st.sampled_from(["poweredOn", "suspended"]).map(
        lambda word: f'<val xsi:type="VirtualMachinePowerState">{word}</val>'),
    st.lists(st.integers(0, 99)).map(
        lambda many: '<val xsi:type="ArrayOfInt">' + "".join(f"<int>{one}</int>" for one in many) + "</val>"),
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9))).map(
        lambda many: '<val xsi:type="ArrayOfOptionValue">' + "".join(
            f'<OptionValue><key>{key}</key><value xsi:type="xsd:int">{number}</value></OptionValue>'
            for key, number in many) + "</val>"),
)  # fmt: skip


@given(st.lists(SCALARS, max_size=5))
def test_any_value_is_as_pyvmomi_reads_it(values: list[str]) -> None:
    content = answer("".join(prop(value, f"p{number}") for number, value in enumerate(values)))
    assert compare(content) == len(values)


DEVICE = ('<val xsi:type="ArrayOfVirtualDevice"><VirtualDevice xsi:type="VirtualDisk"><key>{key}</key>'
          "<capacityInKB>{size}</capacityInKB></VirtualDevice></val>")  # fmt: skip


@pytest.mark.parametrize(("content", "says"), [
    pytest.param(b"", "no element", id="nothing"),
    pytest.param(b"<html><body>Sign in</body></html>", "no answer", id="a login page that is XML"),
    pytest.param(b"<!DOCTYPE html><html><body>Sign in</body></html>", "a type of document", id="a login page"),
    pytest.param(b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + answer(prop("<val>&a;</val>")), "a type of document",
                 id="an entity"),
    pytest.param(answer(prop("<val>&nbsp;</val>")), "undefined entity", id="an entity of nobody"),
    pytest.param(("<!DOCTYPE x>" + answer("").decode().replace("UTF-8", "UTF-16")).encode("utf-16"),
                 "a type of document", id="UTF-16"),
    pytest.param(answer(prop("<val>x</val>"))[:-90], "no element found|unclosed", id="half of it"),
    pytest.param(answer(prop("<val xsi:type='xsd:int'>one</val>")), "invalid literal", id="a word for a number"),
    pytest.param(answer(prop(f"<val xsi:type='xsd:int'>{'9' * 5000}</val>")), "limit", id="a number without end"),
    pytest.param(answer(prop("<val xsi:type='xsd:boolean'>maybe</val>")), "maybe", id="a word for a truth"),
    pytest.param(answer(prop("<val xsi:type='Teleporter'>x</val>")), "Teleporter", id="a type of nobody"),
    pytest.param(answer(prop("<val xsi:type='xsd:dateTime'>x</val>")), "nobody reads", id="a type that is not read"),
    pytest.param(answer(prop("")), "no value", id="no value"),
    pytest.param(answer("", obj=""), "no reference", id="no object"),
    pytest.param(answer("", obj='<obj type="VirtualDisk">x</obj>'), "no kind of object", id="an object that is none"),
    pytest.param(answer("", obj="<obj>vm-1</obj>"), "''", id="an object of no kind"),
])  # fmt: skip
def test_what_is_no_answer_is_an_error(content: bytes, says: str) -> None:
    with pytest.raises((ValueError, LookupError, TypeError), match=says):
        light.page(content, STUB)


def test_the_alphabet_that_an_answer_declares_is_not_believed() -> None:
    """It could hide what is looked for in the bytes."""
    content = answer(prop("<val xsi:type='xsd:string'>\u00e9</val>")).replace(b"UTF-8", b"cp037")
    (one,) = light.page(content, STUB).objects
    assert one.propSet == [("name", "\u00e9")]


def test_an_answer_that_would_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(light, "ELEMENTS", 100)
    with pytest.raises(ValueError, match="more than 100 elements"):
        light.page(answer("<a>" * 200 + "</a>" * 200), STUB)


def test_elements_in_elements_without_end() -> None:
    deep = 200_000
    (one,) = light.page(answer("<a>" * deep + "</a>" * deep + prop("<val xsi:type='xsd:int'>1</val>")), STUB).objects
    assert one.propSet == [("name", 1)]


def test_an_unknown_attribute_is_one_as_in_pyvmomi() -> None:
    ((_name, (disk,)),) = light.page(answer(prop(DEVICE.format(key=1, size=2))), STUB).objects[0].propSet
    assert isinstance(disk, vim.vm.device.VirtualDisk)
    assert not isinstance(disk, vim.vm.device.VirtualEthernetCard)
    assert (disk.key, disk.capacityInKB, disk.backing, disk.iofilter) == (1, 2, None, [])
    with pytest.raises(AttributeError, match="teleport"):
        print(disk.teleport)


def altered(change: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    page = light.page
    monkeypatch.setattr(light, "page", lambda content, stub: page(change(content), stub))


@on_vsphere
def test_a_vm_that_says_nonsense_is_an_error_with_its_name(
    world: VsphereWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    vm = world.made("a", disks=[{"size": "1 MiB"}])
    altered(lambda content: content.replace(b"<capacityInBytes>", b"<capacityInBytes>x"), monkeypatch)
    with pytest.raises(Failed, match=f"what vCenter says of the VM '{vm.name}' cannot be read"):
        world.driver.list()


@on_vsphere
def test_an_answer_that_is_none_is_an_error_of_the_site(world: VsphereWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    altered(lambda _content: b"<html><body>Sign in</body></html>", monkeypatch)
    with pytest.raises(Unreachable, match=r"unable to list the VMs: .* answers, and not as vCenter does"):
        world.driver.list()
