"""Files of YAML made of the words that packs and waivers have, mostly in their places."""

from __future__ import annotations

import json

from .choices import Choices
from .grammar import expression

_RULE = {
    "id": ("one", "two", "x-1", "One", "", "a" * 90), "title": ("A title", "", "'yes'", "yes", "1"),
    "severity": ("low", "high", "worst", "[low]"),
    "stages": ("[spec, plan]", "[live]", "[guest]", "[]", "[{}]", "spec"),
    "about": ("vm", "site", "host", "null"), "level": ("1", "2", "3", "true", "0"),
    "expect": ("cpus > `1`", "present(tags.owner)", "name == 'a", "nams == 'a'", "hosts[0].cpus > `1`", "'1 == 1'"),
    "when": ("present(name)", "memory", "\"[x\" == 'a'", "name.\"[x\" == 'a'"),
    "why": ("Because.", "|\n      long\n      text", "''"),
    "fix": ("{vm: {cpus: 2}}", "{advice: Do it.}", "{advice: [1]}", "{vm: 1}", "{}", "{sysctl: {a.b: 1}}"),
    "controls": ("{nist_800_53: [AC-2]}", "{x: 1}", "{X: [a]}", "[]"),
    "tests": ("{pass: [{cpus: 2}], fail: [{cpus: 1}]}", "{pass: [], fail: []}",
              "{pass: [{name: a}], fail: [{tags: {}}]}",
              "{pass: [{unknown: [cpus]}], fail: [{cpus: x}]}", "{pass: [1], fail: [{}]}"),
}
_PACK = {"pack": ("ours", "''"), "version": ("1.0.0", "1.0", "1"), "title": ("Our own", "[]"),
         "include": ("[other.yml]", "[../x.yml]", "[pack.yml]", "['']", "[1]", '["a\\0b"]', '["\\x1b[2J"]',
                     "[missing.yml]", "[.]")}
_WAIVER = {
    "rule": ("one", "''", "[]", "1"), "vms": ("[web-1, web-*]", "['*']", "[]", "web", "['**']"),
    "reason": ("So.", "' '", "1"),
    "approver": ("E. Roth", "''", '"\\x1b[2J"'),
    "until": ("2026-12-31", "2026-02-30", "'2026-12-31'", "1", "9999-12-31"),
}
_LINES = ("&a ", "*a", "!!python/object:os.system x", "---", "? [a]", "? a", "{", "]", "%YAML 1.1", "\t",
          '"\\U0011ffff"', "<<: {a: 1}")


def of_yaml(choices: Choices, what: str) -> str:
    if what == "waivers":
        return "waivers:\n" + "".join(_mapping(choices, _WAIVER, "  - ", 24) for _number in range(choices.below(4)))
    head = _mapping(choices, {key: values for key, values in _PACK.items()
                              if key != "include" or choices.below(3) == 1}, "", 30)
    return head + "rules:\n" + "".join(_mapping(choices, _RULE, "  - ", 40) for _number in range(1 + choices.below(3)))


def _mapping(choices: Choices, keys: dict[str, tuple[str, ...]], start: str, rare: int) -> str:
    """A mapping with `keys`, each with its first value mostly; once in `rare` a line is another one."""
    lines = []
    for key, values in keys.items():
        kind = choices.below(rare)
        if kind == rare - 1:
            lines.append(choices.one(_LINES))
        elif kind == rare - 2:
            lines.append(f"{json.dumps(choices.text())}: {json.dumps(choices.scalar())}")
        elif kind == rare - 3 or (key in ("about", "level", "when") and kind < rare // 2):
            continue
        elif key in ("expect", "when") and kind % 2:
            lines.append(f"{key}: {json.dumps(expression(choices).replace('a', 'name').replace('b', 'tags'))}")
        else:
            lines.append(f"{key}: {choices.one(values) if kind > rare - 8 else values[0]}")
    if start:
        return start + f"\n{' ' * len(start)}".join(lines) + "\n"
    return "\n".join(lines) + "\n"
