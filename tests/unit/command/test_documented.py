"""docs/muster-check.md: its commands are commands, its Python runs, and what it shows is what is shown."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from muster.command.main import _parser
from muster.policy.formats import FORMATS
from sample_files import Done

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "muster-check.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [text for name, text in found if name == language]


LINES = [line for block in blocks("sh") for line in block.splitlines() if "muster " in line]
COMMANDS = [line.partition("| ")[2] or line for line in LINES]


@pytest.mark.parametrize("line", [line for line in COMMANDS if not line.startswith("ansible")])
def test_a_command_of_the_page_is_one(line: str) -> None:
    words = shlex.split(line, comments=True)
    assert words[0] == "muster"
    _parser().parse_args(words[1:])


def test_every_option_and_format_is_on_the_page() -> None:
    check = next(iter(_parser()._subparsers._group_actions)).choices["check"]  # type: ignore[union-attr]
    options = {name for action in check._actions for name in action.option_strings if name.startswith("--")}
    assert [name for name in sorted(options - {"--help"}) if f"`{name}" not in PAGE] == []
    assert [name for name in FORMATS if f"`{name}`" not in PAGE] == []


def test_the_python_of_the_page_runs() -> None:
    (code,) = blocks("python")
    written = io.StringIO()
    with redirect_stdout(written):
        exec(compile(code, "muster-check.md", "exec"), {})
    assert re.match(r"[1-9][0-9]* failed\n", written.getvalue())
    assert "rpo-set high web-1 at lab: protection.rpo is not set." in written.getvalue()


def test_what_the_page_shows_is_what_is_shown(muster: Callable[..., Done]) -> None:
    (shown,) = blocks("")
    text = muster("check", str(ROOT / "examples" / "plan" / "ten-faults.json")).out
    for part in shown.split("…\n"):
        assert part in text
