"""The options of the modules, the fleet file and the Terraform schema are the same fields, at every depth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from muster.model.fields import VM_FIELDS, Field, argument_spec
from muster.model.fleet_fields import SITE_FIELDS, WAIVER_FIELDS
from muster.model.reference import options
from muster.model.schema import fleet_schema
from muster_provider import schema
from muster_provider.schema import Nested
from tf.schema import Attribute
from tf.types import Bool, List, Map, Number, String

TYPES = {"str": String, "int": Number, "bool": Bool, "list": List, "dict": Map}
FLEET = fleet_schema()
EVERY = [schema.provider(), schema.vm(), schema.vm_data(), schema.vms_data(), schema.findings_data()]


def named(attributes: Iterable[Attribute]) -> dict[str, Attribute]:
    return {attribute.name: attribute for attribute in attributes}


def compare(attributes: Mapping[str, Attribute], fields: Mapping[str, Field], spec: Mapping[str, Any],
            json_schema: Mapping[str, Any], path: str) -> None:
    assert attributes.keys() == fields.keys() == spec.keys(), path
    assert fields.keys() <= json_schema.keys(), path
    for name, entry in fields.items():
        attribute, here = attributes[name], f"{path}.{name}"
        assert bool(attribute.required) == bool(entry.get("required")) == bool(spec[name].get("required")), here
        assert bool(attribute.optional) != bool(attribute.required), here
        assert attribute.description, here
        assert spec[name]["type"] == entry["type"], here
        if "options" in entry:
            assert isinstance(attribute, Nested), here
            assert attribute.nesting == ("single" if entry["type"] == "dict" else "list"), here
            inner = inside(json_schema[name])
            compare(named(attribute.attributes), entry["options"], spec[name]["options"], inner, here)
        else:
            assert isinstance(attribute.type, TYPES[entry["type"]]), here
            assert all(f"`{choice}`" in str(attribute.description) for choice in entry.get("choices", ())), here


def inside(node: Mapping[str, Any]) -> dict[str, Any]:
    """The properties of an object, or of a list's items, in a JSON Schema that takes null too."""
    if "$ref" in node:
        node = FLEET["$defs"][node["$ref"].rpartition("/")[2]]
    found: dict[str, Any] = dict(node.get("properties", {}))
    for key in ("items", "anyOf", "oneOf"):
        for part in [node[key]] if isinstance(node.get(key), dict) else node.get(key, ()):
            found.update(inside(part))
    return found


def test_every_field_of_a_vm() -> None:
    attributes = named(schema.vm().attributes)
    beside = {name: attributes.pop(name) for name in ("name", "site", "id", "uuid", "address", "timeouts")}
    assert [name for name, attribute in beside.items() if attribute.required] == ["name"]
    assert options().keys() == attributes.keys()
    compare(attributes, VM_FIELDS, argument_spec(), FLEET["properties"]["vms"]["additionalProperties"]["properties"],
            "vm")


def test_every_field_of_a_site_and_of_a_waiver() -> None:
    settings = named(schema.provider().attributes)
    sites, waivers = settings["sites"], settings["waivers"]
    assert isinstance(sites, Nested)
    assert isinstance(waivers, Nested)
    assert named(sites.attributes).keys() == SITE_FIELDS.keys()
    assert named(waivers.attributes).keys() == WAIVER_FIELDS.keys()


@pytest.mark.parametrize("known", EVERY)
def test_what_terraform_is_told(known: Any) -> None:
    """Each attribute is required, optional or computed; what Terraform would refuse of a schema is not in it."""

    def walk(attributes: Iterable[Any]) -> None:
        for attribute in attributes:
            assert attribute.required or attribute.optional or attribute.computed
            assert not (attribute.required and (attribute.optional or attribute.computed))
            assert attribute.description
            assert bool(attribute.type) != attribute.HasField("nested_type")
            walk(attribute.nested_type.attributes)

    walk(known.to_pb().block.attributes)
