"""The syntax tree of an expression as Python: one function, compiled once, that reads nothing but the document.

A value that is not there is `Absent`, and whatever is computed from it is `Absent` too, unless ``&&``, ``||``,
``present`` or ``default`` settle it (Kleene's logic). So a filter cannot drop what it cannot judge, and nothing passes
for want of data. With `nulls` the same code is made with JMESPath's own nulls instead: what is missing is null, filters
and projections drop it. Rules never use that; it is how the compiler is held against JMESPath's compliance suite.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from . import calls, runtime
from .documents import Absent, normal
from .functions import FUNCTIONS
from .writer import Value, Writer

Node = Mapping[str, Any]
Compiled = Callable[[Any, Any], Any]

_WORD = re.compile("[A-Za-z_][A-Za-z0-9_-]*")  # a key that a path shows without quotes
_COMPARE = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_BITS = ("0", "1", "0.0", "1.0", "-0.0")  # what Python takes for false and true
_KINDS: dict[type, str] = {
    bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object",
}


def path_of(node: Node) -> str:
    """The path that `node` names, such as ``tags.owner``; a key with a dot in it is quoted, ``sysctl."kernel.sysrq"``;
    empty where it computes something."""
    parts = [f"[{step}]" if isinstance(step, int) else step if _WORD.fullmatch(step) else json.dumps(step)
             for step in steps_of(node)]
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


_HELPERS: dict[str, Any] = {
    "__builtins__": {"len": len, "slice": slice, "dict": dict, "list": list, "str": str, "int": int, "float": float,
                     "bool": bool, "map": map, "type": type},
    "Absent": Absent,
    **{name: getattr(runtime, name) for name in (
        "EvaluationError", "comparable", "flat", "hole", "later", "lost", "numbers", "of_item", "ordered", "present", "same",
        "search", "spend", "texts", "truthy", "weigh", "weigh_all", "weigh_texts", "within")},
    **{f"f_{name}": function.run for name, function in FUNCTIONS.items()},
    **{f"accept_{name}": function.accept for name, function in FUNCTIONS.items()},
    "pick": calls.pick,
}


@dataclass(frozen=True)
class Source:
    """The Python source of an expression, and the constants that it names."""

    text: str
    constants: Mapping[str, Any]

    def compile(self) -> Compiled:
        """The function. It raises EvaluationError, and CallError where a function got what it cannot use."""
        names = {**_HELPERS, **self.constants}
        # The source holds names that this room made and literals that `repr` wrote; see writer.py.
        exec(compile(self.text, "<expression>", "exec"), names)  # noqa: S102
        found: Compiled = names["run"]
        return found


def write_source(tree: Node, patterns: Mapping[str, Any], nulls: bool = False) -> Source:
    """The source of `tree`. Raises `writer.TooDeep`."""
    compiler = Compiler(patterns, nulls)
    result = compiler.visit(tree, Value("d", "" if nulls else "object", absent=False))
    return Source(compiler.out.source(result), compiler.out.constants)


class Compiler:
    """Visits a tree and writes what each node is worth."""

    def __init__(self, patterns: Mapping[str, Any], nulls: bool) -> None:
        self.out = Writer()
        self.patterns = patterns
        self.nulls = nulls

    # Absence

    def missing(self, path: str) -> str:
        """The source of what stands for a value that is not set."""
        return "None" if self.nulls else self.out.constant(Absent(path))

    def is_absent(self, atom: str) -> str:
        return f"{atom} is None" if self.nulls else f"{atom}.__class__ is Absent"

    def is_there(self, atom: str) -> str:
        return f"{atom} is not None" if self.nulls else f"{atom}.__class__ is not Absent"

    def else_lost(self, source: Value, missing: str) -> str:
        """What a step gives where `source` is not what it steps into."""
        return missing if self.nulls or not source.absent else f"lost({source.atom}, {missing})"

    def truth(self, value: Value) -> str:
        """The source of whether a value that is there is true."""
        return value.atom if value.kind == "boolean" else f"truthy({value.atom})"

    # Nodes

    def visit(self, node: Node, source: Value, label: str = "") -> Value:
        """Write what `node` is worth for `source`; `label` is the path of the chain that it is a step of."""
        method = getattr(self, f"_visit_{node['type']}")
        found: Value = method(node, source, label)
        return found

    def _visit_field(self, node: Node, source: Value, label: str) -> Value:
        return self.field(str(node["value"]), source, label or path_of(node))

    def field(self, key: str, source: Value, label: str) -> Value:
        """A field of `source`. Without a `label` it is a step on the way to another one: None where it is missing."""
        def write() -> str:
            missing = self.missing(label) if label else "None"
            get = f"{source.atom}.get({key!r}{f', {missing}' if missing != 'None' else ''})"
            if source.kind == "object" and not source.absent:
                return out.let(get)
            name = out.name()
            with out.block(f"if {source.atom}.__class__ is dict:"):
                out.put(f"{name} = {get}")
            with out.block("else:"):
                passed_on = f"{source.atom} if {self.is_absent(source.atom)} else None"
                out.put(f"{name} = {self.else_lost(source, missing) if label or self.nulls else passed_on}")
            return name

        out = self.out
        return Value(out.once(source.atom, key, label, write=write))

    def _visit_index(self, node: Node, source: Value, label: str) -> Value:
        out, index = self.out, int(node["value"])
        missing = self.missing(label or path_of(node))
        name, atom = out.name(), source.atom
        inside = f"{index} < len({atom})" if index >= 0 else f"{-index} <= len({atom})"
        with out.block(f"if {atom}.__class__ is list and {inside}:"):
            out.put(f"{name} = {atom}[{index}]")
            if not self.nulls:
                with out.block(f"if {name}.__class__ is Absent:"):
                    out.put(f"{name} = lost({name}, {missing})")
        with out.block("else:"):
            out.put(f"{name} = {self.else_lost(source, missing)}")
        return Value(name)

    def _visit_slice(self, node: Node, source: Value, label: str) -> Value:
        out, atom = self.out, source.atom
        start, stop, step = node["children"]
        name = out.name()
        with out.block(f"if {atom}.__class__ is list:"):
            out.spend(f"len({atom})")
            out.put(f"{name} = {atom}[slice({start!r}, {stop!r}, {step!r})]")
        with out.block("else:"):
            out.put(f"{name} = {self.else_lost(source, self.missing(label or 'a list'))}")
        return Value(name)

    def _visit_current(self, _node: Node, source: Value, _label: str) -> Value:
        return source

    _visit_identity = _visit_current

    def _visit_literal(self, node: Node, _source: Value, _label: str) -> Value:
        return self.literal(node["value"])

    def literal(self, value: Any) -> Value:
        """A value that the expression itself holds."""
        if value is None:
            return Value(self.missing("null"))
        kind = _KINDS[type(value)]
        if kind in ("array", "object"):
            plain = value if self.nulls else normal({"literal": value})["literal"]
            whole = kind == "array" and runtime.hole(plain) is None
            return Value(self.out.constant(plain), kind, absent=False, whole=whole)
        return Value(self.out.constant(value), kind, absent=False, literal=repr(value))

    def _chain(self, node: Node, source: Value, label: str) -> Value:
        label = label or path_of(node)
        steps = list(_steps(node))
        for step, following in zip(steps, [*steps[1:], None], strict=True):
            if label and step["type"] == "field" and following is not None and following["type"] in ("field", "index"):
                source = self.field(str(step["value"]), source, "")
            else:
                source = self.step(step, source, label)
        return source

    _visit_subexpression = _visit_index_expression = _chain

    def _visit_pipe(self, node: Node, source: Value, _label: str) -> Value:
        for child in node["children"]:
            source = self.step(child, source, "")
        return source

    def step(self, node: Node, source: Value, label: str) -> Value:
        """A step after another: what is not there stays so, whatever would be computed from it."""
        if self.nulls or not source.absent or node["type"] in ("field", "index", "slice", "subexpression", "current",
                                                               "index_expression", "identity"):
            return self.visit(node, source, label)
        out = self.out
        name = out.let(source.atom)
        with out.block(f"if {self.is_there(name)}:"):
            found = self.visit(node, Value(name, source.kind, absent=False, whole=source.whole), label)
            out.put(f"{name} = {found.atom}")
        return Value(name, found.kind)

    # Lists and objects

    def items(self, node: Node, source: Value, name: str, values: bool = False) -> Value:
        """The list (or with `values` the object) that `node` is worth. Where it is none, `name` gets what stands for
        it; what is done with its items goes into the block ``else:`` that must follow."""
        out = self.out
        base = self.visit(node, source)
        what = "an object" if values else f"the list {path_of(node)}".strip()
        with out.block(f"if {base.atom}.__class__ is not {'dict' if values else 'list'}:"):
            out.put(f"{name} = {'None' if self.nulls else self.instead(base, what)}")
        return base

    def instead(self, base: Value, what: str) -> str:
        missing = self.out.constant(Absent(what))
        return f"{base.atom} if {base.atom}.__class__ is Absent else {missing}" if base.absent else missing

    def _visit_projection(self, node: Node, source: Value, _label: str) -> Value:
        return self.project(node, source, None, values=False)

    def _visit_value_projection(self, node: Node, source: Value, _label: str) -> Value:
        return self.project(node, source, None, values=True)

    def _visit_filter_projection(self, node: Node, source: Value, _label: str) -> Value:
        return self.project(node, source, node["children"][2], values=False)

    def project(self, node: Node, source: Value, condition: Node | None, values: bool, count: bool = False) -> Value:
        """The items of a list that fulfil `condition`, each as the node's right side sees it; with `count` their
        number."""
        out = self.out
        name, item = out.name(), out.name()
        right = node["children"][1]
        base = self.items(node["children"][0], source, name, values)
        items = f"{base.atom}.values()" if values else base.atom
        with out.block("else:"):
            out.spend(f"len({base.atom}) * {size_of(right) + size_of(condition)}")
            out.put(f"{name} = {0 if count else []}")
            with out.loop(item, items):
                one = Value(item, absent=not base.whole)
                if condition is not None:
                    self.absent_item(one, name, items, item)
                    verdict = self.visit(condition, Value(item, absent=self.nulls))
                    if verdict.kind == "boolean" and verdict.absent and not self.nulls:
                        with out.block(f"if {verdict.atom} is not True:"):
                            out.put(f"if {verdict.atom} is False: continue")
                            out.put(f"{name} = of_item({verdict.atom}, {items}, {item})")
                            out.put("break")
                    else:
                        self.absent_item(verdict, name, items, item)
                        out.put(f"if not {self.truth(verdict)}: continue")
                    one = Value(item, absent=self.nulls)
                elif right["type"] != "identity":
                    self.absent_item(one, name, items, item)
                    one = Value(item, absent=self.nulls)
                found = self.visit(right, one)
                self.absent_item(found, name, items, item)
                add = f"{name} += 1" if count else f"{name}.append({found.atom})"
                out.put(f"if {found.atom} is not None: {add}" if self.nulls else add)
        return Value(name, "number" if count else "array", whole=True)

    def absent_item(self, value: Value, name: str, items: str, item: str) -> None:
        """Leave the loop where `value`, of an item, is not there: then `name` is not there either."""
        if value.absent and not self.nulls:
            with self.out.block(f"if {self.is_absent(value.atom)}:"):
                self.out.put(f"{name} = of_item({value.atom}, {items}, {item})")
                self.out.put("break")

    def _visit_flatten(self, node: Node, source: Value, _label: str) -> Value:
        out = self.out
        name, item = out.name(), out.name()
        base = self.items(node["children"][0], source, name)
        with out.block("else:"):
            if out.loops:  # once, it is little against the list itself
                out.spend(f"len({base.atom})")
            out.put(f"{name} = {base.atom}")
            with out.loop(item, base.atom), out.block(f"if {item}.__class__ is list:"):
                out.put(f"{name} = flat({base.atom}, b)")
                out.put("break")
        return Value(name, "array")

    def _visit_multi_select_list(self, node: Node, source: Value, _label: str) -> Value:
        if all(child["type"] == "literal" and child["value"] is not None for child in node["children"]):
            return self.literal([child["value"] for child in node["children"]])
        return self._select(source, [self._late(child, source) for child in node["children"]],
                            lambda atoms: f"[{', '.join(atoms)}]", "array")

    def _visit_multi_select_dict(self, node: Node, source: Value, _label: str) -> Value:
        keys = [repr(str(child["value"])) for child in node["children"]]
        return self._select(source, [self._late(child["children"][0], source) for child in node["children"]],
                            lambda atoms: f"{{{', '.join(map(': '.join, zip(keys, atoms, strict=True)))}}}", "object")

    def _late(self, node: Node, source: Value) -> Callable[[], Value]:
        return lambda: self.visit(node, source)

    def _select(self, source: Value, parts: list[Callable[[], Value]], build: Callable[[list[str]], str],
                kind: str) -> Value:
        out = self.out
        name = out.name()
        if self.nulls:
            out.put(f"{name} = None")
            with out.block(f"if {source.atom} is not None:"):
                out.put(f"{name} = {build([part().atom for part in parts])}")
            return Value(name, "")
        found = [part() for part in parts]
        self.unless_absent(name, found, lambda: out.put(f"{name} = {build([value.atom for value in found])}"))
        return Value(name, kind, absent=any(value.absent for value in found), whole=kind == "array")

    def unless_absent(self, name: str, values: list[Value], write: Callable[[], None]) -> None:
        """`name` is the first of `values` that is absent; where none is, `write` says what it is."""
        word = "if"
        for value in values:
            if value.absent:
                with self.out.block(f"{word} {self.is_absent(value.atom)}:"):
                    self.out.put(f"{name} = {value.atom}")
                word = "elif"
        if word == "if":
            write()
            return
        with self.out.block("else:"):
            write()

    # Logic

    def _visit_or_expression(self, node: Node, source: Value, _label: str) -> Value:
        return self._logic(node, source, settles=True)

    def _visit_and_expression(self, node: Node, source: Value, _label: str) -> Value:
        return self._logic(node, source, settles=False)

    def _logic(self, node: Node, source: Value, settles: bool) -> Value:
        """``||`` or ``&&``: the truth `settles` on the left decides at once; on the right it decides for what is absent
        on the left."""
        out = self.out
        left = self.visit(node["children"][0], source)
        name = out.let(left.atom)
        absent = left.absent and not self.nulls
        test = f"not {self.truth(left)}" if settles else self.truth(left)
        if absent:
            test = f"{name} is not {settles}" if left.kind == "boolean" else f"{self.is_absent(name)} or {test}"
        with out.block(f"if {test}:"):
            right = self.visit(node["children"][1], source)
            if not absent:
                out.put(f"{name} = {right.atom}")
            elif left.kind == right.kind == "boolean":
                out.put(f"if {name} is {not settles} or {right.atom} is {settles}: {name} = {right.atom}")
            else:
                # Of what is known only after apply the truth may be decided; the value is the one that comes.
                decides = self.truth(right) if settles else f"not {self.truth(right)}"
                if right.absent:
                    decides = f"{self.is_there(right.atom)} and {decides}"
                out.put(f"if {self.is_there(name)} or {right.atom} is {settles} or {name}.settled and {decides}: "
                        f"{name} = {right.atom}")
            if absent and right.absent:
                out.put(f"elif {self.is_absent(right.atom)}: {name} = later({name}, {right.atom})")
        return Value(name, left.kind if left.kind == right.kind else "", absent=left.absent or right.absent)

    def _visit_not_expression(self, node: Node, source: Value, _label: str) -> Value:
        value = self.visit(node["children"][0], source)
        test = f"not {self.truth(value)}"
        if value.absent and not self.nulls:
            test = f"{value.atom} if {self.is_absent(value.atom)} else {test}"
        return Value(self.out.let(test), "boolean", absent=value.absent and not self.nulls)

    def _visit_comparator(self, node: Node, source: Value, _label: str) -> Value:
        left, right = (self.visit(child, source) for child in node["children"])
        operator, name = node["value"], self.out.name()
        absent = left.absent or right.absent
        if operator in ("eq", "ne"):
            scalar = self._equal(left, right, operator == "ne", name)
            return Value(name, "boolean", absent=not self.nulls and (absent or not scalar))
        self._order(left, right, _COMPARE[operator], name)
        return Value(name, "boolean", absent=absent or self.nulls)

    def _equal(self, left: Value, right: Value, differs: bool, name: str) -> bool:
        """Write `name`; True where one side is a scalar that is known, so that nothing within can be absent."""
        out = self.out
        if left.literal:
            left, right = right, left
        if right.literal:
            # A text equals texts only; a number must not be taken for true or false.
            same = {
                "string": f"{left.atom} == {right.literal}",
                "number": f"{left.atom} == {right.literal}" if left.kind == "number" or right.literal not in _BITS
                else f"({left.atom} == {right.literal} and {left.atom}.__class__ is not bool)",
                "boolean": f"{left.atom} is {right.literal}",
            }[right.kind]
            test = f"not {same}" if differs else same
            absent = left.absent and not self.nulls
            out.put(f"{name} = {left.atom} if {self.is_absent(left.atom)} else {test}" if absent
                    else f"{name} = {test}")
            return True
        if left.kind == right.kind and left.kind in ("string", "number", "boolean") and not self.nulls:
            self.unless_absent(name, [left, right], lambda: out.put(
                f"{name} = {left.atom} {'!=' if differs else '=='} {right.atom}"))
            return True
        if self.nulls:
            out.put(f"{name} = {'not ' if differs else ''}same({left.atom}, {right.atom}, b)")
            return False
        out.put(f"{name} = same({left.atom}, {right.atom}, b)")
        if differs:
            out.put(f"if {self.is_there(name)}: {name} = not {name}")
        return False

    def _order(self, left: Value, right: Value, operator: str, name: str) -> None:
        out = self.out
        if self.nulls:
            out.put(f"{name} = {left.atom} {operator} {right.atom} if comparable({left.atom}, {right.atom}) else None")
            return

        test = f"{name} = {left.literal or left.atom} {operator} {right.literal or right.atom}"
        unsure = [value for value in (left, right) if value.kind != "number" or value.absent]
        if not unsure:
            out.put(test)
            return
        numbers = " and ".join(f"({value.atom}.__class__ is int or {value.atom}.__class__ is float)"
                               for value in unsure)
        with out.block(f"if {numbers}:"):
            out.put(test)
        for value in unsure:
            if value.absent:
                with out.block(f"elif {self.is_absent(value.atom)}:"):
                    out.put(f"{name} = {value.atom}")
        with out.block("else:"):
            out.put(f"{name} = ordered({left.atom}, {right.atom})")

    # Functions

    def _visit_function_expression(self, node: Node, source: Value, _label: str) -> Value:
        return calls.write(self, node, source)


def _steps(node: Node) -> Iterator[Node]:
    """The steps of a chain, from its beginning: ``a.b[0]`` is a tree of pairs."""
    for child in node["children"]:
        if child["type"] in ("subexpression", "index_expression"):
            yield from _steps(child)
        else:
            yield child


def size_of(node: Node | None) -> int:
    """The number of parts of `node`: what an item costs that goes through it."""
    if node is None:
        return 0
    if node["type"] == "slice":
        return 1
    return 1 + sum(size_of(child) for child in node.get("children", ()))
