"""A VM document while it is written: each value is put together with the attribute that it comes from, so that what is
known only after apply is listed under ``unknown`` and what is sensitive never gets in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .resource import Resource
from .shadow import Shadow, touched, under

MAX_PATHS = 500
_STEP = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,127}")


class Draft:
    """One VM document: `document` and the paths of it that are `unknown` or `sensitive`."""

    __slots__ = ("document", "resource", "root", "sensitive", "unknown")

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.document: dict[str, Any] = {}
        self.unknown: list[str] = []
        self.sensitive: list[str] = []
        self.root = Part(self, self.document, "", resource.later, resource.hidden)

    def section(self, key: str) -> Part:
        """The mapping at the top-level `key`, such as ``protection`` or ``aws``, filled from the VM's own resource."""
        values = self.document.setdefault(key, {})
        return Part(self, values, f"{key}.", self.resource.later, self.resource.hidden)

    def item(self, key: str, later: Shadow = None, hidden: Shadow = None) -> Part:
        """A new item of the list `key`, filled from a block whose shadows are given."""
        items = self.document.setdefault(key, [])
        items.append({})
        return Part(self, items[-1], f"{key}[{len(items) - 1}].", later, hidden)

    def block(self, key: str, attribute: str, index: int) -> Part:
        """A new item of the list `key`, filled from the block `attribute` of the VM's own resource."""
        resource = self.resource
        return self.item(key, under(under(resource.later, attribute), index),
                         under(under(resource.hidden, attribute), index))

    def of(self, key: str, part: Resource) -> Part:
        """A new item of the list `key`, filled from another resource."""
        return self.item(key, part.later, part.hidden)

    def later(self, path: str) -> None:
        """`path` is known only after apply, or not to be known from this file."""
        self.unknown.append(path)

    def awaits(self, path: str, block: Any, *attributes: str) -> None:
        """`path` is known only after apply where the `block` that fills it is: one of `attributes`, by whole."""
        if block is None and any(self.root.covers(attribute) for attribute in attributes):
            self.later(path)

    def finish(self) -> dict[str, Any]:
        """The document, with ``unknown`` and ``sensitive`` where they list something."""
        document = self.document
        for key in [key for key, value in document.items() if value == {}]:
            if not any(path.startswith(f"{key}.") for path in self.unknown):
                del document[key]
        if self.unknown:
            document["unknown"] = _bounded(self.unknown)
        if self.sensitive:
            document["sensitive"] = _bounded(self.sensitive)
        return document


class Part:
    """A mapping of the document together with the shadows of the block that fills it."""

    __slots__ = ("_draft", "_hidden", "_later", "_where", "values")

    def __init__(self, draft: Draft, values: dict[str, Any], where: str, later: Shadow, hidden: Shadow) -> None:
        self.values = values
        self._draft = draft
        self._where = where
        self._later = later
        self._hidden = hidden

    def put(self, key: str, value: Any, attribute: str | None = None) -> None:
        """Set `key` to `value`, which comes from `attribute` (of the same name if None). None and "" set nothing."""
        name = attribute or key
        if self._hidden is not None and touched(under(self._hidden, name)):
            self.conceal(key)
            return
        later = self._later
        if later.__class__ is dict:  # as `under`, which would take a tenth of all the time
            later = later.get(name)
        elif later is not None:
            later = under(later, name)
        if later and (value is None or later is not True) and touched(later):
            self._draft.unknown.append(self._where + key)
        elif value is not None and value != "":
            self.values[key] = value

    def copy(self, source: Any, *attributes: str, **renamed: str) -> None:
        """Put attributes of `source` under their own names, others under new ones: ``copy(s, "id", cpus="vcpu")``."""
        for name in attributes:
            self.put(name, getattr(source, name))
        for key, name in renamed.items():
            self.put(key, getattr(source, name), name)

    def put_whole(self, key: str, value: Any, attribute: str) -> None:
        """Set `key` to `value`, which was read from inside of `attribute`, such as the number of its blocks.

        That something else inside is known later, an id for example, does not matter to it.
        """
        if touched(under(self._hidden, attribute)):
            self.conceal(key)
        elif value is not None:
            self.values[key] = value
        elif touched(under(self._later, attribute)):
            self.later(key)

    def block(self, attribute: str, index: int = 0) -> Part:
        """The same mapping, filled from the block `attribute`."""
        return Part(self._draft, self.values, self._where, under(under(self._later, attribute), index),
                    under(under(self._hidden, attribute), index))

    def down(self, attribute: str) -> Part:
        """The same mapping, filled from the nested `attribute`."""
        return Part(self._draft, self.values, self._where, under(self._later, attribute),
                    under(self._hidden, attribute))

    def texts(self, key: str, value: Mapping[str, str | None] | None, attribute: str | None = None) -> None:
        """Put a mapping of free names to texts, such as tags. Each entry may be unknown or sensitive for itself."""
        name = attribute or key
        later, hidden = under(self._later, name), under(self._hidden, name)
        if not value and not later and not hidden:
            return
        partly = later.__class__ is dict or hidden.__class__ is dict
        odd = partly and any(not _STEP.fullmatch(each) for shadow in (later, hidden) if isinstance(shadow, dict)
                             for each, mark in shadow.items() if touched(mark))
        if not partly or odd:  # covered as a whole, or a path of the document could not name what is
            self.put(key, {name: text for name, text in (value or {}).items() if text is not None} or None, name)
            return
        part = Part(self._draft, {}, f"{self._where}{key}.", later, hidden)
        shadows = [shadow for shadow in (later, hidden) if isinstance(shadow, dict)]
        marked = [each for shadow in shadows for each, mark in shadow.items() if touched(mark)]
        for each in dict.fromkeys([*(value or {}), *marked]):
            part.put(each, (value or {}).get(each))
        self.values[key] = part.values

    def inner(self, key: str, index: int | None = None) -> Part | None:
        """The mapping at `key`, filled from the attribute of that name (or from its block `index`).

        None where it is unknown or sensitive as a whole; that is noted.
        """
        later, hidden = under(self._later, key), under(self._hidden, key)
        if index is not None:
            later, hidden = under(later, index), under(hidden, index)
        if hidden is True or later is True:
            (self.conceal if hidden is True else self.later)(key)
            return None
        values: dict[str, Any] = {}
        self.values[key] = values
        return Part(self._draft, values, f"{self._where}{key}.", later, hidden)

    def inner_item(self, key: str, index: int) -> Part | None:
        """The item `index` of the list `key`, likewise. Items are asked for in order."""
        later, hidden = under(self._later, key), under(self._hidden, key)
        if hidden is True or later is True:
            (self.conceal if hidden is True else self.later)(key)
            return None
        items = self.values.setdefault(key, [])
        items.append({})
        return Part(self._draft, items[-1], f"{self._where}{key}[{index}].", under(later, index), under(hidden, index))

    def covers(self, attribute: str) -> bool:
        """Whether the value of `attribute` is unknown or sensitive."""
        return touched(under(self._later, attribute)) or touched(under(self._hidden, attribute))

    def default(self, key: str, value: Any) -> None:
        """Set `key` to `value` where nothing was put and nothing is unknown there."""
        if key not in self.values and self._where + key not in self._draft.unknown:
            self.values[key] = value

    def later(self, key: str) -> None:
        """`key` is known only after apply."""
        self._draft.unknown.append(self._where + key)

    def conceal(self, key: str) -> None:
        """`key` is sensitive: it is listed and not shown. Its value counts as unknown, which no rule passes."""
        self._draft.sensitive.append(self._where + key)
        self._draft.unknown.append(self._where + key)


def _bounded(paths: list[str]) -> list[str]:
    """`paths`, each once. Where they are too many, their top-level fields: all of such a field is then unknown."""
    once = list(dict.fromkeys(paths))
    if len(once) <= MAX_PATHS:
        return once
    return list(dict.fromkeys(re.split(r"[.\[]", path, maxsplit=1)[0] for path in once))
