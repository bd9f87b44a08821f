"""The syntax tree of an expression as Python: one function, compiled once, that reads nothing but the document.

A value that is not there is `Absent`, and whatever is computed from it is `Absent` too, unless ``&&``, ``||``,
``present`` or ``default`` settle it (Kleene's logic). So a filter cannot drop what it cannot judge, and nothing passes
for want of data. With `nulls` the same code is made with JMESPath's own nulls instead: what is missing is null, filters
and projections drop it. Rules never use that; it is how the compiler is held against JMESPath's compliance suite.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import calls, runtime
from .documents import Absent
from .functions import FUNCTIONS
from .lists import ListVisitor
from .tree import Node, chain_of, path_of
from .writer import Value

Compiled = Callable[..., Any]

_COMPARE = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_BITS = ("0", "1", "0.0", "1.0", "-0.0")  # what Python takes for false and true
_HELPERS: dict[str, Any] = {
    "__builtins__": {"len": len, "slice": slice, "dict": dict, "list": list, "str": str, "int": int, "float": float,
                     "bool": bool, "map": map, "type": type},
    "Absent": Absent,
    **{name: getattr(runtime, name) for name in (
        "EvaluationError", "comparable", "flat", "hole", "later", "lost", "numbers", "of_item", "ordered", "present",
        "same", "search", "spend", "texts", "truthy", "weigh", "weigh_all", "weigh_texts", "within")},
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


class Compiler(ListVisitor):
    """Writes what each node of a tree is worth: paths, logic, comparisons and calls here, lists in lists.py."""

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

    def _chain(self, node: Node, source: Value, label: str) -> Value:
        label = label or path_of(node)
        steps = list(chain_of(node))
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
        if all(value.kind == "number" for value in unsure):  # or not there
            self.unless_absent(name, unsure, lambda: out.put(test))
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
