"""One rule of a pack, read and checked: its keys, its expressions, its fix, its controls and its tests.

Every error is a sentence that names the file, the line, the rule and the fix.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..model.errors import nearest
from .expressions import Expression, ExpressionError, compile_expression
from .known import SITE_FACTS, VM_FACTS
from .rule import SEVERITIES, STAGES, SUBJECTS, Rule
from .strict_yaml import Lined
from .wording import one_line

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,79}")
_FRAMEWORK = re.compile(r"[a-z0-9][a-z0-9_]{0,62}")
_KEYS: dict[str, type] = {"id": str, "title": str, "severity": str, "about": str, "level": int, "stages": list,
                          "when": str, "expect": str, "why": str, "fix": dict, "controls": dict, "tests": dict}
_OPTIONAL = {"about", "level", "when", "fix", "controls"}
_WORDS: dict[type, str] = {str: "a text", int: "a whole number", list: "a list", dict: "a mapping"}


class PackError(ValueError):
    """A pack cannot be used. Its text is a sentence with file, line, rule and fix."""

    def __init__(self, sentence: str) -> None:
        super().__init__(one_line(sentence))  # it quotes what stands in the file


def shape(raw: Any, keys: Mapping[str, type], optional: set[str], where: str) -> None:
    """Exactly the keys, each of its type and not empty. Raises PackError."""
    if not isinstance(raw, dict):
        raise PackError(f"{where}: is not a mapping. Write {', '.join(keys)}, each followed by a colon.")
    for key in raw:
        if key not in keys:
            raise PackError(f"{_at(where, raw, key)}: '{key:.60}' is not a key here. There are: {', '.join(keys)}.")
    for key, type_ in keys.items():
        if key not in raw and key in optional:
            continue
        if not isinstance(raw.get(key), type_) or not raw[key] or isinstance(raw[key], bool):
            raise PackError(f"{_at(where, raw, key)}: '{key}' is missing, empty or not {_WORDS[type_]}. "
                            f"Write {_WORDS[type_]} there.")


def _at(where: str, raw: Any, key: str) -> str:
    """`where`, with the line of `key` in place of the line that it has."""
    line = raw.lines.get(key) if isinstance(raw, Lined) else None
    if line is None:
        return where
    found = re.fullmatch(r"(.*?)(?::[0-9]+)?(: rule .*)?", where, re.DOTALL)
    return f"{found[1]}:{line}{found[2] or ''}" if found else where


def read_rule(raw: Any, shown: str, number: int) -> Rule:
    source = f"{shown}:{raw.line}" if isinstance(raw, Lined) else shown
    where = f"{source}: rule {number}"
    if isinstance(raw, dict) and isinstance(raw.get("id"), str):
        if not _ID.fullmatch(raw["id"]):
            raise PackError(f"{where}: the id '{raw['id']:.60}' is not one. Use small letters, digits and hyphens.")
        where = f"{source}: rule {raw['id']}"
    shape(raw, _KEYS, _OPTIONAL, where)
    if raw["severity"] not in SEVERITIES:
        raise PackError(f"{_at(where, raw, 'severity')}: the severity '{raw['severity']:.40}' is not one of "
                        f"{', '.join(SEVERITIES)}.")
    if raw.get("about", "vm") not in SUBJECTS:
        raise PackError(f"{_at(where, raw, 'about')}: 'about' is '{raw['about']:.40}'; write vm or site.")
    if raw.get("level", 0) not in (0, 1, 2):
        raise PackError(f"{_at(where, raw, 'level')}: the level {raw['level']} is none of a benchmark; write 1 or 2.")
    for stage in raw["stages"]:
        if stage not in STAGES:
            raise PackError(f"{_at(where, raw, 'stages')}: the stage '{stage!s:.40}' is not one of "
                            f"{', '.join(STAGES)}.")
    if raw.get("about") == "site" and "guest" in raw["stages"]:
        raise PackError(f"{_at(where, raw, 'stages')}: it can never match: a site has no guest. Take the stage out.")
    return Rule(
        id=raw["id"],
        title=raw["title"].strip(),
        severity=raw["severity"],
        about=raw.get("about", "vm"),
        level=raw.get("level", 0),
        stages=tuple(dict.fromkeys(raw["stages"])),
        when=_expression(raw, "when", where) if "when" in raw else None,
        expect=_expression(raw, "expect", where),
        why=" ".join(raw["why"].split()),
        fix=_fix(raw.get("fix", {}), _at(where, raw, "fix")),
        controls=_controls(raw.get("controls", {}), _at(where, raw, "controls")),
        passing=_cases(raw["tests"], "pass", _at(where, raw, "tests")),
        failing=_cases(raw["tests"], "fail", _at(where, raw, "tests")),
        source=source,
    )


def _expression(raw: dict[str, Any], key: str, where: str) -> Expression:
    try:
        expression = compile_expression(" ".join(raw[key].split("\n")).strip())
    except ExpressionError as error:
        raise PackError(f"{_at(where, raw, key)}: '{key}' {error}.") from None
    about = raw.get("about", "vm")
    never = f"{_at(where, raw, key)}: '{key}' can never match:"
    if not expression.reads_document:
        raise PackError(f"{never} it reads nothing of the {about}. Name one of its fields.")
    facts = SITE_FACTS if about == "site" else VM_FACTS
    for path, steps in expression.steps:
        if steps[0] not in facts:
            raise PackError(f"{never} '{path}' begins with '{steps[0]:.60}', which is not a field of a {about}; "
                            f"{nearest(steps[0], facts)} docs/policy.md lists them.")
    return expression


def _fix(fix: dict[str, Any], where: str) -> dict[str, Any]:
    if not fix:
        return {}
    if "advice" in fix and (len(fix) > 1 or not isinstance(fix["advice"], str)):
        raise PackError(f"{where}: 'fix' mixes advice with settings. Keep one, and put a text of advice in quotes.")
    if "vm" in fix and (len(fix) > 1 or not isinstance(fix["vm"], dict)):
        raise PackError(f"{where}: 'fix' mixes fields of the VM with settings. Keep 'vm: {{field: value}}' alone.")
    return fix


def _controls(controls: dict[str, Any], where: str) -> dict[str, tuple[str, ...]]:
    for framework, ids in controls.items():
        if not _FRAMEWORK.fullmatch(framework) or not isinstance(ids, list) or not ids \
                or not all(isinstance(one, str) and 0 < len(one) <= 40 for one in ids):
            raise PackError(f"{where}: the controls of '{framework:.60}' are not a list of texts. "
                            'Write them as nist_800_53: ["AC-6(2)"].')
    return {framework: tuple(ids) for framework, ids in controls.items()}


def _cases(tests: dict[str, Any], key: str, where: str) -> tuple[dict[str, Any], ...]:
    if set(tests) != {"pass", "fail"}:
        raise PackError(f"{where}: 'tests' must have 'pass' and 'fail', a list of VM documents each.")
    cases = tests[key]
    if not isinstance(cases, list) or not cases or not all(isinstance(case, dict) for case in cases):
        raise PackError(f"{where}: 'tests.{key}' is not a list of VM documents. Add one that must {key}.")
    return tuple(cases)
