"""Terraform documents: a reading whose VMs can be judged, or one sentence."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from muster.policy.documents import normal
from muster.terraform import TerraformError
from muster.terraform.reading import parse

from .choices import Choices

_HERE = Path(__file__).parents[1] / "unit" / "terraform"
_WORDS = ("aws_instance", "module.a", "var.x", "create", "delete", "no-op", "[", "1" * 400, "0", "-1", "32G", "\x00",
          "data", "managed", "each.key", "aws_instance.a", "host=a", "scsi0", "{}", "<domain/>", "#cloud-config\n[",
          "a=b,c", "1" * 30)


def any_bytes(data: bytes) -> None:
    """Any bytes."""
    try:
        reading = parse(data, "plan.json")
    except TerraformError as error:
        sentence = str(error)
        assert sentence.startswith("plan.json: ")
        assert sentence.isascii()
        assert sentence.isprintable()
        assert len(sentence) < 700, sentence
        return
    for document in reading.vms:
        normal(document)
        assert isinstance(document["name"], str)
        assert isinstance(document["terraform_address"], str)
    assert all(number > 0 for number in reading.unmapped.values())


def changed(data: bytes) -> None:
    """A plan or a state that Terraform wrote, with some values changed, gone, doubled or in another's place."""
    choices = Choices(data)
    document = copy.deepcopy(choices.one(files()))
    paths = list(_places(document))
    for _number in range(1 + choices.below(6)):
        path = paths[choices.below(len(paths))]
        try:
            _change(document, path, choices, paths)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took that place away
    any_bytes(json.dumps(document).encode())


@cache
def files() -> list[dict[str, Any]]:
    """The cases and the recorded files of the unit tests."""
    from terraform_files import encoded

    cases = [json.loads(encoded(case)) for path in sorted((_HERE / "cases").glob("*.yml"))
             for case in yaml.safe_load(path.read_text(encoding="utf-8"))]
    recorded = sorted((_HERE / "recorded").glob("*.json"))
    return cases + [json.loads(path.read_text(encoding="utf-8")) for path in recorded]


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _places(item, (*path, key))


def _change(document: Any, path: tuple[Any, ...], choices: Choices, paths: list[tuple[Any, ...]]) -> None:
    parent = _at(document, path[:-1])
    kind = choices.below(6)
    if kind == 0:
        del parent[path[-1]]
    elif kind == 1:
        parent[path[-1]] = copy.deepcopy(_at(document, paths[choices.below(len(paths))]))
    elif kind == 2 and isinstance(parent, list):
        parent.append(copy.deepcopy(parent[path[-1]]))
    elif kind == 3:
        parent[path[-1]] = choices.one(_WORDS)
    else:
        parent[path[-1]] = choices.value(("name", "id", "size", "values", "references", "constant_value"), 2)


def _at(document: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        document = document[step]
    return document
