"""Answers of the property collector, read where somebody looks: Python's own C library parses the XML, and of it only
the values that are asked for are made, by pyvmomi's tables of types. pyvmomi itself makes an object of each element,
and most elements are of what nobody reads.

What is read so has the attributes of pyvmomi's own object, with its values, and `isinstance` takes it for one; it
cannot be changed, or sent. An answer that is none of vCenter's is a ValueError, LookupError or TypeError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple
from xml.etree import ElementTree

from .sdk import VmomiSupport

ELEMENTS = 10_000_000  # of one answer: a page of large VMs has a million
_KINDS = 10_000  # that are remembered: vSphere has some five thousand
_VIM, _XSD = "urn:vim25", "http://www.w3.org/2001/XMLSchema"
_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_RETURNED = "{http://schemas.xmlsoap.org/soap/envelope/}Body/*/{urn:vim25}returnval"
_OBJECTS, _OBJ, _PROPERTIES = "{urn:vim25}objects", "{urn:vim25}obj", "{urn:vim25}propSet"
_NAME, _VAL, _TOKEN = "{urn:vim25}name", "{urn:vim25}val", "{urn:vim25}token"
_REFERENCE = "Reference"
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class Property(NamedTuple):
    """A property of an object: its path and its value."""

    name: str
    val: Any


class Content(NamedTuple):
    """An object and those of its properties that are set; of none vCenter said that it may not be read."""

    obj: Any
    propSet: list[Property]  # noqa: N815 (as pyvmomi)
    missingSet: tuple[Any, ...] = ()  # noqa: N815


class Page(NamedTuple):
    """A part of an answer, and what the next one is asked for with."""

    objects: list[Content]
    token: str | None


def check(content: bytes) -> None:
    """Raise ValueError for an answer that declares a type of document, and with it entities of its own, or that would
    fill the memory."""
    if b"<!DOCTYPE" in content or b"\0" in content:  # UTF-16 would hide it
        raise ValueError("it declares a type of document")
    if content.count(b"<") > 2 * ELEMENTS:
        raise ValueError(f"it has more than {ELEMENTS} elements")


def parse(content: bytes) -> ElementTree.Element:
    """The root of an answer."""
    check(content)
    try:
        return ElementTree.fromstring(content, ElementTree.XMLParser(encoding="utf-8"))  # noqa: S314 (see `check`)
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from None


def page(content: bytes, stub: Any) -> Page:
    """A page of the property collector. References in it are of `stub`, and of its version."""
    result = parse(content).find(_RETURNED)
    if result is None:
        raise ValueError("it is no answer to the question")
    maker = _Maker(stub)
    return Page(
        [
            Content(
                maker.reference(node.find(_OBJ)),
                [Property(its.findtext(_NAME) or "", maker.value(its.find(_VAL), object))
                 for its in node.iterfind(_PROPERTIES)],
            )
            for node in result.iterfind(_OBJECTS)
        ],
        result.findtext(_TOKEN) or None,
    )  # fmt: skip


class Thing:
    """A data object of the class `kind`, whose properties are made when they are asked for."""

    def __init__(self, kind: Any, node: ElementTree.Element, maker: _Maker) -> None:
        self._kind, self._node, self._maker = kind, node, maker

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return self._kind

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # Python's own questions
            raise AttributeError(name)
        declared, unset, tag = self._maker.declared(self._kind, name)
        value = unset
        if unset is list:
            value = [self._maker.value(node, declared) for node in self._node.iterfind(tag)]
        elif (found := self._node.find(tag)) is not None:
            value = self._maker.value(found, declared)
        self.__dict__[name] = value
        return value


class _Maker:
    """Makes values of elements, by pyvmomi's tables."""

    # Of all sessions of a process: an older vCenter names no kind that only a newer one has.
    _properties: ClassVar[dict[tuple[Any, str], tuple[Any, Any, str]]] = {}
    _kinds: ClassVar[dict[str, Any]] = {}
    _makers: ClassVar[dict[Any, _Making]] = {}

    def __init__(self, stub: Any) -> None:
        self.stub = stub

    def declared(self, kind: Any, name: str) -> tuple[Any, Any, str]:
        """The class of a property, its value where it is not set (`list`: there may be several), and its tag. Raises
        AttributeError where there is none of the name."""
        found = self._properties.get((kind, name))
        if found is None:
            its = kind._GetPropertyInfo(name)
            several = issubclass(its.type, list)
            found = (its.type.Item if several else its.type, list if several else getattr(kind(), name),
                     f"{{{_VIM}}}{name}")  # fmt: skip
            self._properties[kind, name] = found
        return found

    def value(self, node: ElementTree.Element | None, declared: Any) -> Any:
        """The value of an element, which may name a nearer class than the one declared."""
        if node is None:
            raise ValueError("a property has no value")
        named = node.get(_TYPE)
        kind = declared if named is None else self._kinds.get(named) or self.kind(named)
        make = self._makers.get(kind) or self.maker(kind)
        return make(self, node, kind)

    def kind(self, named: str) -> Any:
        """The class of an ``xsi:type``. Raises LookupError for one that vSphere has not."""
        name = named.rpartition(":")[2]
        local = name.removesuffix(_REFERENCE) if name.endswith(f"ManagedObject{_REFERENCE}") else name
        found = VmomiSupport.GetWsdlType(_XSD if local[:1].islower() else _VIM, local)
        found = VmomiSupport.GetCompatibleType(found, self.stub.version)
        if len(self._kinds) < _KINDS:
            self._kinds[named] = found
        return found

    def maker(self, kind: Any) -> _Making:
        """What makes a value of the class `kind`. Raises TypeError for one that nobody here reads."""
        for base, make in (
            (list, _Maker.several), (VmomiSupport.ManagedObject, _Maker.reference),
            (VmomiSupport.DataObject, _Maker.thing), (bool, _Maker.boolean), (str, _Maker.text),
            (int, _Maker.number), (float, _Maker.number),
        ):  # fmt: skip
            if issubclass(kind, base):
                self._makers[kind] = make
                return make
        raise TypeError(f"nobody reads a {kind.__name__}")

    def several(self, node: ElementTree.Element, kind: Any) -> list[Any]:
        return [self.value(one, kind.Item) for one in node]

    def reference(self, node: ElementTree.Element | None, _kind: Any = None) -> Any:
        if node is None:
            raise ValueError("an object has no reference")
        kind = self._kinds.get(named := node.get("type") or "") or self.kind(named)
        if not issubclass(kind, VmomiSupport.ManagedObject):
            raise TypeError(f"{named} is no kind of object")
        return kind(node.text or "", self.stub)

    def thing(self, node: ElementTree.Element, kind: Any) -> Thing:
        return Thing(kind, node, self)

    def text(self, node: ElementTree.Element, _kind: Any) -> str:
        return node.text or ""

    def boolean(self, node: ElementTree.Element, _kind: Any) -> bool:
        return _BOOLEANS[(node.text or "").lower()]

    def number(self, node: ElementTree.Element, kind: Any) -> int | float:
        return float(node.text or "") if issubclass(kind, float) else int(node.text or "")


_Making = Callable[[_Maker, ElementTree.Element, Any], Any]
