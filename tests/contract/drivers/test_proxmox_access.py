"""Proxmox: who may in, and whether it is Proxmox at all. No secret in what is said."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import itertools
import ssl
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from fakepve.certs import make_cert
from muster.drivers.driver import Denied, DriverError, Failed, Unreachable
from muster.drivers.proxmox import connection
from muster.drivers.registry import open_site
from muster.model.fleet import Site
from proxmox_fake import TOKEN
from proxmox_site import ProxmoxWorld, on_proxmox

SECRET = TOKEN[1]


def opened(world: ProxmoxWorld, **options: Any) -> None:
    """Open the site with other options, and ask it for its VMs."""
    kept = {key: value for key, value in {**world.access.options, **options}.items() if value is not None}
    driver = open_site(Site("pve", "proxmox", kept))
    try:
        driver.list()
    finally:
        driver.close()


def refused(world: ProxmoxWorld, kind: type[DriverError], words: str, **options: Any) -> None:
    with pytest.raises(kind, match=words) as caught:
        opened(world, **options)
    assert SECRET not in str(caught.value)
    assert caught.value.todo
    assert "\n" not in str(caught.value)


@on_proxmox
def test_a_certificate_that_nobody_vouches_for(world: ProxmoxWorld) -> None:
    refused(world, Unreachable, r"certificate verify failed.*sites\.pve\.tls\.ca", tls=None)


@on_proxmox
def test_a_pinned_certificate(world: ProxmoxWorld, pve_pki: tuple[str, str]) -> None:
    der = ssl.PEM_cert_to_DER_cert(Path(pve_pki[0]).read_text(encoding="ascii"))
    digest = hashlib.sha256(der).hexdigest().upper()
    pin = ":".join(digest[n : n + 2] for n in range(0, 64, 2))
    opened(world, tls={"fingerprint": pin})
    refused(world, Unreachable, "ingerprint", tls={"fingerprint": "00" + pin[2:]})
    refused(world, Unreachable, "ingerprint", tls={"fingerprint": "00" + pin[2:], "ca": pve_pki[0]})


@on_proxmox
def test_verification_is_turned_off_by_that_word_alone(world: ProxmoxWorld) -> None:
    opened(world, tls={"verify": False})
    refused(world, Unreachable, "certificate verify failed", tls={"verify": True})


@on_proxmox
def test_authorities_that_are_not_there(world: ProxmoxWorld, tmp_path: Path) -> None:
    missing = str(tmp_path / "no-such-ca.pem")
    refused(world, Unreachable, rf"{missing} cannot be read: No such.*Mend sites\.pve\.tls\.ca", tls={"ca": missing})
    (tmp_path / "empty.pem").write_text("nothing", encoding="ascii")
    refused(world, Unreachable, "empty.pem cannot be read", tls={"ca": str(tmp_path / "empty.pem")})


@on_proxmox
def test_a_certificate_of_another_name(world: ProxmoxWorld) -> None:
    """A good authority vouches for it: another one is no help."""
    uri = world.fake.url.replace("127.0.0.1", "127.1").replace("localhost", "127.1")
    refused(world, Unreachable, r"mismatch.*not valid for '127\.1'.*Write a name.*into sites\.pve\.uri", uri=uri)


@on_proxmox
@pytest.mark.parametrize(("text", "words"), [
    (None, "there is no API token for it.*MUSTER_CREDENTIALS_PVE"),
    ("", "there is no API token for it"),
    ("root@pam", "holds no API token.*user@realm!name=secret"),
    ("root@pam!x=" + SECRET + "\nmore", "holds no API token"),
    (f"muster@pve!tests={SECRET[:-1]}0", "authentication failure"),
])
def test_tokens(world: ProxmoxWorld, tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "token"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    refused(world, Denied, words, credentials=str(path) if text is not None else None)


@on_proxmox
def test_a_token_that_cannot_be_read(world: ProxmoxWorld, tmp_path: Path) -> None:
    refused(world, Denied, "with its credentials cannot be read: No such file", credentials=str(tmp_path / "none"))


@on_proxmox
def test_the_environment_goes_before_the_file(world: ProxmoxWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_CREDENTIALS_PVE", "=".join(TOKEN))
    opened(world, credentials="/nonexistent")
    monkeypatch.setenv("MUSTER_CREDENTIALS_PVE", "nonsense")
    refused(world, Denied, "the environment variable MUSTER_CREDENTIALS_PVE holds no API token")


@on_proxmox
def test_a_right_that_is_missing_is_named(world: ProxmoxWorld) -> None:
    vm = world.made()
    world.fake.grant(TOKEN[0], "/vms", "VM.Audit", "VM.Config.Options")
    with pytest.raises(Denied, match=r"Permission check failed .*/vms/100, VM\.PowerMgmt"):
        world.driver.power(vm, "on")
    with pytest.raises(Denied, match=r"Permission check failed.*VM\.Allocate|Permission check failed"):
        world.driver.delete(vm)


@on_proxmox
@pytest.mark.parametrize("path", ["/vms/100", "/pool/shop", "/storage/local"])
def test_a_token_that_is_shown_some_vms_is_told_of_none(world: ProxmoxWorld, path: str) -> None:
    """What it is not shown is not absent: no list, nothing made, nothing deleted."""
    world.made()
    vm = world.made("b")
    world.fake.pools["shop"] = {100}
    world.fake.grant(TOKEN[0], path, "VM.Audit", "VM.Allocate", "VM.Config.Options", "Datastore.AllocateSpace")
    before = world.picture()
    words = r"may not see all VMs \(VM\.Audit on /vms\).*nothing was changed\. Give it that: pveum acl modify"
    new = world.wanted("c")
    with contextlib.closing(open_site(world.access)) as driver:
        calls: list[Callable[[], object]] = [
            driver.list, lambda: driver.again(vm), lambda: driver.delete(vm),
            lambda: driver.create(new, world.mark(new), None)]
        for call in calls:
            with pytest.raises(Denied, match=words):
                call()
    assert world.picture() == before


@pytest.mark.parametrize("held", [[], {}, {"/vms": {"VM.Audit": 0}}, {"/": {"VM.Audit": 0}, "/vms": {"Pool.Audit": 1}}])
@on_proxmox
def test_a_right_that_no_vm_inherits_is_none(world: ProxmoxWorld, held: Any) -> None:
    """fakepve's rights are inherited, all of them: these are answers as Proxmox writes them."""
    world.fake.permissions = held
    with contextlib.closing(open_site(world.access)) as driver, pytest.raises(Denied, match="may not see all VMs"):
        driver.list()


@on_proxmox
def test_a_session_is_reused(world: ProxmoxWorld) -> None:
    driver: Any = world.driver
    pools = driver.api.session.get_adapter(world.fake.url).poolmanager.pools
    assert [driver.list() for attempt in range(3)] == [[], [], []]
    (pool,) = (pools.get(key) for key in pools.keys())  # noqa: SIM118 - it is no dict
    assert pool.num_connections == 1


@pytest.mark.parametrize("uri", [None, "pve.example.org", "http://127.0.0.1:8006", "https://", "https://h:x",
                                 "https://root:x@127.0.0.1:8006"])
def test_no_address_of_proxmox(uri: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_CREDENTIALS_LAB", "=".join(TOKEN))
    with pytest.raises(Unreachable, match=r"is no address of Proxmox.*https://pve\.example\.org:8006"):
        open_site(Site("lab", "proxmox", {} if uri is None else {"uri": uri}))


@pytest.mark.parametrize("scheme", ["http", "ftp"])
def test_an_address_without_tls(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setenv("MUSTER_CREDENTIALS_LAB", "=".join(TOKEN))
    with pytest.raises(Unreachable, match=f"its uri {scheme}://127.0.0.1:8006 is no .*: it must begin with https"):
        open_site(Site("lab", "proxmox", {"uri": f"{scheme}://127.0.0.1:8006"}))


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_CREDENTIALS_LAB", "=".join(TOKEN))
    with pytest.raises(Unreachable, match=r"the site at https://127\.0\.0\.1:1: HTTPS.*Connection refused"):
        open_site(Site("lab", "proxmox", {"uri": "https://127.0.0.1:1"}))


ANSWERS: dict[str, tuple[int, dict[str, str], bytes]] = {
    "login page": (200, {"Content-Type": "text/html"}, b"<html>please log in</html>"),
    "not in UTF-8": (200, {"Content-Type": "application/json"}, b"\xff\xfe"),
    "cut off": (200, {"Content-Type": "application/json"}, b'{"data": {"version"'),
    "JSON of another kind": (200, {"Content-Type": "application/json"}, b"[]"),
    "JSON of many levels": (200, {"Content-Type": "application/json"}, b"[" * 200_000),
    "many levels of an error": (500, {"Content-Type": "application/json"}, b"[" * 200_000),
    "JSON without data": (200, {"Content-Type": "application/json"}, b"{}"),
    "proxy": (502, {"Content-Type": "text/html"}, b"<html>bad gateway</html>"),
    "elsewhere": (302, {"Location": "/elsewhere"}, b""),  # where all looks as it should
}


@pytest.fixture
def stranger(pve_pki: tuple[str, str]) -> Iterator[Any]:
    """A web server that is not Proxmox. `answer` is what it says, whole or in pieces; `asked` is how often."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            good = (200, {}, b'{"data": {"version": "9.0"}}')
            status, headers, body = good if self.path == "/elsewhere" else server.answer  # type: ignore[attr-defined]
            server.asked += 1  # type: ignore[attr-defined]
            if status:  # else the body is all of the answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
            with contextlib.suppress(OSError):  # whoever asked has gone
                for piece in [body] if isinstance(body, bytes) else body:
                    self.wfile.write(piece)

        def log_message(self, *_arguments: object) -> None:
            """Nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = 0  # type: ignore[attr-defined]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pve_pki)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_what_is_not_proxmox_is_no_empty_site(
    stranger: Any, answer: Any, monkeypatch: pytest.MonkeyPatch, pve_pki: tuple[str, str]
) -> None:
    monkeypatch.setenv("MUSTER_CREDENTIALS_LAB", "=".join(TOKEN))
    stranger.answer = answer
    uri = f"https://127.0.0.1:{stranger.server_address[1]}"
    with pytest.raises((Unreachable, Failed)) as caught:
        open_site(Site("lab", "proxmox", {"uri": uri, "tls": {"ca": pve_pki[0]}}))
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "task" not in str(caught.value), "there is none"
    if answer is ANSWERS["elsewhere"]:
        assert "answers, and not as Proxmox does: it sends whoever asks elsewhere" in str(caught.value)


JSON = {"Content-Type": "application/json"}
TWICE = gzip.compress(gzip.compress(bytes(2 << 20)))
ENDLESS: dict[str, tuple[dict[str, str], Iterable[bytes], float, str]] = {
    "small, and large when unpacked": ({"Content-Encoding": "gzip"}, [gzip.compress(bytes(2 << 20))], 60, "than 1 MiB"),
    "packed twice": ({"Content-Encoding": "gzip, gzip"}, [TWICE], 60, "packed in a way that is not read"),
    "without end": (JSON, itertools.repeat(b" " * 65536), 60, "more than 1 MiB"),
    "a drop at a time": (JSON, itertools.repeat(b" "), 0.3, r"not whole after 0\.3 seconds"),
    "a head by drops": ({}, itertools.chain([b"HTTP/1.1 200 OK\r\nX: "], itertools.repeat(b"y")), 0.1, "not whole"),
}


@pytest.mark.parametrize(("headers", "body", "seconds", "words"), ENDLESS.values(), ids=ENDLESS)
def test_an_answer_has_bounds(
    stranger: Any, monkeypatch: pytest.MonkeyPatch, pve_pki: tuple[str, str], headers: dict[str, str],
    body: Iterable[bytes], seconds: float, words: str
) -> None:  # fmt: skip
    monkeypatch.setenv("MUSTER_CREDENTIALS_LAB", "=".join(TOKEN))
    monkeypatch.setattr(connection, "_LIMIT", 1 << 20)
    monkeypatch.setattr(connection, "_SECONDS", seconds)
    stranger.answer = (200 if headers else 0, headers, body)
    uri = f"https://127.0.0.1:{stranger.server_address[1]}"
    with pytest.raises(Unreachable, match=f"{uri} answers, and not as Proxmox does: .*{words}"):
        open_site(Site("lab", "proxmox", {"uri": uri, "tls": {"ca": pve_pki[0]}}))
    assert stranger.asked <= 1, "what answers so is not asked again"


def test_an_authority_that_vouches_for_others(
    tmp_path: Path, stranger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, _key, _der = make_cert(str(tmp_path), name="other")
    monkeypatch.setenv("MUSTER_CREDENTIALS_LAB", "=".join(TOKEN))
    stranger.answer = ANSWERS["login page"]
    uri = f"https://127.0.0.1:{stranger.server_address[1]}"
    with pytest.raises(Unreachable, match="certificate verify failed"):
        open_site(Site("lab", "proxmox", {"uri": uri, "tls": {"ca": certificate}}))
