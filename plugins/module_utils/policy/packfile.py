"""Packs: files of rules, read on the controller and checked before a single rule runs.

``muster/<pack>`` is a pack in the folder ``packs`` beside this file, anything else is a path. Every error is a sentence
that names the file, the rule and the fix. (This file cannot be ``packs.py``: Ansible would import the folder instead.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .expressions import Expression, ExpressionError, compile_expression
from .rule import SEVERITIES, STAGES, Rule
from .strict_yaml import YamlError, read_file

PACKS = Path(__file__).parent / "packs"
MAX_RULES = 1_000

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,79}")
_SHIPPED = re.compile(r"muster/([a-z0-9][a-z0-9-]{0,62})")
_FRAMEWORK = re.compile(r"[a-z0-9][a-z0-9_]{0,62}")
_PACK_KEYS: dict[str, type] = {"pack": str, "version": str, "title": str, "rules": list}
_RULE_KEYS: dict[str, type] = {"id": str, "title": str, "severity": str, "stages": list, "when": str, "expect": str,
                               "why": str, "fix": dict, "controls": dict, "tests": dict}
_OPTIONAL = {"when", "fix", "controls"}
_WORDS: dict[type, str] = {str: "a text", list: "a list", dict: "a mapping"}


class PackError(ValueError):
    """A pack cannot be used. Its text is a sentence with file, rule and fix."""


def shipped() -> tuple[str, ...]:
    """The names of the packs that come with Muster, such as ``muster/baseline``."""
    return tuple(f"muster/{path.stem}" for path in sorted(PACKS.glob("*.yml")))


def load_rules(packs: Iterable[str], base: Path | str = ".") -> tuple[Rule, ...]:
    """The rules of `packs`, in their order. Relative paths start at `base`, the folder of the fleet file.

    Raises PackError where a pack is missing or wrong, or where two packs have a rule of one id.
    """
    if isinstance(packs, str):
        raise PackError(f"packs: '{packs:.60}' is one text; write a list, such as [muster/baseline].")
    rules: dict[str, Rule] = {}
    for name in dict.fromkeys(packs):
        for rule in _load(str(name), Path(base)):
            if rule.id in rules:
                raise PackError(f"{name}: rule {rule.id}: the pack {rules[rule.id].pack} has a rule of this id too. "
                                "Rename one of them, so that waivers and reports mean one rule.")
            rules[rule.id] = rule
    return tuple(rules.values())


def _load(name: str, base: Path) -> tuple[Rule, ...]:
    if name.startswith("muster/"):
        match = _SHIPPED.fullmatch(name)
        path = PACKS / f"{match[1]}.yml" if match else None
        if path is None or not path.is_file():
            raise PackError(f"{name:.80}: there is no such pack. There are: {', '.join(shipped())}.")
    else:
        path = base / name
    try:
        document = read_file(path)
    except YamlError as error:
        raise PackError(str(error)) from None
    source = name if name.startswith("muster/") else str(path)
    _shape(document, _PACK_KEYS, set(), source)
    if len(document["rules"]) > MAX_RULES:
        raise PackError(f"{source}: has more than {MAX_RULES} rules. Split it.")
    rules: dict[str, Rule] = {}
    for number, raw in enumerate(document["rules"], 1):
        rule = _rule(raw, source, number)
        if rule.id in rules:
            raise PackError(f"{source}: rule {rule.id}: it is there twice. Remove one or rename it.")
        rules[rule.id] = rule
    if not rules:
        raise PackError(f"{source}: has no rules, so it would pass everything. Add a rule or drop the pack.")
    return tuple(rules.values())


def _shape(raw: Any, keys: Mapping[str, type], optional: set[str], where: str) -> None:
    """Exactly the keys, each of its type and not empty. Raises PackError."""
    if not isinstance(raw, dict):
        raise PackError(f"{where}: is not a mapping. Write {', '.join(keys)}, each followed by a colon.")
    for key in raw:
        if key not in keys:
            raise PackError(f"{where}: '{key:.60}' is not a key here. There are: {', '.join(keys)}.")
    for key, type_ in keys.items():
        if key not in raw and key in optional:
            continue
        if not isinstance(raw.get(key), type_) or not raw[key]:
            raise PackError(f"{where}: '{key}' is missing, empty or not {_WORDS[type_]}. Write {_WORDS[type_]} there.")


def _rule(raw: Any, source: str, number: int) -> Rule:
    where = f"{source}: rule {number}"
    if isinstance(raw, dict) and isinstance(raw.get("id"), str):
        if not _ID.fullmatch(raw["id"]):
            raise PackError(f"{where}: the id '{raw['id']:.60}' is not one. Use small letters, digits and hyphens.")
        where = f"{source}: rule {raw['id']}"
    _shape(raw, _RULE_KEYS, _OPTIONAL, where)
    if raw["severity"] not in SEVERITIES:
        raise PackError(f"{where}: the severity '{raw['severity']:.40}' is not one of {', '.join(SEVERITIES)}.")
    for stage in raw["stages"]:
        if stage not in STAGES:
            raise PackError(f"{where}: the stage '{stage!s:.40}' is not one of {', '.join(STAGES)}.")
    return Rule(
        id=raw["id"],
        title=raw["title"].strip(),
        severity=raw["severity"],
        stages=tuple(dict.fromkeys(raw["stages"])),
        when=_expression(raw, "when", where) if "when" in raw else None,
        expect=_expression(raw, "expect", where),
        why=" ".join(raw["why"].split()),
        fix=_fix(raw.get("fix", {}), where),
        controls=_controls(raw.get("controls", {}), where),
        passing=_cases(raw["tests"], "pass", where),
        failing=_cases(raw["tests"], "fail", where),
        pack=source,
    )


def _expression(raw: dict[str, Any], key: str, where: str) -> Expression:
    try:
        return compile_expression(" ".join(raw[key].split("\n")).strip())
    except ExpressionError as error:
        raise PackError(f"{where}: '{key}' {error}.") from None


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
