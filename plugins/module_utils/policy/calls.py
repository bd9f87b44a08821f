"""Calls of functions as Python source: arguments, what is absent among them, and what is done item by item."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .functions import ANY, FUNCTIONS, CallError
from .runtime import Budget, kind, weigh_texts
from .tree import Node, size_of
from .writer import Value

if TYPE_CHECKING:
    from .compiler import Compiler

_WEIGHTY = ("string", "array", "object")
_CLASSES = {"string": ("str",), "array": ("list",), "object": ("dict",), "number": ("int", "float"),
            "boolean": ("bool",), "null": ("None.__class__",)}


_PLAIN = {"number": "numbers", "string": "texts"}  # what tells whether all types of a list are theirs


def write(compiler: Compiler, node: Node, source: Value) -> Value:
    """Write the call that `node` is."""
    special = _SPECIAL.get(node["value"])
    if special is not None:
        return special(compiler, node["children"], source)
    return _call(compiler, node["value"], node["children"], source)


def _call(compiler: Compiler, name: str, children: list[Node], source: Value) -> Value:
    """A function of the table, on arguments that are all there."""
    function, out = FUNCTIONS[name], compiler.out
    if name == "length" and children[0]["type"] == "filter_projection" and not compiler.nulls:
        # How many items fulfil a condition is what rules ask most: they are counted, not collected.
        return compiler.project(children[0], source, children[0]["children"][2], values=False, count=True)
    if not function.timed and all(child["type"] == "literal" and child["value"] is not None for child in children):
        folded = _folded(name, [child["value"] for child in children])
        if folded is not None:
            return compiler.literal(folded)
    arguments = [compiler.visit(child, source) for child in children]
    atoms = ", ".join(value.atom for value in arguments)
    result = out.name()

    kinds = [function.signature[min(number, len(function.signature) - 1)] for number in range(len(arguments))]
    # Lists that may lack an item; what a function does with them that looks at no item does not depend on it.
    holes = [] if function.flat else [
        value.atom for value, accepted in zip(arguments, kinds, strict=True)
        if not value.whole and value.kind in ("", "array") and "array" in accepted]

    def run() -> None:
        for value, accepted in zip(arguments, kinds, strict=True):
            # What a projection has made was counted as it was made.
            if not function.flat and not function.deep and not value.whole \
                    and value.kind not in ("number", "boolean") and set(accepted) & set(_WEIGHTY):
                out.put(f"weigh({value.atom}, b)")
        if compiler.nulls or not (holes or function.deep):
            if function.deep:
                out.put(f"weigh_all({atoms}, b)")
            invoke()
            return
        if function.deep:
            out.put(f"{result} = weigh_all({atoms}, b)")
        else:
            out.put(f"{result} = None")
            for atom in holes:
                out.put(f"if {result} is None and {atom}.__class__ is list: {result} = hole({atom})")
        with out.block(f"if {result} is None:"):
            invoke()

    def invoke() -> None:
        tests = [_is_none_of(value.atom, accepted) for value, accepted in zip(arguments, kinds, strict=True)
                 if value.kind not in accepted and accepted != ANY]
        if function.elements:
            atom = arguments[-1].atom
            plain = " or ".join(f"{_PLAIN[kind]}(map(type, {atom}))" for kind in function.elements)
            tests.append(f"not ({plain})")
        if tests:
            out.put(f"if {' or '.join(tests)}: accept_{name}({name!r}, ({atoms},))")
        if "string" in function.elements:
            separator = f", {arguments[0].atom}" if name == "join" else ""
            texts = arguments[-1].atom
            out.put(f"if {texts} and {texts}[0].__class__ is str: weigh_texts({texts}, b{separator})")
        out.put(f"{result} = f_{name}({'now, ' if function.timed else ''}{atoms})")
        if not compiler.nulls and not function.answer:
            missing = compiler.missing(f"the answer of {name}()")
            out.put(f"if {result} is None: {result} = {missing}")

    if compiler.nulls:
        run()
    else:
        compiler.unless_absent(result, arguments, run)
    return Value(result, function.answer, whole=name in ("keys", "sort"),
                 absent=not function.answer or function.deep or bool(holes)
                 or any(value.absent for value in arguments))


def _is_none_of(atom: str, kinds: tuple[str, ...]) -> str:
    """The source of whether the value `atom` is of none of `kinds`."""
    names = [name for kind in sorted(kinds) for name in _CLASSES[kind]]
    return " and ".join(f"{atom}.__class__ is not {name}" for name in names).join("()")


def _folded(name: str, values: list[Any]) -> Any:
    """What a call of literals gives, None where that is an error or nothing: then it is so when the call is met."""
    function = FUNCTIONS[name]
    if any(isinstance(value, (list, dict)) for value in values):
        return None
    try:
        function.accept(name, tuple(values))
        found = function.run(*values)
    except CallError:
        return None
    return found if isinstance(found, (bool, int, float, str)) else None


def _present(compiler: Compiler, children: list[Node], source: Value) -> Value:
    out, value = compiler.out, compiler.visit(children[0], source)
    name = out.name()
    if compiler.nulls:
        out.put(f"{name} = {value.atom} is not None and present({value.atom})")
        return Value(name, "boolean", absent=False)
    if not value.absent:
        return Value(out.let(f"present({value.atom})"), "boolean", absent=False)
    with out.block(f"if {compiler.is_absent(value.atom)}:"):
        out.put(f"{name} = False if {value.atom}.settled else {value.atom}")
    with out.block("else:"):
        out.put(f"{name} = present({value.atom})")
    return Value(name, "boolean")


def _default(compiler: Compiler, children: list[Node], source: Value) -> Value:
    out, value = compiler.out, compiler.visit(children[0], source)
    if not value.absent:
        return value
    name = out.let(value.atom)
    with out.block(f"if {name} is None:" if compiler.nulls else f"if {name}.__class__ is Absent and {name}.settled:"):
        other = compiler.visit(children[1], source)
        out.put(f"{name} = {other.atom}")
    return Value(name, value.kind if value.kind == other.kind else "")


def _not_null(compiler: Compiler, children: list[Node], source: Value) -> Value:
    found = compiler.visit(children[-1], source)
    name = compiler.out.name()
    compiler.out.put(f"{name} = {found.atom}")
    # The last one is asked first only in the source: each earlier one that is set takes its place.
    for child in reversed(children[:-1]):
        value = compiler.visit(child, source)
        settled = compiler.is_there(value.atom) if compiler.nulls or not value.absent \
            else f"{compiler.is_there(value.atom)} or not {value.atom}.settled"
        compiler.out.put(f"if {settled}: {name} = {value.atom}")
    return Value(name)


def _contains(compiler: Compiler, children: list[Node], source: Value) -> Value:
    whole, part = (compiler.visit(child, source) for child in children)
    return _within(compiler, whole, part, "contains")


def _one_of(compiler: Compiler, children: list[Node], source: Value) -> Value:
    part, whole = (compiler.visit(child, source) for child in children)
    return _within(compiler, whole, part, "one_of")


def _within(compiler: Compiler, whole: Value, part: Value, function: str) -> Value:
    name = compiler.out.name()
    texts = compiler.out.constants.get(whole.atom)
    if isinstance(texts, list) and all(isinstance(text, str) for text in texts):
        chosen = compiler.out.constant(frozenset(texts))
        compiler.unless_absent(name, [] if compiler.nulls else [part], lambda: compiler.out.put(
            f"{name} = {part.atom}.__class__ is str and {part.atom} in {chosen}"))
        return Value(name, "boolean", absent=part.absent and not compiler.nulls)

    def look() -> None:
        if compiler.out.loops:  # once, it is little against the list itself
            compiler.out.put(f"weigh({whole.atom}, b)")
        if part.literal and part.kind == "string":
            with compiler.out.block(f"if {whole.atom}.__class__ is list and {part.literal} in {whole.atom}:"):
                compiler.out.put(f"{name} = True")
            with compiler.out.block("else:"):
                compiler.out.put(f"{name} = within({whole.atom}, {part.atom}, b, {function!r})")
        else:
            compiler.out.put(f"{name} = within({whole.atom}, {part.atom}, b, {function!r})")

    if compiler.nulls:
        look()
    else:
        compiler.unless_absent(name, [whole, part], look)
    return Value(name, "boolean", absent=not compiler.nulls)


def _matches(compiler: Compiler, children: list[Node], source: Value) -> Value:
    pattern = compiler.out.constant(compiler.patterns[children[0]["value"]])
    text, name = compiler.visit(children[1], source), compiler.out.name()
    compiler.unless_absent(name, [] if compiler.nulls else [text],
                           lambda: compiler.out.put(f"{name} = search({pattern}, {text.atom}, b)"))
    return Value(name, "boolean", absent=text.absent)


def _judge(wanted: bool) -> Callable[[Compiler, list[Node], Value], Value]:
    """``any`` looks for an item that is true, ``all`` for one that is not; an absent item leaves it open."""

    def write_it(compiler: Compiler, children: list[Node], source: Value) -> Value:
        out, body = compiler.out, children[1]["children"][0]
        name, item, first = out.name(), out.name(), out.name()
        base = compiler.items(children[0], source, name)
        with out.block("else:"):
            out.spend(f"len({base.atom}) * {size_of(body)}")
            out.put(f"{name} = {not wanted}")
            out.put(f"{first} = None")
            with out.loop(item, base.atom):
                one = Value(item, absent=compiler.nulls)
                if not base.whole and not compiler.nulls:
                    with out.block(f"if {compiler.is_absent(item)}:"):
                        out.put(f"{first} = later({first}, {item})")
                        out.put("continue")
                verdict = compiler.visit(body, one)
                if verdict.absent and not compiler.nulls:
                    with out.block(f"if {compiler.is_absent(verdict.atom)}:"):
                        out.put(f"{first} = later({first}, {verdict.atom})")
                        out.put("continue")
                with out.block(f"if {'' if wanted else 'not '}{compiler.truth(verdict)}:"):
                    out.put(f"{name} = {wanted}")
                    out.put("break")
            with out.block("else:"):
                out.put(f"if {first} is not None: {name} = {first}")
        return Value(name, "boolean")

    return write_it


def _map(compiler: Compiler, children: list[Node], source: Value) -> Value:
    return _each(compiler, "map", children[1], children[0]["children"][0], source,
                 lambda _items, keys: keys)


def _by(function: str) -> Callable[[Compiler, list[Node], Value], Value]:
    def write_it(compiler: Compiler, children: list[Node], source: Value) -> Value:
        return _each(compiler, function, children[0], children[1]["children"][0], source,
                     lambda items, keys: f"pick({function!r}, {items}, {keys}, b)")

    return write_it


def _each(compiler: Compiler, function: str, items: Node, body: Node, source: Value,
          finish: Callable[[str, str], str]) -> Value:
    """The worth of `body` for each item, and what `finish` makes of the items and these."""
    out = compiler.out
    name, item = out.name(), out.name()
    base = compiler.items(items, source, name)
    if compiler.nulls:
        out.put(f"if {base.atom}.__class__ is not list: raise EvaluationError('{function}() needs a list')")
    with out.block(f"if {base.atom}.__class__ is list:"):
        out.spend(f"len({base.atom}) * {size_of(body)}")
        out.put(f"{name} = []")
        with out.loop(item, base.atom):
            if not base.whole:
                compiler.absent_item(Value(item), name, base.atom, item)
            found = compiler.visit(body, Value(item, absent=compiler.nulls))
            compiler.absent_item(found, name, base.atom, item)
            out.put(f"{name}.append({found.atom})")
        with out.block("else:"):
            out.put(f"{name} = {finish(base.atom, name)}")
            if not compiler.nulls:
                out.put(f"if {name} is None: {name} = {compiler.missing(f'the answer of {function}()')}")
    return Value(name, whole=function in ("map", "sort_by"))  # an item may be a list with absent items


def pick(function: str, items: list[Any], keys: list[Any], budget: Budget) -> Any:
    """`items` in the order of `keys`, or the one of the largest or smallest key; None for none. Raises CallError."""
    kinds = {kind(key) for key in keys}
    if kinds not in (set(), {"number"}, {"string"}):
        raise CallError(f"{function}() needs all numbers or all strings and got {' and '.join(sorted(kinds))}")
    if kinds == {"string"}:
        weigh_texts(keys, budget)
    order = sorted(range(len(items)), key=keys.__getitem__)
    if function == "sort_by":
        return [items[number] for number in order]
    if not items:
        return None
    chosen = min if function == "min_by" else max
    return items[chosen(range(len(items)), key=keys.__getitem__)]


def check_literals(name: str, node: Node) -> None:
    """Raises CallError where a call of a literal is an error for every document."""
    values = [child.get("value") for child in node["children"]]
    function = FUNCTIONS.get(name)
    if function and not function.timed and all(child["type"] == "literal" for child in node["children"]):
        function.accept(name, tuple(values))
        function.run(*values)
    elif name == "age" and node["children"][0]["type"] == "literal":
        FUNCTIONS[name].run(datetime.max.replace(tzinfo=UTC), values[0])


_SPECIAL: dict[str, Callable[[Compiler, list[Node], Value], Value]] = {
    "all": _judge(False), "any": _judge(True), "contains": _contains, "default": _default, "map": _map,
    "matches": _matches, "max_by": _by("max_by"), "min_by": _by("min_by"), "not_null": _not_null, "one_of": _one_of,
    "present": _present, "sort_by": _by("sort_by"),
}
