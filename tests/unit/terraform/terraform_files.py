"""Cases as data become the files that Terraform writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from muster.policy.documents import normal
from muster.terraform import Reading, TerraformError
from muster.terraform.reading import parse

HERE = Path(__file__).parent

# Keys that every document has; a case's `expect` names them only where they are its point.
COMMON = ("name", "terraform_address", "terraform_type", "action")


def block(address: str) -> tuple[str, str, str, str]:
    """Address of the module instance, type, name and key of the resource instance at `address`."""
    head, bracket, key = address.partition("[") if not address.startswith("module.") else ("", "", "")
    if not head:
        steps = address.split(".")
        cut = max(number for number, step in enumerate(steps) if step == "module") + 2
        module, rest = ".".join(steps[:cut]), ".".join(steps[cut:])
        head, bracket, key = rest.partition("[")
    else:
        module = ""
    type_, _dot, name = head.removeprefix("data.").partition(".")
    return module, type_, name, key.removesuffix("]") if bracket else ""


def change(resource: dict[str, Any]) -> dict[str, Any]:
    """An entry of ``resource_changes``."""
    module, type_, name, key = block(resource["address"])
    made = {
        "address": resource["address"], "mode": "data" if "data." in resource["address"] else "managed",
        "type": type_, "name": name, "provider_name": f"registry.terraform.io/example/{type_.partition('_')[0]}",
        "change": {
            "actions": resource.get("actions", ["create"]), "before": None, "after": resource.get("values"),
            "after_unknown": resource.get("unknown", {}), "before_sensitive": False,
            "after_sensitive": resource.get("sensitive", {}),
        },
    }
    if module:
        made["module_address"] = module
    if key:
        made["index"] = json.loads(key)
    return made | ({"deposed": resource["deposed"]} if "deposed" in resource else {})


def plan(case: dict[str, Any]) -> dict[str, Any]:
    """The plan of a case: its `resources`, its `configuration` and the data sources of its `prior` state."""
    made: dict[str, Any] = {
        "format_version": "1.2", "terraform_version": "1.11.4", "planned_values": {"root_module": {}},
        "resource_changes": [change(each) for each in case["resources"]],
        "configuration": case.get("configuration") or {"root_module": {"resources": [
            {"address": address, "mode": "managed", "type": address.partition(".")[0],
             "name": address.partition(".")[2], "provider_config_key": "main", "expressions": expressions}
            for address, expressions in case.get("expressions", {}).items()
        ]}},
        "errored": False,
    }
    if "prior" in case:
        made["prior_state"] = {"format_version": "1.0", "values": {"root_module": {"resources": [
            state_resource(each) for each in case["prior"]]}}}
    return made


def state_resource(resource: dict[str, Any]) -> dict[str, Any]:
    """An entry of a state."""
    made = change(resource)
    return {key: made[key] for key in ("address", "mode", "type", "name", "provider_name", "index") if key in made} | {
        "values": resource.get("values"), "sensitive_values": resource.get("sensitive", {})}


def state(case: dict[str, Any]) -> dict[str, Any]:
    """The state of a case: the resources of each module."""
    modules: dict[str, list[dict[str, Any]]] = {}
    for each in case["state"]:
        modules.setdefault(block(each["address"])[0], []).append(state_resource(each))
    root = {"resources": modules.pop("", [])}
    if modules:
        root["child_modules"] = [{"address": address, "resources": found} for address, found in modules.items()]
    return {"format_version": "1.0", "terraform_version": "1.11.4", "values": {"root_module": root}}


def encoded(case: dict[str, Any]) -> bytes:
    """The file of a case."""
    return json.dumps(state(case) if "state" in case else plan(case)).encode()


@cache
def files() -> list[dict[str, Any]]:
    """The documents of all cases and all recorded files."""
    cases = [json.loads(encoded(case)) for path in sorted((HERE / "cases").glob("*.yml"))
             for case in yaml.safe_load(path.read_text(encoding="utf-8"))]
    recorded = sorted((HERE / "recorded").glob("*.json"))
    return cases + [json.loads(path.read_text(encoding="utf-8")) for path in recorded]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside of `value`."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def read(data: bytes) -> Reading | None:
    """What `parse` makes of it, None where that is one sentence. Every document must be one that rules can judge."""
    try:
        reading = parse(data, "plan.json")
    except TerraformError as error:
        sentence = str(error)
        assert sentence.startswith("plan.json: ")
        assert sentence.isascii()
        assert sentence.isprintable()
        assert len(sentence) < 700, sentence
        return None
    for document in reading.vms:
        normal(document)
        assert isinstance(document["name"], str)
        assert isinstance(document["terraform_address"], str)
    assert all(number > 0 for number in reading.unmapped.values())
    return reading
