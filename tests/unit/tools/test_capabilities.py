"""The capability matrix in docs/ is what the drivers declare."""

from __future__ import annotations

import pytest
from muster.drivers.driver import Capability, Driver
from muster.drivers.registry import driver_of
from muster.model.fleet_fields import PLATFORMS

from tools import capabilities


def test_the_page_is_current() -> None:
    text = capabilities.PAGE.read_text(encoding="utf-8")
    assert capabilities.page(text) == text, "run: python -m tools.capabilities"


METHODS = {
    Capability.POWER: "power",
    Capability.CHANGE: "apply",
    Capability.SNAPSHOT: "take_snapshot",
    Capability.REVERT: "revert_snapshot",
    Capability.CLONE: "clone",
    Capability.BACKUP: "backup",
    Capability.INCREMENTAL: "backup",
    Capability.RESTORE: "restore",
    Capability.ISOLATE: "restore",
    Capability.ARCHIVE: "archive",
    Capability.IMAGE: "create",
    Capability.TEMPLATE: "create",
    Capability.CONSOLE: "wait_ready",
    Capability.GUEST_EXEC: "execute",
    Capability.ADOPT: "adopt",
    Capability.SURVEY: "survey",
}


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("capability", Capability)
def test_what_is_declared_is_there(platform: str, capability: Capability) -> None:
    """A driver that declares a capability has a method of its own for it."""
    kind = driver_of(platform)
    assert kind is not None
    own = getattr(kind, METHODS[capability]) is not getattr(Driver, METHODS[capability])
    assert own or capability not in kind.capabilities
