"""The run report as one HTML file: it needs no network, no server and no other file.

Everything in it comes from VMs, guests and people, so nothing in it is trusted: Jinja escapes every value, the tables
of the page's script are JSON that no browser takes for markup, and the page's own policy allows the one script and
the one style that it has.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .view import PLAIN_FINDINGS, PLAIN_VMS, view
from .wording import human_duration, human_size, human_time, printable

_TEMPLATE = Path(__file__).parent / "template"


def render(data: Mapping[str, Any]) -> str:
    """The page for the run report `data` (see docs/report.schema.json). Sections without data are left out."""
    from markupsafe import Markup

    style, script = ((_TEMPLATE / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    shown = view(data)
    page: str = _page().render(
        report=shown,
        limits={"findings": PLAIN_FINDINGS, "vms": PLAIN_VMS},
        style=Markup(style),  # noqa: S704 our own file, and the page's policy names its hash
        script=Markup(script),  # noqa: S704
        tables=Markup(_tables(shown)),  # noqa: S704 JSON without the characters of markup
        style_hash=_hash(style),
        script_hash=_hash(script),
    )
    return page


def _tables(shown: Mapping[str, Any]) -> str:
    """What the page's script reads: the findings and the VMs. In JSON these characters stand in texts alone."""
    vms = [[printable(vm["vm"]), printable(vm["site"]), vm["passed"], vm["waived"], vm["unknown"], vm["errors"],
            vm["failed"], printable(vm["health"]), printable(vm["drill"])] for vm in shown["vms"]]
    text = json.dumps({**shown["findings"].document(), "vms": vms, "words": shown["words"]}, ensure_ascii=False,
                      separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


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
        loader=jinja2.FileSystemLoader(_TEMPLATE),
        finalize=lambda value: value if isinstance(value, (Markup, int, float)) else printable(value),
    )
    environment.filters.update(size=human_size, duration=human_duration, time=human_time, day=_day,
                               count=lambda value: f"{value:,}")
    return environment.get_template("report.html.j2")


def _day(value: Any) -> str:
    return human_time(value)[:10]


def _hash(text: str) -> str:
    """How a content security policy names an inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
