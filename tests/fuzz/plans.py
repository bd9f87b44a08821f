"""Terraform documents: a reading whose VMs can be judged, or one sentence."""

from __future__ import annotations

import copy
import json
from typing import Any

from .choices import Choices

_WORDS = ("aws_instance", "module.a", "var.x", "create", "delete", "no-op", "[", "1" * 400, "0", "-1", "32G", "\x00",
          "data", "managed", "each.key", "aws_instance.a", "host=a", "scsi0", "{}", "<domain/>", "#cloud-config\n[",
          "a=b,c", "1" * 30)


def any_bytes(data: bytes) -> None:
    """Any bytes."""
    from terraform_files import read

    read(data)


def changed(data: bytes) -> None:
    """A plan or a state that Terraform wrote, with some values changed, gone, doubled or in another's place."""
    from terraform_files import files, places, read

    choices = Choices(data)
    document = copy.deepcopy(choices.one(files()))
    paths = list(places(document))
    for _number in range(1 + choices.below(6)):
        path = paths[choices.below(len(paths))]
        try:
            _change(document, path, choices, paths)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took that place away
    read(json.dumps(document).encode())


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
