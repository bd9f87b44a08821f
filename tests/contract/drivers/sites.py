"""A site as the contract tests use it, whatever its platform, and the tiny VMs that live there.

A platform's own file (`libvirt_site.py`, `proxmox_site.py`) says how the world is looked at and changed past Muster,
what the platform refuses, and what a change costs there. A new platform is such a file and an entry in `conftest.py`.
"""

from __future__ import annotations

import hashlib
import uuid
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import pytest
from muster.drivers.driver import Driver, Image
from muster.model.fleet import Site
from muster.model.normal import normalise
from muster.model.planner import Change, plan
from muster.model.vm import VM, Mark

TINY: dict[str, Any] = {"cpus": 1, "memory": "32 MiB", "disks": [{"size": "1 MiB"}]}
NETWORK = "the-network"  # stands for the site's own; `World.wanted` puts that in its place


class World(ABC):
    """One site. `names` begin all that one test makes."""

    network: str  # a network that every VM of the site may name
    refused: frozenset[str]  # fields that the platform cannot honour; all others it must
    costs: ClassVar[dict[str, str]] = {}  # change of test_changes.py → how it is done to a running VM, where not so
    cannot: ClassVar[dict[str, str]] = {}  # change → the words in which this site says that it is Unsupported
    pool: str
    real = False  # whether guests run and disks hold bytes
    live = True  # whether a running VM can be changed

    def __init__(self, driver: Driver, access: Site) -> None:
        self.driver, self.access = driver, access
        self.names = f"c{uuid.uuid4().hex[:6]}"

    @property
    def fleet(self) -> str:
        return self.names

    @abstractmethod
    def foreign(self, name: str = "foreign", mark: str = "", uuid_: str = "") -> VM:
        """A VM that somebody else made. `mark` is text in the place of the mark."""

    @abstractmethod
    def foreign_snapshot(self, vm: VM, name: str, description: str) -> None:
        """A snapshot that somebody else took."""

    @abstractmethod
    def remove(self, vm: VM) -> None:
        """Somebody else deletes a VM; its disks may stay."""

    @abstractmethod
    def volumes(self) -> list[str]:
        """The names of all that lies in the site's pool."""

    @abstractmethod
    def picture(self) -> dict[str, Any]:
        """All of the world that a call could change: each VM's configuration, power and snapshots, each volume."""

    @abstractmethod
    def obedient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """From now on every guest shuts down when it is asked to."""

    @abstractmethod
    def pause(self, vm: VM) -> None:
        """Somebody else pauses, or suspends, a VM that runs."""

    @abstractmethod
    def clean(self) -> None:
        """Remove all that the test made, by force."""

    def wanted(self, name: str = "a", **spec: Any) -> VM:
        """A VM in normal form, tiny where `spec` does not say otherwise."""
        name = f"{self.names}-{name}"
        spec = {**TINY, **spec}
        if "nics" in spec:
            own = {"network": self.network}
            spec["nics"] = [{**nic, **(own if nic["network"] == NETWORK else {})} for nic in spec["nics"]]
        return VM(name, self.access.name, normalise(spec), mark=Mark(self.fleet, name))

    def made(self, name: str = "a", image: Image | None = None, on: bool = False, **spec: Any) -> VM:
        """The same, made."""
        desired = self.wanted(name, **spec)
        vm = self.driver.create(desired, self.mark(desired), image)
        return self.driver.power(vm, "on") if on else vm

    def mark(self, desired: VM, operation: str = "op-1") -> Mark:
        assert desired.mark is not None
        return Mark(desired.mark.fleet, desired.mark.vm, operation)

    def changes(self, desired: VM) -> list[Change]:
        """What would have to change, planned anew against the world."""
        return plan(desired, self.driver.get(desired.name), self.driver.refine)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
