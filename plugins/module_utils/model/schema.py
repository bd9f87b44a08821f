"""The JSON Schema of the fleet file, from the field table; as a command it writes what docs/ holds of the table.

``python -m muster.model.schema docs`` writes ``docs/fields.md`` and ``docs/fleet.schema.json``.

The schema helps an editor: names, types, choices, bounds, descriptions. `fleet.load_fleet` is stricter: it knows
sites, images, counts and what must hold between fields.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .fields import Field
from .fleet_fields import COUNT, LAYER_FIELDS, SITE_FIELDS, STATE_FIELDS, WAIVER_FIELDS
from .patterns import NAME, RULES
from .reference import page, plain

Schema = dict[str, Any]

_SIZE = r"^\s*[0-9]{1,15}(\.[0-9]{1,6})?\s*[kKMGTP]?i?[bB]?\s*$"
_DURATION = r"^\s*([0-9]{1,10}\s*[smhdw]\s*)+$|^\s*[0-9]{1,11}\s*$"


def fleet_schema() -> Schema:
    """The schema of a fleet file, JSON Schema 2020-12."""
    fields = _object(LAYER_FIELDS, partial=True)["properties"]
    layer = {name: {"$ref": f"#/$defs/{name}"} for name in fields}
    override = {"type": ["object", "null"], "additionalProperties": False, "properties": layer}
    vm = {
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {
            **layer,
            "count": _value(COUNT, False),
            "overrides": {
                "type": "object",
                "description": "Fields of single VMs of the count, by name or number.",
                "additionalProperties": override,
            },
        },
    }
    names = {"pattern": NAME}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A fleet of Muster",
        "type": "object",
        "additionalProperties": False,
        "required": ["fleet", "sites"],
        "properties": {
            "fleet": {"type": "string", "pattern": NAME, "description": "Name of the fleet."},
            "sites": {
                "type": "object",
                "description": "The places where VMs live.",
                "minProperties": 1,
                "propertyNames": names,
                "additionalProperties": _object(SITE_FIELDS),
            },
            "defaults": {**override, "description": "Fields of every VM that does not set them itself."},
            "vms": {
                "type": "object",
                "description": "The VMs.",
                "minProperties": 1,
                "propertyNames": names,
                "additionalProperties": vm,
            },
            "rules": {
                "type": "array",
                "description": "Packs of rules, and files of rules beside this one.",
                "items": {"type": "string", "pattern": RULES},
            },
            "waivers": {
                "type": "array",
                "description": "Findings that are accepted for a time.",
                "items": _object(WAIVER_FIELDS),
            },
            "state": {**_object(STATE_FIELDS), "description": "Where Terraform keeps its state."},
        },
        "$defs": fields,
    }


def _object(fields: Mapping[str, Field], partial: bool = False) -> Schema:
    """A dict of `fields`. With `partial` what is required may come from another layer."""
    schema: Schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _nullable(_value(entry, partial)) for name, entry in fields.items()},
    }
    required = [name for name, entry in fields.items() if entry.get("required")]
    if required and not partial:
        schema["required"] = required
    return schema


def _nullable(schema: Schema) -> Schema:
    """`schema`, or null, which unsets; a choice needs null among its values."""
    nullable = dict(schema)
    if "anyOf" in nullable:
        nullable["anyOf"] = [*nullable["anyOf"], {"type": "null"}]
        return nullable
    nullable["type"] = [schema["type"], "null"]
    if "enum" in nullable:
        nullable["enum"] = [*nullable["enum"], None]
    return nullable


def _value(entry: Field, partial: bool) -> Schema:
    ours = entry["muster"]
    schema = _typed(entry, partial)
    schema["description"] = plain(entry["description"])
    if "example" in ours:
        schema["examples"] = [ours["example"]]
    return schema


def _typed(entry: Field, partial: bool) -> Schema:
    ours = entry["muster"]
    type_ = entry["type"]
    if type_ == "dict":
        return _dict(entry, partial)
    if type_ == "list":
        if entry.get("elements") == "dict":
            items = _exactly_one(_object(entry["options"]), ours)
        else:
            items = _typed({**entry, "type": "str"}, False)
        return {"type": "array", "items": items, "maxItems": ours.get("max_items", 64)}
    if "unit" in ours:
        pattern = _SIZE if ours["unit"] == "size" else _DURATION
        return {"anyOf": [{"type": "string", "pattern": pattern}, {"type": "integer", "minimum": ours.get("min", 1)}]}
    if type_ == "int":
        bounds = {word: ours[key] for key, word in (("min", "minimum"), ("max", "maximum")) if key in ours}
        return {"type": "integer", **bounds}
    if type_ == "bool":
        return {"type": "boolean"}
    if "choices" in entry:
        return {"type": "string", "enum": list(entry["choices"])}
    schema: Schema = {"type": "string", "maxLength": ours.get("max_length", 1024)}
    if "pattern" in ours:
        schema["pattern"] = ours["pattern"]
    return schema


def _dict(entry: Field, partial: bool) -> Schema:
    ours = entry["muster"]
    if "options" in entry:
        return _exactly_one(_object(entry["options"], partial), ours)
    if "values" in ours:
        value = _exactly_one(_object(ours["values"]), ours)
    else:
        value = {"type": "string", "maxLength": ours.get("max_length", 1024)}
        if "pattern" in ours:
            value["pattern"] = ours["pattern"]
    return {
        "type": "object",
        "maxProperties": ours.get("max_items", 64),
        "propertyNames": {"pattern": ours["keys"]},
        "additionalProperties": value if "values" in ours else _nullable(value),
    }


def _exactly_one(schema: Schema, ours: Mapping[str, Any]) -> Schema:
    if "one_of" in ours:
        schema["oneOf"] = [{"required": [name]} for name in ours["one_of"]]
    return schema


def files() -> dict[str, str]:
    """The files of docs/ that are made from the table: name and text."""
    return {"fields.md": page(), "fleet.schema.json": json.dumps(fleet_schema(), indent=1, ensure_ascii=False) + "\n"}


def main(folder: str) -> None:
    """Write `files` into `folder`."""
    for name, text in files().items():
        Path(folder, name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        raise SystemExit("usage: python -m muster.model.schema FOLDER")
    main(sys.argv[1])
