"""What a second try may take for its own, and what it may throw away: a mark that somebody forged decides neither."""

from __future__ import annotations

from dataclasses import replace

import pytest
from muster.drivers.driver import Conflict
from muster.drivers.ownership import adopted, identity
from muster.model.vm import VM, Mark

MARK = Mark("acme", "web", "op-2")
DESIRED = VM("web", "lab")
UUID = identity(MARK, "lab")
THERE = VM("web", "lab", {}, UUID, Mark("acme", "web", "op-1"), {"built": True, "power": "on"})


def test_the_vm_itself_is_taken_whole() -> None:
    assert adopted(DESIRED, UUID, MARK, THERE) is THERE


def test_what_is_half_made_may_be_thrown_away() -> None:
    assert adopted(DESIRED, UUID, MARK, replace(THERE, state={"built": False, "power": "off"})) is None


@pytest.mark.parametrize(
    ("there", "says"),
    [
        (replace(THERE, uuid="another"), "another VM of this name exists .UUID another. and is not this fleet's"),
        (replace(THERE, mark=None), "exists without an ownership mark of this VM"),
        (replace(THERE, mark=Mark("acme", "db")), "exists without an ownership mark of this VM"),
        (replace(THERE, mark=Mark("evil", "web")), "exists without an ownership mark of this VM"),
        (replace(THERE, mark=Mark("acme/drill", "web")), "exists without an ownership mark of this VM"),
        (replace(THERE, state={"built": False, "power": "on"}), "half made, and yet it runs; it was left as it is"),
        (replace(THERE, state={"built": False, "power": "paused"}), "half made, and yet it runs; it was left as it is"),
        (replace(THERE, state={"built": False, "power": "crashed"}), "half made, and yet it runs"),
    ],
)
def test_what_is_not_surely_ours_is_left_alone(there: VM, says: str) -> None:
    with pytest.raises(Conflict, match=says) as caught:
        adopted(DESIRED, UUID, MARK, there)
    assert caught.value.todo
