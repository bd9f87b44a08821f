"""What is fuzzed: each target takes bytes and lets no error out but the one that it found.

The corpus of a target is ``corpus/<target>.txt``: a literal of bytes on each line; lines that begin with ``#`` say what
the next one found once.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
TARGETS = {
    "expression-text": "expressions:any_text",
    "expression": "expressions:grown",
    "two-nulls": "expressions:two_nulls",
    "later": "expressions:what_comes_later",
    "other-words": "expressions:other_words",
    "pattern": "patterns:any_pattern",
    "pack": "files:pack",
    "pack-words": "files:pack_of_words",
    "waivers": "files:waivers",
    "waivers-words": "files:waivers_of_words",
    "plan-bytes": "plans:any_bytes",
    "plan": "plans:changed",
    "check": "checks:judged",
    "context": "checks:enriched",
    "formats": "checks:written",
}

Target = Callable[[bytes], None]


def target(name: str) -> Target:
    """The function of the target `name`."""
    module, _colon, function = TARGETS[name].partition(":")
    found: Target = getattr(import_module(f".{module}", __package__), function)
    return found


def corpus(name: str) -> list[bytes]:
    """The inputs that are kept for the target `name`."""
    path = HERE / "corpus" / f"{name}.txt"
    lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    return [ast.literal_eval(line) for line in lines if line and not line.startswith("#")]
