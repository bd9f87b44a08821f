"""What all visitors of an expression's tree share: how absence is written, literals, and the way to a node's method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import runtime
from .documents import Absent, normal
from .tree import Node
from .writer import Value, Writer

_KINDS: dict[type, str] = {
    bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object",
}


class Visitor:
    """Visits a tree; the classes that stand on it write what each kind of node is worth."""

    def __init__(self, patterns: Mapping[str, Any], nulls: bool) -> None:
        self.out = Writer()
        self.patterns = patterns
        self.nulls = nulls

    def visit(self, node: Node, source: Value, label: str = "") -> Value:
        """Write what `node` is worth for `source`; `label` is the path of the chain that it is a step of."""
        method = getattr(self, f"_visit_{node['type']}")
        found: Value = method(node, source, label)
        return found

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
        atom = value.atom
        return atom if value.kind == "boolean" else f"({atom} is True or {atom} is not False and truthy({atom}))"

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
