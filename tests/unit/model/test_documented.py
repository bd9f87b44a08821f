"""What is made of the field table is what is in docs/, and agrees with what the fleet file accepts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from muster.model.fields import VM_FIELDS, argument_spec
from muster.model.fleet import load_fleet
from muster.model.patterns import MEANING
from muster.model.planner import people
from muster.model.reference import options, page
from muster.model.schema import files, fleet_schema
from test_fleet import ACME
from vm_strategies import specs

DOCS = Path(__file__).parents[3] / "docs"
SCHEMA = jsonschema.Draft202012Validator(fleet_schema())


class Text12(yaml.SafeLoader):
    """YAML 1.2 as editors read it: ``on``, ``no`` and ``19:00`` are text."""


Text12.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rsplit(":", 1)[1] in ("null", "merge")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@pytest.mark.parametrize("name", sorted(files()))
def test_the_page_in_docs_is_current(name: str) -> None:
    committed = (DOCS / name).read_text(encoding="utf-8")
    assert committed == files()[name], "run: python -m muster.model.schema docs"


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(fleet_schema())


@given(specs)
def test_the_schema_takes_what_the_model_takes(spec: dict[str, Any]) -> None:
    shown = {name: people(value, VM_FIELDS[name]) for name, value in spec.items()}
    for written in (spec, shown):
        SCHEMA.validate({"fleet": "acme", "sites": {"lab": {"platform": "libvirt"}}, "vms": {"web": written}})


@pytest.mark.parametrize(("vm", "says"), [
    ({"memroy": "2 GiB"}, "'memroy' was unexpected"),
    ({"cpus": 0}, "0 is less than the minimum of 1"),
    ({"memory": "lots"}, "is not valid under any of the given schemas"),
    ({"firmware": "efi"}, "'efi' is not one of"),
    ({"disks": [{"pool": "fast"}]}, "'size' is a required property"),
    ({"tags": {"cost_center": 4711}}, "4711 is not of type 'string', 'null'"),
    ({"health": [{"tcp": {"port": 22}, "http": {}}]}, "is valid under each of"),
    ({"overrides": {"web-1": {"cpu": 1}}}, "'cpu' was unexpected"),
])
def test_the_schema_refuses(vm: dict[str, Any], says: str) -> None:
    fleet = {"fleet": "acme", "sites": {"lab": {"platform": "libvirt"}}, "vms": {"web": vm}}
    [error] = SCHEMA.iter_errors(fleet)
    assert says in error.message


def test_the_schema_takes_a_whole_fleet_file() -> None:
    fleet = yaml.load(ACME, Loader=Text12)  # a safe loader, see above
    fleet["vms"]["web"]["count"] = 2
    fleet["sites"]["lab"]["parallel"] = 2
    vms = fleet["vms"]
    vms["web"]["cpus"] = 2
    vms["web"]["protection"]["keep"] = {"daily": 7, "weekly": 4}
    vms["web"]["health"] = [{"http": {"port": 80, "path": "/"}}]
    vms["db"]["secure_boot"] = False
    SCHEMA.validate(fleet)


def check(documented: dict[str, Any], spec: dict[str, Any]) -> None:
    assert documented.keys() == spec.keys()
    for name, option in spec.items():
        beside = {key: value for key, value in documented[name].items() if key not in ("description", "suboptions")}
        assert beside == {key: value for key, value in option.items() if key != "options"}
        assert documented[name]["description"]
        check(documented[name].get("suboptions", {}), option.get("options", {}))


def test_the_documentation_of_the_modules_is_their_argument_spec() -> None:
    check(options(), argument_spec())
    json.dumps(options())


def test_every_pattern_has_a_meaning() -> None:
    def walk(fields: dict[str, Any]) -> None:
        for entry in fields.values():
            ours = entry["muster"]
            assert {ours[key] for key in ("pattern", "keys") if key in ours} <= MEANING.keys()
            walk(entry.get("options", {}))
            walk(ours.get("values", {}))

    walk(VM_FIELDS)


def test_the_page_names_every_field() -> None:
    text = page()
    assert all(f"| `{name}` |" in text for name in VM_FIELDS)


def test_the_fleet_file_of_the_guide_is_read() -> None:
    text = (DOCS / "fleet-file.md").read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    assert [vm.name for vm in load_fleet(text).vms] == ["web-1", "web-2"]
