"""The field table in the forms of documentation: Ansible's options and the reference page. Pure: table in, data out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .fields import VM_FIELDS, Field
from .fleet_fields import COUNT, SITE_FIELDS, STATE_FIELDS, WAIVER_FIELDS
from .units import format_size

_MARKUP = re.compile(r"[CI]\(([^)]*)\)")

_HEAD = """# Fields

This page is generated from the field table, `plugins/module_utils/model/fields.py`, by `python -m muster.model.schema
docs`. The same table checks the fleet file and makes the options of the modules.

Sizes are a number with a unit, `2 GiB` (1024³) or `2 GB` (1000³); durations are `15m`, `24h`, `7d`, `2w` or `1d 12h`.
**Change** says how a change of the field is done at best: *live*; *power cycle*, while the VM is off; *replace*, only
when the VM is made again; *mark*, in Muster's own records, without touching the VM. A platform may need more, never
less, and the plan says so. A field that is not set is not managed.
"""


def options(fields: Mapping[str, Field] | None = None) -> dict[str, Any]:
    """`fields` (all of a VM's by default) as the options of an Ansible module's documentation.

    The counterpart of `fields.argument_spec`.
    """
    documented: dict[str, Any] = {}
    for name, entry in (VM_FIELDS if fields is None else fields).items():
        option: dict[str, Any] = {"description": [_sentence(entry)], "type": entry["type"]}
        option.update({key: entry[key] for key in ("elements", "choices", "required") if key in entry})
        if "options" in entry:
            option["suboptions"] = options(entry["options"])
        documented[name] = option
    return documented


def page() -> str:
    """The reference page, Markdown: one table for each level of the fleet file."""
    parts = [_HEAD]
    levels = [("A VM", "vms.NAME", {**VM_FIELDS}), ("A site", "sites.NAME", SITE_FIELDS),
              ("A waiver", "waivers[]", WAIVER_FIELDS), ("Terraform's state", "state", STATE_FIELDS)]
    for title, path, fields in levels:
        for level_title, level in _levels(title, path, fields):
            parts += [f"## {level_title}\n", _table(level)]
        if path == "vms.NAME":
            parts.append("Beside these an entry of `vms` may hold `site`, `count` "
                         f"({plain(COUNT['description'])[0].lower()}{plain(COUNT['description'])[1:]}) and `overrides` "
                         "(fields of single VMs of a count, by name or number).\n")
    return "\n".join(parts)


def plain(text: str) -> str:
    """`text` with Ansible's markup as Markdown's."""
    return _MARKUP.sub(r"`\1`", text)


def bounds(entry: Field) -> str:
    """What bounds the values of `entry`, for people; empty if nothing but the type does."""
    ours = entry["muster"]
    shown = format_size if ours.get("unit") == "size" else str
    low, high = ours.get("min"), ours.get("max")
    if "choices" in entry:
        return ", ".join(f"`{choice}`" for choice in entry["choices"])
    if low is not None and high is not None:
        return f"{shown(low)} to {shown(high)}"
    return f"from {shown(low)}" if low else ""


def _sentence(entry: Field) -> str:
    ours = entry["muster"]
    text = str(entry["description"])
    if "example" in ours:
        text += f" For example C({ours['example']})."
    return text


def _levels(title: str, path: str, fields: Mapping[str, Field]) -> Iterator[tuple[str, Mapping[str, Field]]]:
    yield f"{title}: `{path}`", fields
    for name, entry in fields.items():
        inner = entry.get("options") or entry["muster"].get("values")
        if inner:
            item = "[]" if entry["type"] == "list" else ".NAME" if "keys" in entry["muster"] else ""
            yield from _levels(title, f"{path}.{name}{item}", inner)


def _table(fields: Mapping[str, Field]) -> str:
    rows = ["| Field | Type | Values | Change | Description |", "| --- | --- | --- | --- | --- |"]
    for name, entry in fields.items():
        ours = entry["muster"]
        type_ = ours.get("unit", entry["type"])
        if entry["type"] == "list":
            type_ = f"list of {entry.get('elements', 'str')}"
        if entry.get("required"):
            type_ += ", required"
        text = plain(entry["description"])
        if "default" in ours:
            default = ours["default"]
            text += f" Unset means `{str(default).lower() if isinstance(default, bool) else default}`."
        if "example" in ours:
            text += f" Example: `{ours['example']}`."
        cells = (f"`{name}`", type_, bounds(entry), ours["change"].replace("_", " "), text)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"
