"""Health checks, against real servers on the loopback address."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import GUEST, Loopback, answering, closed_port, serving
from muster.drivers.driver import Executed, Unsupported
from muster.model.vm import VM
from muster.operations import health
from muster.operations.health import Check


def asked(kind: str, patience: float = 0, **options: Any) -> Check:
    (answer,) = health.ask(Loopback(), GUEST, [{kind: options}], patience=patience)
    return answer


@pytest.mark.parametrize(
    ("server", "options", "outcome", "detail"),
    [
        (answering("200 OK", b"open"), {}, "passed", "answered 200"),
        (answering("200 OK", b"the shop is open"), {"contains": "open"}, "passed", "answered 200 with 'open'"),
        (answering("404 Not Found", b""), {}, "failed", "answered 404, expected 200"),
        (answering("404 Not Found", b""), {"status": 404}, "passed", "answered 404"),
        (answering("302 Found", b"", "Location: http://127.0.0.1:1/\r\n"), {}, "failed", "answered 302, expected 200"),
        (
            answering("200 OK", b"closed\x1b[31m\r\nred"),
            {"contains": "open"},
            "failed",
            "answered 200, but without 'open': 'closed [31m red'",
        ),
        (lambda connection: connection.sendall(b"SSH-2.0-OpenSSH\r\n"), {}, "failed", "no answer: "),
        (lambda connection: connection.close(), {}, "failed", "no answer: "),
        (
            lambda connection: (
                connection.recv(65536),
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx"),
            ),
            {},
            "failed",
            "no answer: IncompleteRead",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_http(server: Callable[[socket.socket], None], options: dict[str, Any], outcome: str, detail: str) -> None:
    with serving(server) as port:
        answer = asked("http", port=port, path="/x", **options)
    assert (answer.outcome, answer.name) == (outcome, f"http :{port}/x")
    assert answer.detail.startswith(detail)
    assert answer.detail.isprintable()


@pytest.mark.parametrize("size", [b"-1", b"-5", b"ffffffffffffffff", b"9" * 5000, b"x", b""])
def test_an_endless_answer_is_cut(size: bytes) -> None:
    """A hostile guest sends as long as we read; what Python's reader makes of the size of a chunk is its own affair."""
    sent = 0

    def endless(connection: socket.socket) -> None:
        nonlocal sent
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\n")
        while sent < 256 << 20:
            connection.sendall(b"x" * 65536)
            sent += 65536

    with serving(endless) as port:
        answer = asked("http", port=port, contains="open")
    assert answer.outcome == "failed"
    assert answer.detail.isprintable()
    assert sent < 64 << 20


def test_http_sends_the_path_and_the_name() -> None:
    heard: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        heard.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with serving(talk) as port:
        assert asked("http", port=port, path="/a?b=c").outcome == "passed"
    assert heard[0].startswith(b"GET /a?b=c HTTP/1.1\r\n")
    assert b"\r\nHost: web\r\n" in heard[0]


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n"])
def test_an_endless_body_is_bounded(head: bytes) -> None:
    sent = 0

    def talk(connection: socket.socket) -> None:
        nonlocal sent
        connection.recv(65536)
        connection.sendall(head)
        while sent < 1 << 30:
            sent += connection.send(b"x" * 65536)

    with serving(talk) as port:
        answer = asked("http", port=port, path="/", contains="never")
    assert answer.outcome == "failed"
    assert len(answer.detail) < 300
    assert sent < 64 << 20


@pytest.mark.parametrize("length", [b"Content-Length: 999999999\r\n", b""])
def test_a_dripping_answer_is_bounded(monkeypatch: pytest.MonkeyPatch, length: bytes) -> None:
    """Each byte comes in time, and the answer never ends."""
    monkeypatch.setattr(health, "_TOTAL", 0.5)

    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n")
        while True:
            connection.sendall(b"x")
            time.sleep(0.01)  # the slowness is the subject

    start = time.monotonic()
    with serving(talk) as port:
        assert asked("http", port=port, path="/", contains="never").outcome == "failed"
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    ("talk", "outcome"),
    [
        pytest.param(lambda connection: connection.sendall(b"220 hello"), "passed", id="speaks first"),
        pytest.param(lambda connection: connection.recv(1), "passed", id="waits for us"),
        pytest.param(lambda connection: None, "failed", id="hangs up at once"),
    ],
)
def test_tcp(talk: Callable[[socket.socket], None], outcome: str) -> None:
    with serving(talk) as port:
        assert asked("tcp", port=port).outcome == outcome


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_nobody_listens(kind: str) -> None:
    answer = asked(kind, port=closed_port())
    assert answer.outcome == "failed"
    assert "refused" in answer.detail


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_nothing_leads_there(kind: str) -> None:
    answer = asked(kind, port=1)
    assert answer.outcome == "failed"
    assert "nothing leads to its port 1" in answer.detail


@pytest.mark.parametrize(
    ("script", "contains", "outcome", "detail"),
    [
        ("print('3 orders')", "3", "passed", "its output has '3'"),
        ("print('none')", "3", "failed", "its output lacks '3': 'none'"),
        ("pass", None, "passed", "exit code 0"),
        ("import sys; print('no'); sys.exit(7)", None, "failed", "exit code 7: no"),
        ("print('$(reboot) \\x1b[2J')", "x", "failed", "its output lacks 'x': '$(reboot)  [2J'"),
    ],
)
def test_command(script: str, contains: str | None, outcome: str, detail: str) -> None:
    answer = asked("command", run=[sys.executable, "-c", script], **({"contains": contains} if contains else {}))
    assert (answer.outcome, answer.detail) == (outcome, detail)


def test_a_service_that_comes_up_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_POLL", 0.01)
    answers = iter([b"503 Starting", b"503 Starting", b"200 OK"])

    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 " + next(answers) + b"\r\nContent-Length: 0\r\n\r\n")

    with serving(talk) as port:
        assert asked("http", patience=30, port=port).outcome == "passed"


def test_optional_kinds_that_are_none_are_passed_over() -> None:
    """So does Ansible fill what was not given."""
    (answer,) = health.ask(Loopback(), GUEST, [{"http": None, "tcp": {"port": closed_port()}}], patience=0)
    assert answer.name.startswith("tcp")


class Unaskable(Loopback):
    """Nothing leads to it, and no program is run in it: the platform cannot."""

    def endpoint(self, vm: VM, port: int) -> tuple[str, int]:
        raise Unsupported("it has no NIC", site="x", vm=vm.name)

    def execute(self, vm: VM, argv: Sequence[str], timeout: float = 60) -> Executed:
        raise Unsupported("no program is run in it", site="x", vm=vm.name)


@pytest.mark.parametrize("item", [{"http": {"port": 1}}, {"tcp": {"port": 1}}, {"command": {"run": ["true"]}}])
def test_what_cannot_be_asked_is_not_tested(item: dict[str, Any]) -> None:
    """Neither a pass nor a fault of the service; and it is not asked again and again."""
    (answer,) = health.ask(Unaskable(), GUEST, [item], patience=3600)
    assert answer.outcome == "not_tested"
    assert answer.detail


@given(st.lists(st.sampled_from(["passed", "failed", "not_tested"])))
def test_verdict(outcomes: list[str]) -> None:
    verdict = health.verdict([Check("x", outcome) for outcome in outcomes])
    assert (verdict == "healthy") == (bool(outcomes) and set(outcomes) == {"passed"})
    assert (verdict == "unhealthy") == ("failed" in outcomes)


@given(st.text(), st.integers(1, 300))
def test_clean(text: str, limit: int) -> None:
    cleaned = health.clean(text, limit)
    assert len(cleaned) <= limit
    assert cleaned.isascii()
    assert cleaned.isprintable()
