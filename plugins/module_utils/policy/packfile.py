"""Packs: files of rules, read on the controller and checked before a single rule runs.

``muster/<pack>`` is a pack in the folder ``packs`` beside this file, anything else is a path. A pack may include other
files of its own folder, whole or some of their rules. Every error is a sentence that names the file, the line, the rule
and the fix. (This file cannot be ``packs.py``: Ansible would import the folder instead.)
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..model.errors import nearest
from .rule import Rule
from .rulefile import PackError, read_rule, shape
from .strict_yaml import Lined, YamlError, read_file

PACKS = Path(__file__).parent / "packs"
MAX_RULES = 1_000
MAX_FILES = 50

_SHIPPED = re.compile(r"muster/([a-z0-9][a-z0-9-]{0,62})")
_KEYS: dict[str, type] = {"pack": str, "version": str, "title": str, "include": list, "rules": list}


def shipped() -> tuple[str, ...]:
    """The names of the packs that come with Muster, such as ``muster/baseline``."""
    return tuple(f"muster/{path.stem}" for path in sorted(PACKS.glob("*.yml")))


def load_rules(packs: Iterable[str], base: Path | str = ".") -> tuple[Rule, ...]:
    """The rules of `packs`, in their order. Relative paths start at `base`, the folder of the fleet file.

    A file that two packs include counts once. Raises PackError where a pack is missing or wrong, or where two files
    have a rule of one id.
    """
    if isinstance(packs, str):
        raise PackError(f"packs: '{packs:.60}' is one text; write a list, such as [muster/baseline].")
    loader = _Loader()
    for name in dict.fromkeys(packs):
        loader.load(str(name), Path(base))
    return tuple(loader.rules.values())


class _Loader:
    """Reads the files of one call, each once."""

    def __init__(self) -> None:
        self.rules: dict[str, Rule] = {}
        self._homes: dict[str, Path] = {}  # the file of each rule
        self._read: dict[Path, tuple[Lined, dict[str, Rule]]] = {}
        self._whole: set[Path] = set()  # of these all rules were taken

    def load(self, name: str, base: Path) -> None:
        """The pack `name`, as a fleet file names it."""
        if name.startswith("muster/"):
            match = _SHIPPED.fullmatch(name)
            path = PACKS / f"{match[1]}.yml" if match else None
            if path is None or not path.is_file():
                raise PackError(f"{name:.80}: there is no such pack. There are: {', '.join(shipped())}.")
            self._file(path, name, name, (), None)
        else:
            self._file(base / name, str(base / name), name, (), None)

    def _file(self, path: Path, shown: str, pack: str, on_the_way: tuple[Path, ...],
              only: Collection[str] | None) -> None:
        """The rules of a file and of what it includes; with `only` those of its own rules alone."""
        real = _resolved(path, shown)
        document, rules = self._parsed(real, path, shown)
        if only is None:
            if real in self._whole:
                return
            self._whole.add(real)
            for entry in document.get("include", ()):
                self._include(document, entry, path, shown, pack, (*on_the_way, real))
        for id_ in rules if only is None else only:
            rule, home = rules[id_], self._homes.setdefault(id_, real)
            if home != real:
                raise _twice(rule, self.rules[id_])
            self.rules.setdefault(id_, replace(rule, pack=pack))

    def _parsed(self, real: Path, path: Path, shown: str) -> tuple[Lined, dict[str, Rule]]:
        """A file and its own rules."""
        if real in self._read:
            return self._read[real]
        if len(self._read) >= MAX_FILES:
            raise PackError(f"{shown}: is one file more than the {MAX_FILES} that packs may have together. Join some.")
        try:
            document = read_file(path)
        except YamlError as error:
            raise PackError(str(error)) from None
        optional = {"include", "rules"} if isinstance(document, dict) and document.get("include") else {"include"}
        shape(document, _KEYS, optional, shown)
        raws = document.get("rules", [])
        if len(raws) > MAX_RULES:
            raise PackError(f"{shown}: has more than {MAX_RULES} rules. Split it.")
        rules: dict[str, Rule] = {}
        for number, raw in enumerate(raws, 1):
            rule = read_rule(raw, shown, number)
            if rule.id in rules:
                raise _twice(rule, rules[rule.id])
            rules[rule.id] = rule
        self._read[real] = document, rules
        return document, rules

    def _include(self, document: Lined, entry: Any, path: Path, shown: str, pack: str,
                 on_the_way: tuple[Path, ...]) -> None:
        where = f"{shown}:{document.lines['include']}"
        name, only = entry, None
        if isinstance(entry, dict):
            shape(entry, {"file": str, "rules": list}, set(), f"{where}: an entry of 'include'")
            name, only = entry["file"], entry["rules"]
        if not isinstance(name, str) or not name or name.startswith("/") or ".." in Path(name).parts:
            raise PackError(f"{where}: includes '{name!s:.80}', which is not a path below the pack's own folder. "
                            "Move the file there, or name it as a pack of its own.")
        inner = path.parent / name
        real = _resolved(inner, f"{where}: includes '{name:.80}', which")
        if not real.is_relative_to(path.parent.resolve()):
            raise PackError(f"{where}: includes '{name:.80}', which a symbolic link leads out of the pack's folder. "
                            "Copy the file there.")
        if real in on_the_way:
            raise PackError(f"{where}: includes '{name:.80}', which includes this file again. Break the circle.")
        if only is not None:
            _document, there = self._parsed(real, inner, str(Path(shown).parent / name))
            for id_ in only:
                if not isinstance(id_, str) or id_ not in there:
                    raise PackError(f"{where}: includes the rule '{id_!s:.80}' of '{name:.80}', which has none of this "
                                    f"id; {nearest(id_, there)}")
        self._file(inner, str(Path(shown).parent / name), pack, on_the_way, only)


def _twice(rule: Rule, there: Rule) -> PackError:
    return PackError(f"{rule.source}: rule {rule.id}: {there.source} has a rule of this id too. Remove one or rename "
                     "it, so that waivers and reports mean one rule.")


def _resolved(path: Path, shown: str) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):
        raise PackError(f"{shown}: cannot be opened: it is no path, or links that lead in a circle. Check the path."
                        ) from None


__all__ = ["PACKS", "PackError", "load_rules", "shipped"]
