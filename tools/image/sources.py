"""The guest's package sources: the Debian entries and the proxy of the machine that builds the image."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

RELEASE = "bookworm"
SUITES = frozenset({RELEASE, f"{RELEASE}-updates", f"{RELEASE}-security"})
ARCHIVES = frozenset({"debian", "debian-security"})
GATEWAY = "10.0.2.2"  # where a guest on user-mode networking finds the host's loopback


@dataclass(frozen=True)
class Source:
    """One line of a ``sources.list``: ``deb [options] uri suite components``."""

    uri: str
    suite: str
    components: tuple[str, ...]
    options: tuple[str, ...] = ()

    def line(self) -> str:
        options = f"[{' '.join(self.options)}] " if self.options else ""
        return f"deb {options}{self.uri} {self.suite} {' '.join(self.components)}"


def debian_sources(apt: Path = Path("/etc/apt")) -> list[Source]:
    """The entries for Debian 12 itself, its updates and its security archive; third parties are left out."""
    found: list[Source] = []
    folder = apt / "sources.list.d"
    lists = [apt / "sources.list", *(sorted(folder.glob("*.list")) if folder.is_dir() else [])]
    for path in lists:
        if path.is_file():
            found += _one_line_style(path.read_text(encoding="utf-8", errors="replace"))
    for path in sorted(folder.glob("*.sources")) if folder.is_dir() else []:
        found += _deb822_style(path.read_text(encoding="utf-8", errors="replace"))
    return list(dict.fromkeys(found))


def _debian(uri: str, suite: str, components: list[str], signed_by: str, check_valid: str) -> list[Source]:
    parts = urlsplit(uri)
    ours = (
        parts.scheme in ("http", "https")
        and suite in SUITES
        and "main" in components
        and ARCHIVES & set(parts.path.split("/"))
        and (not signed_by or "debian-archive" in signed_by)
    )
    if not ours:
        return []
    options = ("check-valid-until=no",) if check_valid.lower() in ("no", "false", "0") else ()
    return [Source(uri.rstrip("/"), suite, ("main",), options)]


def _one_line_style(text: str) -> list[Source]:
    found: list[Source] = []
    for raw in text.splitlines():
        line = raw.split("#", 1)[0].strip()
        if not line.startswith("deb "):
            continue
        options: dict[str, str] = {}
        rest = line[4:].strip()
        if rest.startswith("["):
            inside, rest = rest[1:].split("]", 1) if "]" in rest else (rest[1:], "")
            options = dict(word.split("=", 1) for word in inside.split() if "=" in word)
        words = rest.split()
        if len(words) >= 3:
            valid = options.get("check-valid-until", "")
            found += _debian(words[0], words[1], words[2:], options.get("signed-by", ""), valid)
    return found


def _deb822_style(text: str) -> list[Source]:
    found: list[Source] = []
    for stanza in _stanzas(text):
        if stanza.get("enabled", "yes").lower() in ("no", "false") or "deb" not in stanza.get("types", "").split():
            continue
        for uri in stanza.get("uris", "").split():
            for suite in stanza.get("suites", "").split():
                components = stanza.get("components", "").split()
                valid = stanza.get("check-valid-until", "")
                found += _debian(uri, suite, components, stanza.get("signed-by", ""), valid)
    return found


def _stanzas(text: str) -> list[dict[str, str]]:
    stanzas: list[dict[str, str]] = [{}]
    key = ""
    for line in text.splitlines():
        if not line.strip():
            stanzas.append({})
        elif line.startswith("#"):
            continue
        elif line[0].isspace():
            stanzas[-1][key] = f"{stanzas[-1].get(key, '')} {line.strip()}".strip()
        elif ":" in line:
            key, value = line.split(":", 1)
            key = key.strip().lower()
            stanzas[-1][key] = value.strip()
    return [stanza for stanza in stanzas if stanza]


def proxies() -> dict[str, str]:
    """APT's proxies of this machine, from its configuration or its environment: ``{"http": url, "https": url}``."""
    found: dict[str, str] = {}
    for scheme in ("http", "https"):
        name = f"Acquire::{scheme}::Proxy"
        try:
            answer = subprocess.run(
                ["apt-config", "shell", "proxy", name], capture_output=True, text=True, check=False
            ).stdout
        except FileNotFoundError:
            answer = ""
        value = answer.strip().partition("=")[2].strip("'\"") or os.environ.get(f"{scheme}_proxy", "")
        if value and value.upper() != "DIRECT":
            found[scheme] = value
    return found


def for_guest(proxy: str) -> str:
    """The proxy as a guest must write it: the host's loopback has another address there."""
    parts = urlsplit(proxy)
    if parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        return proxy
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(parts._replace(netloc=f"{GATEWAY}{port}"))
