"""The configuration inside a plan: which attribute of which resource refers to what.

A plan says "known after apply" for the id of a VM that is not made yet; that an attachment belongs to it stands only
here, as a list of references such as ``["aws_instance.web", "count.index"]``.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .resource import Resource
from .shapes import Raw, Shape, decode

_KEY = r'\[(\d{1,9}|"(?:[^"\\]|\\.)*")\]'
_MODULE = re.compile(rf"module\.([^.\[]+)(?:{_KEY})?")
_RESOURCE = re.compile(rf"(?:data\.)?([A-Za-z][\w-]*)\.([A-Za-z_][\w-]*)(?:{_KEY})?")
_OUTPUT = re.compile(rf"module\.([^.\[]+)(?:{_KEY})?(?:\.([\w-]+))?")
_BREAK = re.compile(r"[.\[]")
_NO_TYPES = frozenset({"count", "each", "local", "module", "path", "self", "terraform", "var"})
_NOTHING = Raw(b"null")
Position = tuple[Any, int]  # the key of an instance, and of how many
_NOWHERE: Position = (None, 0)
MAX_DEPTH = 20  # of variables and outputs that are followed
MAX_REFERENCES = 200  # of one expression; a longer list is not followed
MAX_FOUND = 257  # instances that one expression leads to; nobody follows more than 256


class ConfigResource(Shape):
    """A resource block. `expressions` stays JSON until a link needs it."""

    address: str = ""
    provider_config_key: str = ""
    expressions: Raw = Raw(b"{}")
    for_each_expression: Raw = _NOTHING


class ModuleCall(Shape):
    """A module block and the module that it calls."""

    module: ConfigModule | None = None
    expressions: Raw = Raw(b"{}")
    for_each_expression: Raw = _NOTHING


class Output(Shape):
    """An output of a module."""

    expression: Raw = _NOTHING


class ConfigModule(Shape):
    """A module's blocks."""

    resources: list[ConfigResource] | None = None
    module_calls: dict[str, ModuleCall] | None = None
    outputs: dict[str, Output] | None = None


class Provider(Shape):
    """A provider block."""

    expressions: Raw = Raw(b"{}")


class Configuration(Shape):
    """The member ``configuration`` of a plan."""

    root_module: ConfigModule | None = None
    provider_config: dict[str, Provider] | None = None


class References:
    """Follows references from a resource instance to resource instances, through variables, outputs and keys.

    `known` finds the instances of a resource: its key is (address of the module instance, type, name).
    """

    def __init__(self, configuration: Configuration, known: dict[tuple[str, str, str], dict[Any, Resource]]) -> None:
        self._configuration = configuration
        self._known = known
        self._blocks: dict[str, dict[str, ConfigResource]] = {}  # by module instance
        self._modules: dict[tuple[str, str], set[str]] | None = None
        self._asked: tuple[Resource | None, ConfigResource | None] = (None, None)
        self._last: tuple[Raw, dict[str, Any]] = (_NOTHING, {})

    def expression(self, resource: Resource, path: Sequence[str | int]) -> Any:
        """The expression at `path` of the resource's block, None where it has none."""
        block = self._block(resource)
        return _at(self._read(block.expressions), path) if block else None

    def written(self, resource: Resource, attribute: str) -> bool | None:
        """Whether the block gives `attribute` a value; None where the file holds no such block."""
        block = self._block(resource)
        return attribute in self._read(block.expressions) if block else None

    def constant(self, resource: Resource, attribute: str) -> str | None:
        """The constant that the resource's provider block gives to `attribute`, such as its region."""
        block = self._block(resource)
        provider = (self._configuration.provider_config or {}).get(block.provider_config_key) if block else None
        value = _at(self._read(provider.expressions), (attribute,)) if provider else None
        constant = value.get("constant_value") if isinstance(value, dict) else None
        return constant if isinstance(constant, str) else None

    def targets(self, resource: Resource, path: Sequence[str | int], types: Iterable[str]) -> list[Resource]:
        """The instances of `types` that the expression at `path` refers to, at most 257; [] where none is found.

        A reference to a whole resource of several instances means the one with the same key where the expression uses
        ``each.key``, and the one with the same number where it uses ``count.index`` and there are not more referrers
        than instances: with more of them it calculates, and how is not in the file. Else it means all of them.
        """
        block = self._block(resource)
        if block is None:
            return []
        span = len(self._known.get((resource.module, resource.type, resource.name), ()))
        found = self._follow(
            _references(_at(self._read(block.expressions), path)), block.for_each_expression, resource.module,
            (resource.index, span), frozenset(types), 0)
        return list({each.address: each for each in itertools.islice(found, MAX_FOUND)}.values())

    def _block(self, resource: Resource) -> ConfigResource | None:
        # A resource is asked for several attributes in a row.
        if self._asked[0] is not resource:
            self._asked = (resource, self._find(resource))
        return self._asked[1]

    def _find(self, resource: Resource) -> ConfigResource | None:
        if resource.module not in self._blocks:
            module = self._module(resource.module)
            # The address of a block has no module and no key; that of a data source begins with "data.".
            self._blocks[resource.module] = {
                each.address: each for each in (module.resources if module else None) or ()}
        prefix = "data." if resource.mode == "data" else ""
        return self._blocks[resource.module].get(f"{prefix}{resource.type}.{resource.name}")

    def _module(self, address: str) -> ConfigModule | None:
        module: ConfigModule | None = self._configuration.root_module
        for name, _key in _MODULE.findall(address):
            call = (module.module_calls or {}).get(name) if module else None
            module = call.module if call else None
        return module

    def _read(self, raw: Raw) -> Any:
        # The last one is kept; to keep all of them would cost more than the file.
        if self._last[0] is not raw:
            value = decode(raw, Any)
            self._last = (raw, value if isinstance(value, dict) else {})
        return self._last[1]

    def _follow(
        self, references: list[str], for_each: Raw, module: str, at: Position, types: frozenset[str], depth: int,
        bare: bool = False,
    ) -> Iterator[Resource]:
        """What `references` lead to, written in `module` by a block whose instance is `at`.

        `bare`: of an output, from which who refers to it takes the item `at`.
        """
        if depth > MAX_DEPTH:
            return
        own = at if bare or "count.index" in references or "each.key" in references else _NOWHERE
        passes = [(references, own)]
        values = [name for name in references if name.startswith("each.value")]
        if values and own is _NOWHERE:
            looped = self._read(for_each)
            # A loop over resources has their keys; one over a constant may name the key of a resource in its values.
            passes = [(references, (_constant(looped, at[0], values), 0)), (_references(looped), at)]
        for names, position in passes:
            for name in _most_specific(names):
                yield from self._reference(name, module, position, types, depth)

    def _reference(
        self, name: str, module: str, at: Position, types: frozenset[str], depth: int
    ) -> Iterator[Resource]:
        head = name.partition(".")[0]
        if head == "var":
            yield from self._variable(name.partition(".")[2].partition(".")[0].partition("[")[0], module, types, depth)
        elif head == "module":
            yield from self._output(name, module, at, types, depth)
        elif head not in _NO_TYPES:
            yield from self._instances(name, module, at, types)

    def _variable(self, name: str, module: str, types: frozenset[str], depth: int) -> Iterator[Resource]:
        """What the caller of `module` passes as the variable `name`."""
        steps = list(_MODULE.finditer(module))
        if not steps:
            return
        last = steps[-1]
        outer = module[: last.start()].rstrip(".")
        parent = self._module(outer)
        call = (parent.module_calls or {}).get(last.group(1)) if parent else None
        if call is not None:
            at = _key(last.group(2)), len(self._copies(outer, last.group(1)))
            yield from self._follow(_references(_at(self._read(call.expressions), (name,))), call.for_each_expression,
                                    outer, at, types, depth + 1)

    def _copies(self, outer: str, name: str) -> set[str]:
        """The keys that the module `name` has in the module instance `outer`, as they are written, "" for none."""
        if self._modules is None:
            self._modules = {}
            for module in {module for module, _type, _name in self._known}:
                for step in _MODULE.finditer(module):
                    key = (module[: step.start()].rstrip("."), step.group(1))
                    self._modules.setdefault(key, set()).add(step.group(2) or "")
        return self._modules.get((outer, name), set())

    def _output(
        self, name: str, module: str, at: Position, types: frozenset[str], depth: int
    ) -> Iterator[Resource]:
        """What an output of a module that `module` calls refers to.

        ``module.vms[each.key].id`` is listed as ``module.vms`` alone: then any output may be meant, of which those that
        lead to the wanted types count.
        """
        match = _OUTPUT.match(name)
        parent = self._module(module)
        call = (parent.module_calls or {}).get(match.group(1)) if match and parent else None
        if match is None or call is None or call.module is None:
            return
        copies = self._copies(module, match.group(1))
        inside = at  # where the key does not choose the module, it chooses within the output
        if match.group(2) is not None:
            written = match.group(2)
        elif "" in copies:
            written = ""
        else:
            written, inside = _written(at[0]), _NOWHERE
            if isinstance(at[0], int) and at[1] > len(copies):
                return
        inner = (f"{module}." if module else "") + f"module.{match.group(1)}" + (f"[{written}]" if written else "")
        outputs = call.module.outputs or {}
        for each in [match.group(3)] if match.group(3) else outputs:
            if each in outputs:
                yield from self._follow(_references(self._read(outputs[each].expression)), _NOTHING, inner, inside,
                                        types, depth + 1, bare=True)

    def _instances(self, name: str, module: str, at: Position, types: frozenset[str]) -> Iterator[Resource]:
        match = _RESOURCE.match(name)
        if match is None or match.group(1) not in types:
            return
        instances = self._known.get((module, match.group(1), match.group(2)), {})
        key, span = at
        if match.group(3) is not None:
            key, span = _key(match.group(3)), 0
            yield from [instances[key]] if key in instances else []
        elif None in instances:
            yield instances[None]
        elif key in instances and span <= len(instances):
            yield instances[key]
        else:
            yield from instances.values()


def _constant(for_each: dict[str, Any], key: Any, values: list[str]) -> Any:
    """What the longest of `values`, such as ``each.value.vm``, is in a constant loop; None where it is no key."""
    value = for_each.get("constant_value")
    for step in (str(key), *max(values, key=len).split(".")[2:]):
        value = value.get(step) if isinstance(value, dict) else None
    return value if isinstance(value, (str, int)) and not isinstance(value, bool) else None


def _at(value: Any, path: Sequence[str | int]) -> Any:
    """The expression at `path`. Where it has no blocks of its own there, the references of the whole hold."""
    for step in path:
        if isinstance(value, dict):
            if "references" in value:
                return value
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int):
            value = value[step] if step < len(value) else None
        else:
            return None
    return value


def _references(expression: Any) -> list[str]:
    found = expression.get("references") if isinstance(expression, dict) else None
    if not isinstance(found, list) or len(found) > MAX_REFERENCES:
        return []
    return [each for each in found if isinstance(each, str)]


def _most_specific(references: list[str]) -> list[str]:
    """Terraform lists ``a.b[0].id`` together with its beginnings ``a.b[0]`` and ``a.b``: only the first counts."""
    beginnings = {name[: match.start()] for name in references for match in _BREAK.finditer(name)}
    return [name for name in dict.fromkeys(references) if name not in beginnings]


def _key(text: str | None) -> Any:
    """The key of an instance as it is written: a number, or quoted text."""
    if not text:
        return None
    return decode(text.encode(), str) if text.startswith('"') else int(text)


def _written(key: Any) -> str:
    """`key` as an address has it in brackets."""
    if isinstance(key, str):
        return '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "" if key is None else str(key)
