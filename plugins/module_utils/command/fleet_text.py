"""Entries of VMs added to the text of a fleet file, whose other lines stay as they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..model.errors import ModelError
from ..model.fleet import Fleet, load_fleet
from ..model.yaml_reader import read_yaml

_VMS = re.compile(r"^vms:[ \t]*(#.*)?$")
_TOP = re.compile(r"^[^\s#]")


def with_vms(text: str, source: str, entries: Mapping[str, Mapping[str, Any]]) -> str:
    """`text` with `entries` at the end of its ``vms``, which may be missing. Raises ModelError where nothing can be
    added, and where that would change another VM."""
    document = read_yaml(text, source)
    defaults = document.get("defaults") or {}
    whole = {name: _over(defaults, entry) for name, entry in entries.items()}
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if _VMS.match(line)]
    if document.get("vms") and not starts:
        raise ModelError("its 'vms' are written in a form to which nothing can be added; write each VM on lines of its "
                         "own below 'vms:'", ("vms",), source)
    if starts:
        first = starts[0] + 1
        end = next((number for number in range(first, len(lines)) if _TOP.match(lines[number])), len(lines))
        while end > first and not lines[end - 1].strip():
            end -= 1
        indent = next((len(line) - len(line.lstrip()) for line in lines[first:end]
                       if line.strip() and not line.lstrip().startswith("#")), 2)
        lines[end:end] = _block(whole, indent)
    else:
        lines += ["vms:", *_block(whole, 2)]
    new = "\n".join(lines) + "\n"
    _same(load_fleet(text, source), load_fleet(new, source), entries, source)
    return new


def _block(entries: Mapping[str, Any], indent: int) -> list[str]:
    import yaml

    text = yaml.safe_dump(dict(entries), sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)
    return [" " * indent + line for line in text.splitlines()]


def _over(defaults: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """`entry`, with null for all that `defaults` would add to it."""
    found: dict[str, Any] = {key: dict(value) if isinstance(value, Mapping) else value for key, value in entry.items()}
    for key, below in defaults.items():
        if key not in found:
            found[str(key)] = None
        elif isinstance(below, Mapping) and isinstance(found[key], dict):
            found[key] = _over(below, found[key])
    return found


def _same(before: Fleet, after: Fleet, entries: Mapping[str, Any], source: str) -> None:
    """Raise ModelError where a VM of before is not as it was."""
    then, now = ({vm.name: (vm.site, dict(vm.spec)) for vm in fleet.vms} for fleet in (before, after))
    wrong = [name for name in then if now.get(name) != then[name]]
    if wrong or set(now) != set(then) | set(entries):
        raise ModelError(f"adding to it would change other VMs ({', '.join(wrong[:5])}); write the entries yourself",
                         ("vms",), source)
