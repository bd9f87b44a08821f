"""The guest agent is the guest's: whatever it answers is an answer of the contract, or a sentence."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.drivers.driver import Executed, Failed, Unreachable
from muster.drivers.libvirt import guest

STARTED = json.dumps({"return": {"pid": 7}})


class Domain:
    def name(self) -> str:
        return "web"


def executed(replies: list[str], monkeypatch: pytest.MonkeyPatch) -> Executed:
    """What a program in the guest did, where the agent gives `replies`, the last one again and again."""

    class Qemu:
        @staticmethod
        def qemuAgentCommand(*_arguments: object) -> str:  # noqa: N802 - libvirt's name
            return replies.pop(0) if len(replies) > 1 else replies[0]

    monkeypatch.setattr(guest, "libvirt_qemu", Qemu)
    return guest.Agent(Domain(), "lab").execute(["/bin/true"], timeout=0)


def ended(**status: Any) -> str:
    return json.dumps({"return": {"exited": True, "exitcode": 0, **status}})


def test_a_program_that_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    reply = ended(**{"out-data": base64.b64encode(b"out\x1b").decode(), "err-data": base64.b64encode(b"err").decode()})
    assert executed([STARTED, reply], monkeypatch) == Executed(0, "out\x1berr")


@pytest.mark.parametrize(
    "replies",
    [
        ["no JSON"],
        [""],
        ["[" * 100_000],
        ["[1]"],
        ['{"error": {}}'],
        ['{"return": 5}'],
        ['{"return": "text"}'],
        ['{"return": [7]}'],
        ['{"return": {}}'],
        ['{"return": {"pid": "7"}}'],
        ['{"return": {"pid": {"a": 1}}}'],
        ['{"return": {"pid": ' + "9" * 5000 + "}}"],
        [STARTED, '{"return": 5}'],
        [STARTED, '{"return": null}'],
        [STARTED, '{"return": {}}'],
        [STARTED, '{"return": {"exited": false}}'],
        [STARTED, ended(**{"out-data": "x"})],
        [STARTED, ended(**{"out-data": {"a": 1}})],
        [STARTED, ended(**{"err-data": "\u202e"})],
        ['{"return": {"pid": 7, "more": "' + "x" * (17 << 20) + '"}}'],
    ],
    ids=lambda replies: replies[-1][:40],
)
def test_hostile_answers(replies: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises((Failed, Unreachable), match=r"VM 'web' at site 'lab': "):
        executed(replies, monkeypatch)


@pytest.mark.parametrize("code", [None, "0", 1.5, [0]])
def test_an_exit_code_that_is_none_is_a_failure(code: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert executed([STARTED, ended(exitcode=code)], monkeypatch).code == 255


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["return", "pid", "exited", "exitcode", "out-data", "err-data"]), inner, max_size=4
        )
    ),
)


@given(JSON, JSON)
def test_no_answer_is_a_defect_of_ours(first: Any, second: Any) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch, contextlib.suppress(Failed, Unreachable):
        executed([json.dumps({"return": first}), json.dumps({"return": second})], monkeypatch)
