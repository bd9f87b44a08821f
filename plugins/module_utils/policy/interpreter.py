"""What an expression is worth for a document, in three values: true, false and not known.

It walks the syntax tree of the ``jmespath`` library but keeps JMESPath's nulls apart: a value that is not there is
`Absent`, and whatever is computed from it is `Absent` too, unless ``and``, ``or``, ``present`` or ``default`` settle
it (Kleene's logic). So a filter cannot drop what it cannot judge, and nothing passes for want of data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from .documents import Absent
from .functions import FUNCTIONS, CallError, kind
from .patterns import Pattern

MAX_STEPS = 50_000
_TEXT_OF_STEP = 64  # characters that are read in about the time of a step
_WORK_OF_STEP = 4  # work of a pattern that is done in about the time of a step

Node = Mapping[str, Any]


class EvaluationError(ValueError):
    """The expression cannot be evaluated on this document; its text is a sentence."""


def path_of(node: Node) -> str:
    """The path that `node` names, such as ``tags.owner``; a key with a dot in it is quoted, ``sysctl."kernel.sysrq"``;
    empty where it computes something."""
    if node["type"] == "field":
        key = str(node["value"])
        return f'"{key}"' if "." in key else key
    if node["type"] == "index":
        return f"[{node['value']}]"
    if node["type"] in ("subexpression", "index_expression"):
        parts = [path_of(child) for child in node["children"]]
        return "".join(part if part.startswith("[") or not number else f".{part}" for number, part in enumerate(parts)
                       ) if all(parts) else ""
    return ""


class Interpreter:
    """One evaluation. `now` is what ``age`` counts from; the number of steps is bounded."""

    def __init__(self, now: datetime, patterns: Mapping[str, Pattern]) -> None:
        self._now = now
        self._patterns = patterns
        self._steps = 0
        self._visitors: dict[str, Callable[[Node, Any], Any]] = {
            name.removeprefix("_visit_"): getattr(self, name) for name in dir(self) if name.startswith("_visit_")
        }

    def visit(self, node: Node, value: Any) -> Any:
        """The worth of `node` for `value`: plain data or `Absent`. Raises EvaluationError."""
        self._spend(1)
        return self._visitors[node["type"]](node, value)

    def _spend(self, steps: int) -> None:
        self._steps += steps
        if self._steps > MAX_STEPS:
            raise EvaluationError(f"it takes more than {MAX_STEPS} steps on this document; narrow the rule")

    # Ways into a value

    def _visit_field(self, node: Node, value: Any) -> Any:
        return value.get(node["value"], Absent(node["value"])) if isinstance(value, dict) else Absent(node["value"])

    def _visit_current(self, node: Node, value: Any) -> Any:
        return value

    _visit_identity = _visit_current

    def _visit_literal(self, node: Node, value: Any) -> Any:
        return Absent("null") if node["value"] is None else node["value"]

    def _visit_index(self, node: Node, value: Any) -> Any:
        index = node["value"]
        if isinstance(value, list) and -len(value) <= index < len(value):
            return value[index]
        return Absent(f"[{index}]")

    def _visit_slice(self, node: Node, value: Any) -> Any:
        if not isinstance(value, list):
            return Absent("a list")
        self._spend(len(value))
        return value[slice(*node["children"])]

    def _chain(self, node: Node, value: Any) -> Any:
        for child in node["children"]:
            value = self.visit(child, value)
            if isinstance(value, Absent):
                return Absent(path_of(node) or value.path, value.settled)
        return value

    _visit_subexpression = _visit_index_expression = _chain

    def _visit_pipe(self, node: Node, value: Any) -> Any:
        for child in node["children"]:
            value = self.visit(child, value)
            if isinstance(value, Absent):
                return value
        return value

    # Lists and objects

    def _list(self, node: Node, value: Any) -> Any:
        """The list that `node` is worth, or the `Absent` that stands for it."""
        base = self.visit(node, value)
        if isinstance(base, list):
            self._spend(len(base))
            return base
        return base if isinstance(base, Absent) else Absent(f"the list {path_of(node)}".strip())

    def _each(self, node: Node, items: list[Any]) -> Any:
        collected = []
        for number, item in enumerate(items):
            found = item if isinstance(item, Absent) else self.visit(node, item)
            if isinstance(found, Absent):
                return Absent(f"{found.path} of item {number}", found.settled)
            collected.append(found)
        return collected

    def _visit_projection(self, node: Node, value: Any) -> Any:
        base = self._list(node["children"][0], value)
        return base if isinstance(base, Absent) else self._each(node["children"][1], base)

    def _visit_value_projection(self, node: Node, value: Any) -> Any:
        base = self.visit(node["children"][0], value)
        if not isinstance(base, dict):
            return base if isinstance(base, Absent) else Absent("an object")
        self._spend(len(base))
        return self._each(node["children"][1], list(base.values()))

    def _visit_filter_projection(self, node: Node, value: Any) -> Any:
        base = self._list(node["children"][0], value)
        if isinstance(base, Absent):
            return base
        chosen = []
        for number, item in enumerate(base):
            verdict = item if isinstance(item, Absent) else self.visit(node["children"][2], item)
            if isinstance(verdict, Absent):
                return Absent(f"{verdict.path} of item {number}", verdict.settled)
            if truthy(verdict):
                chosen.append(item)
        return self._each(node["children"][1], chosen)

    def _visit_flatten(self, node: Node, value: Any) -> Any:
        base = self._list(node["children"][0], value)
        if isinstance(base, Absent):
            return base
        merged: list[Any] = []
        for item in base:
            items = item if isinstance(item, list) else [item]
            self._spend(len(items))
            merged.extend(items)
        return merged

    def _visit_multi_select_list(self, node: Node, value: Any) -> Any:
        found = [self.visit(child, value) for child in node["children"]]
        return next((item for item in found if isinstance(item, Absent)), found)

    def _visit_multi_select_dict(self, node: Node, value: Any) -> Any:
        found = {child["value"]: self.visit(child["children"][0], value) for child in node["children"]}
        return next((item for item in found.values() if isinstance(item, Absent)), found)

    # Logic

    def _visit_or_expression(self, node: Node, value: Any) -> Any:
        left = self.visit(node["children"][0], value)
        if not isinstance(left, Absent):
            return left if truthy(left) else self.visit(node["children"][1], value)
        right = self.visit(node["children"][1], value)
        return right if not isinstance(right, Absent) and truthy(right) else left

    def _visit_and_expression(self, node: Node, value: Any) -> Any:
        left = self.visit(node["children"][0], value)
        if not isinstance(left, Absent):
            return self.visit(node["children"][1], value) if truthy(left) else left
        right = self.visit(node["children"][1], value)
        return left if isinstance(right, Absent) or truthy(right) else right

    def _visit_not_expression(self, node: Node, value: Any) -> Any:
        found = self.visit(node["children"][0], value)
        return found if isinstance(found, Absent) else not truthy(found)

    def _visit_comparator(self, node: Node, value: Any) -> Any:
        left, right = (self.visit(child, value) for child in node["children"])
        for side in (left, right):
            if isinstance(side, Absent):
                return side
        operator = node["value"]
        if operator in ("eq", "ne"):
            same = self._same(left, right)
            return same if isinstance(same, Absent) else same is (operator == "eq")
        if kind(left) != "number" or kind(right) != "number":
            raise EvaluationError(f"a {kind(left)} and a {kind(right)} have no order; compare two numbers")
        return {"lt": left < right, "lte": left <= right, "gt": left > right, "gte": left >= right}[operator]

    def _same(self, left: Any, right: Any) -> Any:
        """Whether two values are equal: true and 1 are not. Absent where a part that decides it is."""
        self._spend(1)
        if isinstance(left, Absent) or isinstance(right, Absent):
            return left if isinstance(left, Absent) else right
        if kind(left) != kind(right):
            return False
        if isinstance(left, dict):
            if left.keys() != right.keys():
                return False
            pairs = [(left[key], right[key]) for key in left]
        elif isinstance(left, list):
            if len(left) != len(right):
                return False
            pairs = list(zip(left, right, strict=True))
        else:
            return left == right
        verdicts = [self._same(*pair) for pair in pairs]
        if any(verdict is False for verdict in verdicts):
            return False
        return next((verdict for verdict in verdicts if isinstance(verdict, Absent)), True)

    # Functions

    def _visit_expref(self, node: Node, value: Any) -> Any:
        raise EvaluationError("an expression after '&' stands only as the second argument of all() and any()")

    def _visit_function_expression(self, node: Node, value: Any) -> Any:
        name, children = node["value"], node["children"]
        special = getattr(self, f"_call_{name}", None)
        if special is not None:
            return special(children, value)
        if name == "matches":
            text = self.visit(children[1], value)
            pattern = self._patterns[children[0]["value"]]
            self._spend(pattern.work(text) // _WORK_OF_STEP if isinstance(text, str) else 0)
            arguments: list[Any] = [pattern, text]
        else:
            arguments = [self.visit(child, value) for child in children]
        for argument in arguments:
            if isinstance(argument, Absent):
                return argument
            if isinstance(argument, (list, dict, str)):
                self._spend(len(argument) // _TEXT_OF_STEP if isinstance(argument, str) else len(argument))
                items = argument if isinstance(argument, list) else ()
                for item in items:
                    if isinstance(item, Absent) and name != "length":
                        return item
        try:
            return FUNCTIONS[name].run(self._now, *arguments)
        except CallError as error:
            raise EvaluationError(str(error)) from None

    def _call_present(self, children: list[Node], value: Any) -> Any:
        found = self.visit(children[0], value)
        if isinstance(found, Absent):
            return False if found.settled else found
        return bool(found.strip()) if isinstance(found, str) else found != [] and found != {}

    def _call_default(self, children: list[Node], value: Any) -> Any:
        found = self.visit(children[0], value)
        return self.visit(children[1], value) if isinstance(found, Absent) and found.settled else found

    def _call_contains(self, children: list[Node], value: Any) -> Any:
        return self._within(self.visit(children[0], value), self.visit(children[1], value), "contains")

    def _call_one_of(self, children: list[Node], value: Any) -> Any:
        return self._within(self.visit(children[1], value), self.visit(children[0], value), "one_of")

    def _within(self, whole: Any, part: Any, function: str) -> Any:
        for side in (whole, part):
            if isinstance(side, Absent):
                return side
        if isinstance(whole, str) and isinstance(part, str) and function == "contains":
            self._spend(len(whole) // _TEXT_OF_STEP)
            return part in whole
        if not isinstance(whole, list):
            raise EvaluationError(f"{function}() looks in a list and got a {kind(whole)}")
        return self._some(self._same(item, part) for item in whole)

    def _call_any(self, children: list[Node], value: Any) -> Any:
        return self._judge(children, value, "any")

    def _call_all(self, children: list[Node], value: Any) -> Any:
        return self._judge(children, value, "all")

    def _judge(self, children: list[Node], value: Any, function: str) -> Any:
        items = self._list(children[0], value)
        if isinstance(items, Absent):
            return items
        body = children[1]["children"][0]
        wanted = function == "any"
        found = self._some(
            verdict if isinstance(verdict, Absent) else truthy(verdict) is wanted
            for verdict in (item if isinstance(item, Absent) else self.visit(body, item) for item in items)
        )
        return found if isinstance(found, Absent) else found is wanted

    @staticmethod
    def _some(verdicts: Any) -> Any:
        """True where one verdict is true, else the first that is absent, else False."""
        absent: Absent | None = None
        for verdict in verdicts:
            if isinstance(verdict, Absent):
                absent = absent or verdict
            elif verdict:
                return True
        return False if absent is None else absent


def truthy(value: Any) -> bool:
    """JMESPath's truth: false, empty text, empty list and empty object are false; 0 is true."""
    return not (value is False or value == "" or value == [] or value == {})
