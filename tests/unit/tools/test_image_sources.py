"""The guest's package sources come from the machine that builds the image: Debian's own, and no third party's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.image.sources import debian_sources, for_guest

ONE_LINE = {
    "deb http://mirror.example/debian bookworm main contrib": ["deb http://mirror.example/debian bookworm main"],
    "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] https://m.example/debian/ bookworm main": [
        "deb https://m.example/debian bookworm main"
    ],
    "deb [check-valid-until=no] http://s.example/archive/debian/20250520T000000Z bookworm main": [
        "deb [check-valid-until=no] http://s.example/archive/debian/20250520T000000Z bookworm main"
    ],
    "deb http://security.example/debian-security bookworm-security main # ours": [
        "deb http://security.example/debian-security bookworm-security main"
    ],
    "# deb http://mirror.example/debian bookworm main": [],
    "deb-src http://mirror.example/debian bookworm main": [],
    "deb http://mirror.example/debian trixie main": [],
    "deb https://download.example/linux/debian bookworm stable": [],
    "deb [signed-by=/etc/apt/keyrings/vendor.gpg] https://vendor.example/debian bookworm main": [],
    "deb https://packages.example/cloud bookworm main": [],
    "deb file:/srv/debian bookworm main": [],
    "deb [broken http://mirror.example/debian bookworm main": [],
    "deb http://mirror.example/debian": [],
}
STANZAS = {
    "Types: deb\nURIs: http://m.example/debian\nSuites: bookworm bookworm-updates\nComponents: main\n": [
        "deb http://m.example/debian bookworm main",
        "deb http://m.example/debian bookworm-updates main",
    ],
    "Types: deb\nURIs: http://m.example/debian\nSuites: bookworm\nComponents: main\nEnabled: no\n": [],
    "Types: deb-src\nURIs: http://m.example/debian\nSuites: bookworm\nComponents: main\n": [],
    "Types: deb\nURIs: http://m.example/debian\nSuites: bookworm\nComponents: main\nSigned-By:\n -----BEGIN\n": [],
    "Types: deb\nURIs:\n http://a.example/debian\n http://b.example/debian\nSuites: bookworm\nComponents: main\n": [
        "deb http://a.example/debian bookworm main",
        "deb http://b.example/debian bookworm main",
    ],
    "# a comment\nTypes: deb\nURIs: http://m.example/debian\nSuites: bookworm\nComponents: main\n"
    "Check-Valid-Until: no\n": ["deb [check-valid-until=no] http://m.example/debian bookworm main"],
}


@pytest.mark.parametrize(("line", "expected"), ONE_LINE.items())
def test_one_line_style(tmp_path: Path, line: str, expected: list[str]) -> None:
    (tmp_path / "sources.list").write_text(line + "\n", encoding="utf-8")
    assert [source.line() for source in debian_sources(tmp_path)] == expected


@pytest.mark.parametrize(("text", "expected"), STANZAS.items())
def test_deb822_style(tmp_path: Path, text: str, expected: list[str]) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "debian.sources").write_text(text, encoding="utf-8")
    assert [source.line() for source in debian_sources(tmp_path)] == expected


def test_an_entry_named_twice_counts_once(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    for name in ("a.list", "b.list"):
        (tmp_path / "sources.list.d" / name).write_text("deb http://m.example/debian bookworm main\n", encoding="utf-8")
    assert len(debian_sources(tmp_path)) == 1


@pytest.mark.parametrize(
    ("proxy", "expected"),
    [
        ("http://127.0.0.1:3142", "http://10.0.2.2:3142"),
        ("http://localhost:3142/", "http://10.0.2.2:3142/"),
        ("http://proxy.example:3128", "http://proxy.example:3128"),
    ],
)
def test_a_proxy_on_the_loopback_is_the_gateway_for_a_guest(proxy: str, expected: str) -> None:
    assert for_guest(proxy) == expected
