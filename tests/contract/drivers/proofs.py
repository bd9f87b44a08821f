"""What the contract tests show: which platform did what it declares, and on what. The capability matrix is made of it.

Every driver's methods are watched. What one of them did in a test that passed is proved: ``real`` on libvirtd with
QEMU, ``simulator`` on libvirt's test driver, fakepve and govmomi's simulator. What a driver does for itself while it
does something else does not count.
"""

from __future__ import annotations

import functools
import inspect
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from muster.drivers.driver import Capability, Driver, Image, Template
from muster.drivers.registry import driver_of
from muster.model.fleet_fields import PLATFORMS

from tools.capabilities import PROOFS, Proofs, read

FOUND = Path(__file__).parents[3] / "build" / "proofs.json"
Given = dict[str, Any]

# Method → what its success shows, of its arguments and its answer.
SHOWN: dict[str, Callable[[Given, Any], Capability | None]] = {
    "power": lambda given, answer: Capability.POWER,
    "apply": lambda given, answer: Capability.CHANGE,
    "take_snapshot": lambda given, answer: Capability.SNAPSHOT,
    "revert_snapshot": lambda given, answer: Capability.REVERT,
    "clone": lambda given, answer: Capability.CLONE,
    "backup": lambda given, answer: Capability.INCREMENTAL if answer.kind == "incremental" else Capability.BACKUP,
    "restore": lambda given, answer: Capability.ISOLATE if given["isolated"] else Capability.RESTORE,
    "archive": lambda given, answer: Capability.ARCHIVE,
    "restore_archive": lambda given, answer: Capability.ISOLATE if given["isolated"] else Capability.RESTORE,
    "create": lambda given, answer: {Image: Capability.IMAGE, Template: Capability.TEMPLATE}.get(type(given["image"])),
    "wait_ready": lambda given, answer: Capability.CONSOLE,
    "execute": lambda given, answer: Capability.GUEST_EXEC,
    "adopt": lambda given, answer: Capability.ADOPT,
    "survey": lambda given, answer: Capability.SURVEY,
}
Did = set[tuple[str, str, str]]  # platform, capability, on what


class Watch:
    """A plugin of pytest for one run."""

    def __init__(self) -> None:
        self.proved: Did = set()
        self._now: Did = set()  # of the test that runs
        self._inside = threading.local()

    def watch(self, kind: type[Driver], name: str) -> None:
        """From now on note what the method `name` of a driver's class did."""
        method, shows = getattr(kind, name), SHOWN[name]
        signature = inspect.signature(method)

        @functools.wraps(method)
        def watched(driver: Driver, *arguments: Any, **named: Any) -> Any:
            if getattr(self._inside, "a_call", False):
                return method(driver, *arguments, **named)
            self._inside.a_call = True
            try:
                answer = method(driver, *arguments, **named)
            finally:
                self._inside.a_call = False
            given = signature.bind(driver, *arguments, **named)
            given.apply_defaults()
            shown = shows(given.arguments, answer)
            if shown is not None:
                self._now.add((driver.platform, shown.value, _on_what(driver)))
            return answer

        setattr(kind, name, watched)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Iterator[None]:
        self._now = set()
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self.proved |= self._now

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A whole run in which all passed is held against the page."""
        FOUND.parent.mkdir(exist_ok=True)
        FOUND.write_text(json.dumps(self.found(), indent=2) + "\n", encoding="utf-8")
        options = session.config.option
        whole = session.config.args == ["tests/contract"] and not (options.keyword or options.markexpr or options.lf)
        if whole and not session.testsfailed and session.testscollected and self.found() != read(PROOFS):
            session.config.get_terminal_writer().line(
                f"\n{PROOFS.name} says otherwise than these tests showed; run: python -m tools.capabilities {FOUND}")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def found(self) -> Proofs:
        """Platform → capability → on what it was shown."""
        proofs: Proofs = {}
        for platform, capability, on_what in sorted(self.proved):
            proofs.setdefault(platform, {}).setdefault(capability, []).append(on_what)
        return proofs


def _on_what(driver: Driver) -> str:
    real = driver.platform == "libvirt" and not driver.access.options["uri"].startswith("test:")
    return "real" if real else "simulator"


def watching() -> Watch:
    """A watch over every driver."""
    watch = Watch()
    for platform in PLATFORMS:
        kind = driver_of(platform)
        for name in SHOWN if kind else ():
            watch.watch(kind, name)
    return watch
