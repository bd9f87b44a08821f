"""YAML for documents that people write by hand: bounded, without surprises, and with the line of every entry.

It reads events, not objects, so nothing in a file can make Python construct, recurse or multiply anything:

* no tags, no anchors, no aliases, no merge keys, one document, 32 levels, 1 MiB;
* keys are always text and never twice in one mapping;
* ``true``, ``false``, ``null`` and plain decimal whole numbers are what they look like. Everything else stays the text
  that was written. Where YAML 1.1 or another reader would have made something else of it (``NO``, ``on``, ``1e3``,
  ``0755``, ``1.10``, ``19:00``, ``2026-01-01``), the text is a `Word`, so that a field may insist on quotes.

PyYAML, which ansible-core always brings, does the scanning. It is imported when a document is read, so that the
rest of the model needs the standard library only.
"""

from __future__ import annotations

import re
from typing import Any

from .errors import FleetErrors, ModelError, Path, show

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
_DEEP = f"the file is nested deeper than {MAX_DEPTH} levels; flatten it"

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,39})")
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_TEMPLATE = re.compile(r"\{\{|\{%|\{#")
# What YAML 1.1 or 1.2 makes a boolean, a number, a time or a date of, although it does not look the same to all.
_AMBIGUOUS = re.compile(
    r"""(?ix) y|n|yes|no|on|off|true|false
    | [-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:e[-+]?[0-9]+)?
    | [-+]?0[xob][0-9a-f_]+ | [-+]?\.inf | \.nan
    | [-+]?[0-9][0-9_]*(?::[0-9]{1,2})+(?:\.[0-9]*)?
    | [0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[ \tt].*)?"""
)


class Word(str):
    """Text that was written without quotes and that another YAML reader would not take for text."""

    __slots__ = ()


class Map(dict[str, Any]):
    """A mapping that knows the line of each of its keys."""

    __slots__ = ("line", "lines")

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}


class Seq(list[Any]):
    """A list that knows the line of each of its items."""

    __slots__ = ("line", "lines")

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: list[int] = []


def decode(data: bytes, source: str) -> str:
    """`data` as text. Raises `FleetErrors` for what is too long, not UTF-8 or holds a NUL byte."""
    if len(data) > MAX_BYTES:
        raise _refused(f"the file has more than {MAX_BYTES >> 20} MiB; split it into several fleets", source)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _refused("the file is not UTF-8; save it as UTF-8", source, line) from None
    return text


def read_yaml(text: str, source: str) -> Map:
    """The mapping that `text` holds. Raises `FleetErrors` with every refusal, each with its line."""
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise _refused(f"the file has more than {MAX_BYTES >> 20} MiB; split it into several fleets", source)
    for bad, what in (("\x00", "a NUL character"), ("\x1b", "an escape character")):
        if bad in text:
            line = text.count("\n", 0, text.index(bad)) + 1
            raise _refused(f"the file holds {what}; remove it", source, line)
    builder = _Builder(source)
    import yaml  # lazy: see the top

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        for event in yaml.parse(text, Loader=loader):
            builder.take(event)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
        if "nesting depth" in what:  # libyaml has a bound of its own, and reads ahead to it
            builder.problem(_DEEP, 1 if mark is None else mark.line + 1, builder.path()[:1])
            raise FleetErrors(builder.problems) from None
        begun = getattr(error, "context_mark", None)
        if begun is not None and mark is not None and begun.line != mark.line:
            what += f"; it began in line {begun.line + 1}"
        raise _refused(f"the file is not valid YAML ({what}); mend the indentation, quotes or brackets here",
                       source, None if mark is None else mark.line + 1) from None
    except UnicodeEncodeError:
        raise _refused("the file is not UTF-8; save it as UTF-8", source) from None
    if builder.problems:
        raise FleetErrors(builder.problems)
    if not isinstance(builder.root, Map):
        raise _refused("the file holds no mapping; begin with 'fleet: <name>'", source)
    return builder.root


def locate(root: Map, path: Path) -> int | None:
    """The line of the entry at `path`, or of the nearest one above it that is in the file."""
    line: int | None = root.line
    here: Any = root
    for key in path:
        in_map = isinstance(here, Map) and isinstance(key, str) and key in here
        if not in_map and not (isinstance(here, Seq) and isinstance(key, int) and 0 <= key < len(here)):
            break
        line, here = here.lines[key], here[key]
    return line


def _refused(problem: str, source: str, line: int | None = None) -> FleetErrors:
    return FleetErrors([ModelError(problem, (), source, line)])


class _Builder:
    """Makes Maps and Seqs of PyYAML's events, with a stack of its own instead of recursion."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.problems: list[ModelError] = []
        self.root: Any = None
        self.documents = 0
        # Each open container with the key under which the next value goes (None: a key is awaited).
        self.stack: list[Map | Seq] = []
        self.keys: list[str | None] = []

    def path(self) -> Path:
        keys: list[str | int] = []
        for depth, (container, key) in enumerate(zip(self.stack, self.keys, strict=True), 1):
            if isinstance(container, Seq):  # an item that is still open is in its list already
                keys.append(len(container) - (depth < len(self.stack)))
            elif key is not None:
                keys.append(key)
        return tuple(keys)

    def problem(self, sentence: str, line: int, path: Path | None = None) -> None:
        self.problems.append(ModelError(sentence, self.path() if path is None else path, self.source, line))

    def take(self, event: Any) -> None:
        kind = type(event).__name__
        if kind == "ScalarEvent":
            self.scalar(event)
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            self.open(event, Map if kind == "MappingStartEvent" else Seq)
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            self.close()
        elif kind == "AliasEvent":
            self.stop("an alias (*) is not allowed; put what is shared into 'defaults'", event)
        elif kind == "DocumentStartEvent":
            self.documents += 1
            if self.documents > 1:
                self.stop("a second document ('---') is not allowed; write one fleet to a file", event)

    def stop(self, sentence: str, event: Any, path: Path | None = None) -> None:
        """Refuse the whole file here: what follows could only mislead."""
        self.problem(sentence, event.start_mark.line + 1, path)
        raise FleetErrors(self.problems)

    def marked(self, event: Any, line: int) -> None:
        if event.anchor is not None:
            self.problem("an anchor (&) is not allowed; put what is shared into 'defaults'", line)
        if event.tag is not None and event.tag != "!":
            self.problem(f"the tag {show(event.tag)} is not allowed; write plain values", line)

    def open(self, event: Any, container: type[Map | Seq]) -> None:
        line = event.start_mark.line + 1
        if len(self.stack) >= MAX_DEPTH:
            # A path of 32 levels helps nobody: its beginning does.
            self.stop(_DEEP, event, self.path()[:1])
        if self.stack and isinstance(self.stack[-1], Map) and self.keys[-1] is None:
            self.stop("a key must be text; write 'name: value'", event)
        self.marked(event, line)
        made = container(line)
        self.put(made, line)
        self.stack.append(made)
        self.keys.append(None)

    def close(self) -> None:
        self.stack.pop()
        self.keys.pop()
        if self.stack and isinstance(self.stack[-1], Map):
            self.keys[-1] = None

    def scalar(self, event: Any) -> None:
        line = event.start_mark.line + 1
        text: str = event.value
        if event.anchor is not None or event.tag is not None:
            self.marked(event, line)
        if self.stack and isinstance(self.stack[-1], Map) and self.keys[-1] is None:
            self.key(self.stack[-1], text, line)
            return
        value: Any = text
        if event.implicit[0]:
            value = _plain(text)
        if "{" in text and _TEMPLATE.search(text):
            self.problem("a template is not allowed, nothing in this file is rendered; write the value itself", line)
        self.put(value, line)
        if self.stack and isinstance(self.stack[-1], Map):
            self.keys[-1] = None

    def key(self, container: Map, text: str, line: int) -> None:
        if text in container.lines:
            self.problem(f"this key is here twice, first in line {container.lines[text]}; remove one of them", line,
                         (*self.path(), text))
        if text == "<<":
            self.problem("a merge key (<<) is not allowed; put what is shared into 'defaults'", line)
        container.lines.setdefault(text, line)
        self.keys[-1] = text

    def put(self, value: Any, line: int) -> None:
        if not self.stack:
            self.root = value
            return
        container, key = self.stack[-1], self.keys[-1]
        if isinstance(container, Seq):
            container.append(value)
            container.lines.append(line)
        elif key is not None and key not in container:
            container[key] = value


def _plain(text: str) -> Any:
    """What a scalar without quotes is: None, a bool, an int, text, or a `Word`."""
    if text in _NULL:
        return None
    if text in ("true", "false"):
        return text == "true"
    if _WHOLE.fullmatch(text):
        return int(text)
    if len(text) <= 64 and _AMBIGUOUS.fullmatch(text):
        return Word(text)
    return text
