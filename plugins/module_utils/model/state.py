"""Where Terraform keeps its state: the part ``state`` of the fleet file, and the backend block that comes of it.

One state for each site, so that a site that is down stops no other. Its place is made of fleet and site, locking cannot
be switched off, and no credentials stand here: the block ends up in files that many can read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .catalogue import beside
from .errors import ModelError, Path
from .fleet_fields import STATE_FIELDS
from .normal import layer, without_unset
from .patterns import MEANING, URL

_SECRET = re.compile(r"secret|access_key|password|token|conn_str|^credentials$|private_key|encryption_key")
_FLAT = ("http", "pg", "kubernetes")  # their places hold no slash


@dataclass(frozen=True)
class Backend:
    """One of Terraform's backends: the setting that says where the state lies, those that must be given, and those
    that are always the same, its locking among them."""

    place: str
    needed: tuple[str, ...] = ()
    always: Mapping[str, Any] = field(default_factory=dict)
    ours: tuple[str, ...] = ()
    end: str = ""  # of every place


BACKENDS: dict[str, Backend] = {
    "local": Backend("path"),
    "s3": Backend("key", ("bucket",), {"use_lockfile": True, "encrypt": True}, end=".tfstate"),
    "azurerm": Backend("key", ("storage_account_name", "container_name"), end=".tfstate"),
    "gcs": Backend("prefix", ("bucket",)),
    "http": Backend("address", ("address",), {}, ("lock_address", "unlock_address")),
    "consul": Backend("path", (), {"lock": True}),
    "pg": Backend("schema_name"),
    "kubernetes": Backend("secret_suffix", end=".state"),  # which must not end with a number
}


@dataclass(frozen=True)
class State:
    """How the states of a fleet are kept. `folder` is absolute for ``local`` where the fleet file's path is."""

    backend: str = "local"
    folder: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)

    def block(self, fleet: str, site: str) -> dict[str, Any]:
        """The settings of the backend for the state of one site."""
        kind = BACKENDS[self.backend]
        if self.backend == "local":
            return {"path": f"{self.folder or '.'}/terraform.{site}.tfstate"}
        # A name holds no dot, so that no other fleet and site come to the same place.
        place = f"{self.folder or fleet}/{site}"
        if self.backend in _FLAT:
            place = place.replace("/", ".")
        if self.backend == "http":
            address = f"{self.settings['address'].rstrip('/')}/{place}"
            lock = {"lock_address": f"{address}/lock", "unlock_address": f"{address}/lock"}
            return {**self.settings, "address": address, **lock}
        return {**self.settings, **kind.always, kind.place: place + kind.end}


def read_state(value: object, path: Path, problems: list[ModelError], folder: str) -> State:
    """What the fleet file says of the state; relative paths begin at `folder`. What is wrong goes into `problems`."""
    if value is None:
        return State(folder=folder)
    before = len(problems)
    spec = without_unset(layer(value, STATE_FIELDS, path, problems))
    if len(problems) > before:
        return State()
    backend, settings = spec.get("backend", "local"), spec.get("settings", {})
    kind = BACKENDS[backend]
    for name in settings:
        problem = _wrong(name, backend, kind)
        if problem:
            problems.append(ModelError(problem, (*path, "settings", name)))
    for name in kind.needed:
        if name not in settings:
            problems.append(ModelError(f"'{name}' is missing; the backend '{backend}' needs it in 'settings'", path))
    if backend == "http" and not re.fullmatch(URL, settings.get("address", "https://")):
        problems.append(ModelError(f"this is no address; {MEANING[URL]}", (*path, "settings", "address")))
    where = spec.get("folder", "")
    return State(backend, beside(where or ".", folder) if backend == "local" else where.strip("/"), settings)


def _wrong(name: str, backend: str, kind: Backend) -> str:
    """Why the setting `name` does not belong into the fleet file; empty where it does."""
    if backend == "local":
        return "the backend 'local' has no settings; write 'folder', or name another backend"
    if name in (*kind.always, *kind.ours):
        return "Muster sets this itself, so that no state is written without a lock; take it out"
    if name == kind.place and name not in kind.needed:
        return "the place of a state is made of the fleet and the site; take it out, or write 'folder'"
    if _SECRET.search(name):
        return ("credentials do not belong into the fleet file, they would end up in files that many can read; take it "
                "out, Terraform reads them from the environment")
    return ""
