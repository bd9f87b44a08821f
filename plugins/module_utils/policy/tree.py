"""The syntax tree of an expression, as the ``jmespath`` library gives it: its paths, its chains and its size."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Node = Mapping[str, Any]

_WORD = re.compile("[A-Za-z_][A-Za-z0-9_-]*")  # a key that a path shows without quotes


def path_of(node: Node) -> str:
    """The path that `node` names, such as ``tags.owner``; a key with a dot in it is quoted, ``sysctl."kernel.sysrq"``;
    empty where it computes something."""
    return shown(steps_of(node))


def shown(steps: Iterable[str | int]) -> str:
    """A path as text."""
    parts = [f"[{step}]" if isinstance(step, int) else step if _WORD.fullmatch(step) else json.dumps(step)
             for step in steps]
    return "".join(part if part.startswith("[") or not number else f".{part}" for number, part in enumerate(parts))


def steps_of(node: Node) -> tuple[str | int, ...]:
    """The keys and indices of the path that `node` names; empty where it computes something."""
    if node["type"] == "field":
        return (str(node["value"]),)
    if node["type"] == "index":
        return (int(node["value"]),)
    if node["type"] in ("subexpression", "index_expression"):
        parts = [steps_of(child) for child in node["children"]]
        return tuple(step for part in parts for step in part) if all(parts) else ()
    return ()


def read_by(node: Node) -> tuple[str | int, ...]:
    """The path that a chain reads though it asks for it with ``default`` or ``present``: of ``vsphere.default(logging,
    `false`)`` it is ``vsphere.logging``."""
    if node["type"] == "function_expression" and node["value"] in ("default", "present"):
        return read_by(node["children"][0])
    if node["type"] in ("subexpression", "index_expression"):
        parts = [read_by(child) for child in node["children"]]
        return tuple(step for part in parts for step in part) if all(parts) else ()
    return steps_of(node)


def chain_of(node: Node) -> Iterator[Node]:
    """The steps of a chain, from its beginning: ``a.b[0]`` is a tree of pairs."""
    for child in node["children"]:
        if child["type"] in ("subexpression", "index_expression"):
            yield from chain_of(child)
        else:
            yield child


def size_of(node: Node | None) -> int:
    """The number of parts of `node`: what an item costs that goes through it."""
    if node is None:
        return 0
    if node["type"] == "slice":
        return 1
    return 1 + sum(size_of(child) for child in node.get("children", ()))
