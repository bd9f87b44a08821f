"""One field table: the options of the modules, the fleet file, the schema of Terraform, the arguments of the construct
and the documentation have the same fields, at every depth."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from cdk_apps import CHECKOUT, needs_node
from hypothesis import given, settings
from muster.model.fields import VM_FIELDS, Field, argument_spec
from muster.model.normal import normalise
from muster.model.reference import options
from muster.model.schema import fleet_schema
from muster_provider import schema, values
from vm_strategies import specs

FLEET = fleet_schema()
Paths = dict[str, str]  # a field's path and its type


def table(fields: Mapping[str, Field], begin: str = "") -> Iterator[tuple[str, str]]:
    for name, entry in fields.items():
        yield begin + name, entry["type"]
        yield from table(entry.get("options", {}), f"{begin}{name}.")


def spec(given: Mapping[str, Any], key: str, begin: str = "") -> Iterator[tuple[str, str]]:
    """Of Ansible's options: `key` is where those of a dict stand."""
    for name, entry in given.items():
        yield begin + name, entry["type"]
        yield from spec(entry.get(key) or {}, key, f"{begin}{name}.")


def of_schema(attributes: Any, begin: str = "") -> Iterator[tuple[str, str]]:
    """Of a schema as Terraform gets it."""
    for one in attributes:
        kind = json.loads(one.type) if one.type else ["list" if one.nested_type.nesting == 2 else "object"]
        word = {"string": "str", "number": "int", "bool": "bool", "map": "dict", "object": "dict"}
        first = kind if isinstance(kind, str) else kind[0]
        yield begin + one.name, word.get(first, first)
        yield from of_schema(one.nested_type.attributes, f"{begin}{one.name}.")


def of_json_schema(node: Mapping[str, Any], begin: str = "") -> Iterator[tuple[str, str]]:
    for name, value in node.get("properties", {}).items():
        found = FLEET["$defs"][value["$ref"].rpartition("/")[2]] if "$ref" in value else value
        kinds = [kind for one in found.get("anyOf", [found]) for kind in _listed(one["type"]) if kind != "null"]
        word = {"string": "str", "integer": "int", "boolean": "bool", "array": "list", "object": "dict"}
        yield begin + name, word[kinds[0]]
        yield from of_json_schema(found.get("items", found), f"{begin}{name}.")


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def documented() -> Iterator[tuple[str, str]]:
    """Of the tables in docs/fields.md."""
    text = (CHECKOUT / "docs" / "fields.md").read_text(encoding="utf-8")
    for part in text.split("\n## A VM: `vms.NAME")[1:]:
        head, _line, rows = part.partition("\n")
        begin = head.removeprefix(".").removesuffix("`").replace("[]", "")
        for row in rows.split("\n## ")[0].splitlines():
            cells = [cell.strip() for cell in row.split(" | ")]
            if cells[0].startswith("| `"):
                kind = cells[1].split(",")[0].split(" ")[0]
                word = {"size": "str", "duration": "str"}
                yield f"{begin}.{cells[0].strip('|` ')}".removeprefix("."), word.get(kind, kind)


EXPECTED: Paths = dict(table(VM_FIELDS))


@pytest.mark.parametrize(("where", "found"), [
    ("the argument spec", dict(spec(argument_spec(), "options"))),
    ("the documentation of the modules", dict(spec(options(), "suboptions"))),
    ("the fleet file", dict(of_json_schema({"properties": {
        key: value for key, value in FLEET["properties"]["vms"]["additionalProperties"]["properties"].items()
        if key not in ("count", "overrides", "site")}}))),
    ("Terraform's resource", {path: kind for path, kind in of_schema(schema.vm().to_pb().block.attributes)
                              if path.partition(".")[0] not in ("name", "site", "id", "uuid", "address", "timeouts")}),
    ("docs/fields.md", dict(documented())),
])
def test_the_same_fields(where: str, found: Paths) -> None:
    assert found == EXPECTED, where


@needs_node
def test_the_arguments_of_the_construct() -> None:
    from muster_cdktf.stacks import Vm

    found = {name: one for name, one in inspect.signature(Vm).parameters.items()
             if name not in ("scope", "id_", "name", "site", "each", "timeouts")}
    python = {"str": str, "int": int, "bool": bool, "list": list, "dict": dict}
    assert list(found) == list(VM_FIELDS)
    for name, entry in VM_FIELDS.items():
        assert found[name].annotation == python[entry["type"]] | None
        assert found[name].default is None


@needs_node
@settings(max_examples=200)
@given(specs)
def test_the_construct_writes_what_means_the_same(given: dict[str, Any]) -> None:
    """What is written, read again as a fleet file or Terraform reads it, is the VM that was asked for."""
    from muster_cdktf.stacks.written import written

    normal = normalise(given)
    shown = json.loads(json.dumps(written(normal)).replace("$${", "${").replace("%%{", "%{"))
    assert normalise(shown) == normal
    taken = values.read(shown)
    assert (taken.spec, taken.problems) == (normal, ())
