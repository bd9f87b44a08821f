"""Expressions made of choices: they nearly always parse, so that what is tried is what they do."""

from __future__ import annotations

import re

from .choices import Choices

KEYS = ("a", "b", "c")
_ODD = ('"x y"', '"a.b"', '"\\""', '"\\ud800"', '"[0]"', '"\\u2028"', '""', '"__class__"', "__class__", '"\\n"')
_PATTERNS = ("a", "^a*$", "(a|b)+c?", "[^x]{2}", "\\\\d+", "^$", "(){3}", ".")
_LITERALS = ("`1`", "`true`", "`false`", "`0`", "`1.0`", "`[]`", "`{}`", "`[1, null]`", "`[[1], 2]`", "'a'", "'x'",
             "''", "`\"a\"`", "`{\"a\": 1}`", "`-0`", "`1e300`", "`9223372036854775807`", "`null`", "`[\"a\", \"x\"]`",
             "`\"\\ud800\"`", "'\\''", "`[true, 1, \"1\"]`")
_EQUAL = ("==", "!=")
_ORDER = ("<", "<=", ">", ">=")
_TEXTS = ("'a'", "'x'", "''", "'2 GiB'", "'1.2.3'", "'10.0.0.0/8'", "'2026-01-15T11:00:00Z'", "'1d 12h'")
_NUMBERS = ("`0`", "`1`", "`2`", "`1.0`", "`-1`")
_STEPS = ("[]", "[*]", "[1:]", "[::-1]", "[:2]", ".*", "[].a", "[*].b", "[].b[]", ".[a, b]", "[*].[a]", "[?a]")
KINDS = ("truth", "number", "text", "list", "value")

# What gives a value of a kind: templates, in which each brace is an expression of the kind that it names. Those that
# settle what is absent (default, present, not_null, && and ||) are apart.
_MADE = {
    "truth": ("({number} {order} {number})", "({value} {equal} {value})", "({text} {equal} {text})", "!({truth})",
              "all({list}, &{truth})", "any({list}, &{truth})", "contains({list}, {value})", "contains({text}, {text})",
              "one_of({text}, {list})", "one_of({value}, ['a', 'x'])", "matches('{pattern}', {text})",
              "starts_with({text}, {text})", "ends_with({text}, {text})", "({list} {equal} {list})",
              "version_at_least({text}, '1.2.3')", "cidr_contains('10.0.0.0/8', {text})",
              "({value} {equal} {literal})"),
    "number": ("length({list})", "length({list}[?{truth}])", "sum({list})", "max({list})", "min({list})", "avg({list})",
               "abs({number})", "ceil({number})", "floor({number})", "to_number({value})", "length({text})",
               "max_by({list}, &{number}).b", "size({text})", "duration({value})", "age({text})", "{list}[0]",
               "semver_compare({text}, '1.2.3')", "sum(map(&{number}, {list}))"),
    "text": ("lower({text})", "to_string({value})", "type({value})", "join({text}, {list})", "join(', ', {list})",
             "reverse({text})", "{list}[-1]", "max({list})", "min_by({list}, &{value}).a", "keys({value})[0]"),
    "list": ("{list}{step}", "{list}[?{truth}]", "{list}[?{truth}].{key}", "map(&{value}, {list})", "sort({list})",
             "sort_by({list}, &{value})", "reverse({list})", "to_array({value})", "[{value}, {value}]", "keys({value})",
             "values({value})", "({list} | {list})", "{value}.{step}", "{list}[?{truth}].{key}[]"),
    "value": ("{value}.{key}", "{list}[0]", "{list}[-1]", "{list}[0].{key}", "max_by({list}, &{value})",
              "min_by({list}, &{value})", "{{{key}: {value}}}", "merge({value}, {value})", "({value} | {value})",
              "{truth}", "{number}", "{text}", "{list}", "{literal}", "{value}.{key}.{key}",
              "{list}[99999999999999999999]"),
}
_SETTLED = {
    "truth": ("(!(!({truth})) && {truth})", "(!(!({truth})) || {truth})", "present({value})",
              "default({truth}, {truth})", "default({truth}, `true`)", "default({truth}, `false`)",
              "(!({value}) && {truth})", "!(present({value}))"),
    "number": ("default({number}, {number})", "not_null({number}, {number})"),
    "text": ("({text} || 'x')", "default({text}, {text})", "not_null({text}, {value})"),
    "list": ("default({list}, `[]`)", "({list} || `[1]`)"),
    "value": ("default({value}, {value})", "not_null({value}, {value})", "({value} || 'a')", "({value} && 'a')"),
}
# Where an operand is no truth the value is open and its truth is not: these are tried without looking at the value.
_LOOSE = {
    "truth": ("({truth} && {truth})", "({truth} || {truth})"), "number": ("({number} || {number})",),
    "text": ("({text} && {text})",), "list": ("({list} || {list})",), "value": ("({value} || {value})",),
}
_BRACE = re.compile(r"\{\{|\{([a-z]+)\}")


def expression(choices: Choices, kind: str = "truth", depth: int = 5, settle: bool = True,
               loose: bool = False) -> str:
    """An expression that is mostly of `kind`. Without `settle` nothing in it settles what is absent."""
    if choices.below(16) == 15:
        kind = choices.one(KINDS)
    if depth <= 0 or choices.over or choices.below(8) == 0:
        return _leaf(choices, kind)
    made = _MADE[kind] + (_SETTLED[kind] * 2 if settle else ()) + (_LOOSE[kind] if loose else ())

    def part(brace: re.Match[str]) -> str:
        name = brace[1]
        if not name:
            return "{"
        words = {"order": _ORDER, "equal": _EQUAL, "pattern": _PATTERNS, "step": _STEPS, "key": KEYS,
                 "literal": _LITERALS}.get(name)
        return choices.one(words) if words else expression(choices, name, depth - 1, settle, loose)

    return _BRACE.sub(part, choices.one(made))


def _leaf(choices: Choices, kind: str) -> str:
    if choices.below(24) == 23:
        return choices.one(_ODD)
    own = {"number": _NUMBERS, "text": _TEXTS, "truth": ("`true`", "`false`")}.get(kind, ())
    return choices.one((*KEYS, "@", "a.b", "b.a", *KEYS, "a[0].b", "a[].a", "b.c", "c.a", *own))
