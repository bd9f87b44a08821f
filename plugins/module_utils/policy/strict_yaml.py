"""YAML of rules and waivers, read strictly: what two people could read in two ways is an error, not a guess.

Refused: anchors and aliases (and with them alias bombs and merge keys), tags, duplicate keys, several documents,
``yes``, ``no``, ``on`` and ``off`` without quotes, numbers with a leading zero, and more depth or values than any
pack needs. A time stays text.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Any

from .wording import one_line

MAX_BYTES = 2 << 20
MAX_DEPTH = 24
MAX_VALUES = 100_000

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?[0-9]{1,15}\.[0-9]{1,15}")
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None, "~": None, "": None}
_AMBIGUOUS = re.compile(
    r"(?i:yes|no|on|off|y|n)|True|TRUE|False|FALSE|Null|NULL|[-+]?0[0-9xob_][0-9a-fA-F_]*|[-+]?\.(?i:inf|nan)"
    r"|[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+"
)


class Lined(dict[str, Any]):
    """A mapping that knows on which line of its file it begins (`line`) and where each key stands (`lines`)."""

    line: int
    lines: dict[str, int]


class YamlError(ValueError):
    """The file cannot be read. Its text is a sentence that names the file, the line and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(one_line(sentence))  # it quotes what stands in the file


def read_file(path: Path) -> Any:
    """The content of the file at `path`: a regular file, not a symbolic link, of at most 2 MiB. Raises YamlError."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise YamlError(f"{path}: cannot be opened: {error.strerror}. Check the path; a symbolic link is not followed."
                        ) from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise YamlError(f"{path}: is not a regular file. Name a YAML file.")
    with os.fdopen(handle, "rb") as stream:
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise YamlError(f"{path}: is larger than {MAX_BYTES >> 20} MiB. Split it.")
    try:
        return read(content.decode("utf-8"), str(path))
    except UnicodeDecodeError:
        raise YamlError(f"{path}: is not UTF-8. Save it as UTF-8.") from None


def read(text: str, source: str) -> Any:
    """The one document in `text`; `source` names it in errors. Raises YamlError."""
    import yaml  # on the controller only

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    builder = _Builder(source)
    try:
        for event in yaml.parse(text, Loader=loader):
            builder.take(event)
    except YamlError:
        raise
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        # The library's own text quotes the file, which may hold what nobody should see: only its problem is told.
        problem = getattr(error, "problem", None) or "it is not YAML"
        if "nesting depth" in problem:  # libyaml has a bound of its own, and reads ahead to it
            problem = f"it is nested deeper than {MAX_DEPTH} levels"
        raise YamlError(f"{source}{line}: cannot be read: {problem:.200}. Correct the YAML there.") from None
    return builder.result()


class _Builder:
    """Builds the value from the parser's events, so that nothing is expanded and every refusal knows its line."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.stack: list[tuple[Any, str | None]] = []  # an open list or dict, and the key that waits for its value
        self.roots: list[Any] = []
        self.values = 0

    def fail(self, event: Any, what: str) -> YamlError:
        return YamlError(f"{self.source}:{event.start_mark.line + 1}: {what}.")

    def take(self, event: Any) -> None:
        name = type(event).__name__
        if name == "AliasEvent" or getattr(event, "anchor", None):
            raise self.fail(event, "anchors and aliases are refused; write the value out")
        if name in ("MappingStartEvent", "SequenceStartEvent"):
            if event.tag:
                raise self.fail(event, "tags are refused; remove what begins with '!'")
            if len(self.stack) >= MAX_DEPTH:
                raise self.fail(event, f"nested deeper than {MAX_DEPTH} levels; flatten it")
            fresh: Any = self.mapping(event) if name == "MappingStartEvent" else []
            self.put(event, fresh)
            self.stack.append((fresh, None))
        elif name in ("MappingEndEvent", "SequenceEndEvent"):
            self.stack.pop()
        elif name == "ScalarEvent":
            self.scalar(event)

    @staticmethod
    def mapping(event: Any) -> Lined:
        fresh = Lined()
        fresh.line, fresh.lines = event.start_mark.line + 1, {}
        return fresh

    def scalar(self, event: Any) -> None:
        if event.tag:
            raise self.fail(event, "tags are refused; remove what begins with '!'")
        container, key = self.stack[-1] if self.stack else (None, None)
        if isinstance(container, Lined) and key is None:
            if event.value in container:
                raise self.fail(event, f"the key '{event.value:.60}' is there twice; keep one")
            if event.value == "<<":
                raise self.fail(event, "merge keys are refused; write the values out")
            container[event.value] = None
            container.lines[event.value] = event.start_mark.line + 1
            self.stack[-1] = (container, event.value)
            return
        self.put(event, self.plain(event) if event.implicit[0] else event.value)

    def put(self, event: Any, value: Any) -> None:
        self.values += 1
        if self.values > MAX_VALUES:
            raise self.fail(event, f"more than {MAX_VALUES} values; split the file")
        if not self.stack:
            if self.roots:
                raise self.fail(event, "a second document begins; keep one document in a file")
            self.roots.append(value)
            return
        container, key = self.stack[-1]
        if isinstance(container, list):
            container.append(value)
        elif key is None:
            raise self.fail(event, "a key that is not a plain text; write a name before the colon")
        else:
            container[key] = value
            self.stack[-1] = (container, None)

    def plain(self, event: Any) -> Any:
        text = event.value
        if text in _WORDS:
            return _WORDS[text]
        if _AMBIGUOUS.fullmatch(text):
            raise self.fail(event, f"'{text:.40}' is read in two ways; write true or false, or put it in quotes")
        if _INTEGER.fullmatch(text):
            return int(text)
        return float(text) if _FLOAT.fullmatch(text) else text

    def result(self) -> Any:
        return self.roots[0] if self.roots else None
