"""Lists and objects of an expression as Python source: projections, filters, flattening and multi-selects.

A list of which one item is absent, or cannot be judged by a filter, is absent as a whole: nothing is dropped for want
of data.
"""

from __future__ import annotations

from collections.abc import Callable

from .documents import Absent
from .tree import Node, path_of, size_of
from .visitor import Visitor
from .writer import Value


class ListVisitor(Visitor):
    """Writes what the nodes that make lists and objects are worth."""

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
