"""The sites of one run: a connection to each that is asked for, and one listing of its VMs that serves all reads."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from muster.model.errors import ModelError
from muster.model.vm import VM

from . import words
from .log import log
from .settings import Settings

if TYPE_CHECKING:
    from muster.drivers.driver import Driver, Snapshot

_CHANGING = ("create", "apply", "power", "wait_ready")  # what answers with the VM as it is then


class SiteSession:
    """One site. The first question opens the connection and lists its VMs once; `listings` counts these listings.

    Nothing but a question to the site waits for a question to the site: what was given up leaves one behind.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        self.access = settings.fleet.sites[name]
        self.name = name
        self.listings = 0
        self._opening, self._asking = threading.Lock(), threading.Lock()  # held for one conversation each
        self._driver: Driver | None = None
        self._lock = threading.Lock()  # held for a moment, over all that follows
        self._vms: dict[str, VM] | None = None
        self._snapshots: Mapping[str, Sequence[Snapshot]] | None = None  # empty where each VM must be asked
        self._deleted = False
        self._tickets, self._newest = itertools.count(1), 0
        self._alone: dict[str, threading.Lock] = {}

    @property
    def driver(self) -> Driver:
        """The connection. Raises the contract's errors."""
        with self._opening:
            if self._driver is None:
                from muster.drivers.registry import open_site

                self._driver = open_site(self.access)
            return self._driver

    def vms(self) -> list[VM]:
        """The VMs of the site: asked once, then remembered. Raises the contract's errors."""
        found = self._listed()
        with self._lock:
            return list(found.values())

    def about(self, name: str) -> list[VM]:
        """Of these, the VMs that bear the name `name`, or a mark with it: all that matter to an operation on it."""
        return [vm for vm in self.vms() if vm.name == name or (vm.mark is not None and vm.mark.vm == name)]

    def find(self, uuid: str) -> VM | None:
        """The VM of this identity; None where the site answered, and it is proven not to be there. Raises ModelError
        where the answer proves nothing, and the contract's errors."""
        found = self._listed().get(uuid)
        if found is None:
            self.prove()
        return found

    def now(self, uuid: str) -> VM | None:
        """The VM of this identity as it is now, read alone; None where it is proven not to be there. Raises as `find`.
        """
        from muster.drivers.driver import NotFound

        there = self.find(uuid)
        if there is None:
            return None
        try:
            there = self.driver.again(there)
        except NotFound:
            self.forget()  # it was there a moment ago: let the whole site say so
            return self.find(uuid)
        self.note(there)
        return there

    def prove(self) -> None:
        """Raise ModelError where the site answers with no VM at all: then none of them is proven to be gone."""
        if not self._listed() and not self._deleted:
            raise ModelError(words.NO_VM_AT_ALL.format(self.name))

    def drop(self, uuid: str) -> None:
        """Remember that this run deleted a VM, so that a site without any is what it should be."""
        with self._lock:
            self._deleted = True
            if self._vms is not None:
                self._vms.pop(uuid, None)

    def _listed(self) -> dict[str, VM]:
        found = self._vms
        if found is not None:
            return found
        with self._asking:
            found = self._vms  # somebody else may have asked meanwhile
            return self._list() if found is None else found

    def _list(self) -> dict[str, VM]:
        driver = self.driver
        with self._lock:
            ticket = next(self._tickets)
        listed = driver.list()
        found = {str(vm.uuid): vm for vm in listed}
        with self._lock:
            self.listings += 1
            log(f"site {self.name}: listed {len(listed)} VMs, listing {self.listings} of this run")
            if ticket > self._newest:
                self._vms, self._newest = found, ticket
        return found

    def note(self, vm: VM) -> None:
        """Remember how a VM was found to be now."""
        with self._lock:
            if self._vms is not None:
                self._vms[str(vm.uuid)] = vm

    def listed_now(self) -> list[VM]:
        """The VMs of the site, asked anew. Several threads may ask at once; the newest answer is remembered."""
        return list(self._list().values())

    def snapshots(self, vm: VM) -> Sequence[Snapshot]:
        """The snapshots of a VM, for a refresh: where the site tells those of all its VMs at once, it is asked once."""
        listed = self.vms()
        with self._asking:
            if self._snapshots is None:
                self._snapshots = self.driver.snapshots_of_all(listed) or {}
            found = self._snapshots.get(str(vm.uuid))
        return self.driver.snapshots(vm) if found is None else found

    def forget(self) -> None:
        """Something may have changed here: the next question lists again. What is being listed now is not remembered.
        """
        with self._lock:
            self._vms = self._snapshots = None
            self._newest = next(self._tickets)

    def remembered(self, name: str) -> Driver:
        """The connection, for an operation on the VM `name` that only looks, or makes what is not there: first it is
        told what was listed last. What it asks after that, once it has changed something, is asked of the site."""
        return cast("Driver", _Remembered(self, name))

    def alone(self, vm: str) -> threading.Lock:
        """Held while an operation works on the VM of this name that the platform does not do twice at once."""
        with self._lock:
            return self._alone.setdefault(vm, threading.Lock())

    def close(self) -> None:
        with self._opening:
            if self._driver is not None:
                self._driver.close()
            self._driver = None


class _Remembered:
    """A driver that is not asked again for what it has just said; afterwards it is asked for the VM that it changed."""

    def __init__(self, session: SiteSession, name: str) -> None:
        self._session, self._vm = session, name
        self._asked = False
        self._changed: VM | None = None

    def list(self) -> list[VM]:
        if not self._asked:
            self._asked = True
            return self._session.about(self._vm)
        if self._changed is None:
            return self._session.listed_now()
        now = self._session.driver.again(self._changed)
        self._session.note(now)
        return [now, *(vm for vm in self._session.about(self._vm) if vm.uuid != now.uuid)]

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._session.driver, name)
        if name not in _CHANGING:
            return found

        def changing(*words: Any, **more: Any) -> VM:
            self._changed = found(*words, **more)
            return self._changed

        return changing


class Sites:
    """All sites of one configured run."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self.made: set[str] = set()  # UUIDs that this run made or adopted
        self.in_state: set[str] = set()  # UUIDs of the VMs that the state has
        self._planned: dict[str, set[str]] = {}  # of a VM, by its UUID: "kept", "deleted"
        self._resources: set[tuple[str, str]] = set()  # site and name of each VM that a resource of this plan is
        self._all = {name: SiteSession(settings, name) for name in settings.fleet.sites}

    def __getitem__(self, name: str) -> SiteSession:
        return self._all[name]

    def both(self, uuid: str, planned: str) -> bool:
        """Whether this plan keeps the VM and deletes it, now that one of its resources is `planned` so."""
        with self._lock:
            found = self._planned.setdefault(uuid, set())
            found.add(planned)
            return len(found) > 1

    def twice(self, site: str, name: str) -> bool:
        """Whether another resource of this plan is this VM too, now that one is."""
        with self._lock:
            known = (site, name) in self._resources
            self._resources.add((site, name))
            return known

    def __iter__(self) -> Iterator[SiteSession]:
        return iter(self._all.values())

    def close(self) -> None:
        for site in self:
            site.close()
