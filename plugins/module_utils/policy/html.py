"""The run report as one HTML file: it needs no network, no server and no other file.

Everything in it comes from VMs, guests and people, so nothing in it is trusted: Jinja escapes every value, nothing of
the data is a template or a script, and the page's own policy allows the one script and the one style that it has.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .view import view
from .wording import human_duration, human_size, human_time, printable

_TEMPLATE = Path(__file__).parent / "template"


def render(data: Mapping[str, Any]) -> str:
    """The page for the run report `data` (see docs/report.schema.json). Sections without data are left out."""
    from markupsafe import Markup

    style, script = ((_TEMPLATE / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    page: str = _page().render(
        report=view(data),
        style=Markup(style),  # noqa: S704 our own file, and the page's policy names its hash
        script=Markup(script),  # noqa: S704
        style_hash=_hash(style),
        script_hash=_hash(script),
    )
    return page


@functools.cache
def _page() -> Any:
    """The compiled template."""
    import jinja2  # on the controller only; Ansible itself needs it
    from markupsafe import Markup

    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, (Markup, int, float)) else printable(value),
    )
    environment.filters.update(size=human_size, duration=human_duration, time=human_time, setting=_setting)
    return environment.from_string((_TEMPLATE / "report.html.j2").read_text(encoding="utf-8"))


def _hash(text: str) -> str:
    """How a content security policy names an inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _setting(fix: Mapping[str, Any]) -> str:
    """A fix as people read it: its advice, or its settings in lines."""
    if isinstance(fix.get("advice"), str):
        return str(fix["advice"])
    fields = fix.get("vm") if isinstance(fix.get("vm"), Mapping) else fix
    return json.dumps(fields, ensure_ascii=False, indent=2, default=str)
