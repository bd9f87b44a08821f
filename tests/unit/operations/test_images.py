"""Images of the catalogue: real files, and a real HTTP server."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from loopback import answering, closed_port, serving
from muster.drivers.driver import Conflict, Image, silent
from muster.model.fleet import Site
from muster.model.vm import VM
from muster.operations import images

CONTENT = b"an image" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = "0" * 64


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MUSTER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "images"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "debian.qcow2"
    file.write_bytes(CONTENT)
    return file


@pytest.fixture
def url() -> Iterator[str]:
    with serving(answering("200 OK", CONTENT)) as port:
        yield f"http://127.0.0.1:{port}/debian.qcow2"


def resolved(entry: dict[str, Any] | None, image: str | None = "debian") -> Image | None:
    site = Site("lab", "libvirt", {"images": {"debian": entry}} if entry else {})
    return images.resolve(site, VM("web", "lab", {"image": image} if image else {}), silent)


def refusal(entry: dict[str, Any] | None) -> str:
    with pytest.raises(Conflict) as caught:
        resolved(entry)
    sentence = str(caught.value)
    assert sentence.startswith("VM 'web' at site 'lab': ")
    assert caught.value.todo
    return sentence


def test_no_image() -> None:
    assert resolved(None, image=None) is None


def test_by_path(path: Path) -> None:
    assert resolved({"path": str(path)}) == Image("debian", path, "")
    assert resolved({"path": str(path), "sha256": SHA256}) == Image("debian", path, SHA256)


@pytest.mark.parametrize("form", ["{}\n", "{}  debian.qcow2\n", "{}"])
def test_the_hash_beside(path: Path, form: str) -> None:
    beside = path.with_name("debian.qcow2.sha256")
    beside.write_text(form.format(SHA256.upper()))
    assert resolved({"path": str(path)}) == Image("debian", path, SHA256)
    beside.write_text(form.format(OTHER))
    assert "is damaged or incomplete" in refusal({"path": str(path)})


def test_unknown() -> None:
    assert "the image 'debian' is not in the site's catalogue" in refusal(None)


def test_missing(tmp_path: Path) -> None:
    for missing in (tmp_path / "none.qcow2", tmp_path):
        assert f"there is no file {missing}" in refusal({"path": str(missing)})


@pytest.mark.parametrize(
    "content", [CONTENT[:-1], CONTENT + b"x", b"", b"X" + CONTENT[1:]], ids=["half", "longer", "empty", "another"]
)
def test_damaged(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    sentence = refusal({"path": str(path), "sha256": SHA256})
    assert f"the image 'debian' at {path} is damaged or incomplete" in sentence
    assert SHA256[:16] in sentence


def test_by_url(url: str, cache: Path) -> None:
    entry = {"url": url, "sha256": SHA256}
    found = resolved(entry)
    assert found == Image("debian", cache / f"{SHA256}.qcow2", SHA256)
    assert resolved({**entry, "url": f"http://127.0.0.1:{closed_port()}/"}) == found  # from the cache
    assert [file.name for file in cache.iterdir()] == [f"{SHA256}.qcow2"]


def test_several_vms_of_one_url_at_once(cache: Path) -> None:
    """Both find the cache empty; the second to finish finds the image there."""
    both = threading.Barrier(2, timeout=30)

    def talk(connection: Any) -> None:
        both.wait()
        answering("200 OK", CONTENT)(connection)

    with serving(talk) as port, ThreadPoolExecutor(2) as pool:
        entry = {"url": f"http://127.0.0.1:{port}/x", "sha256": SHA256}
        found = list(pool.map(lambda _: resolved(entry), range(2)))
    assert found == [Image("debian", cache / f"{SHA256}.qcow2", SHA256)] * 2


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        ("404 Not Found", b"", "could not be fetched: HTTP Error 404"),
        ("200 OK", CONTENT[:-1], "and the catalogue says"),
        ("200 OK", b"<html>Log in</html>", "and the catalogue says"),
    ],
)
def test_a_bad_answer_leaves_nothing(cache: Path, status: str, body: bytes, says: str) -> None:
    with serving(answering(status, body)) as port:
        assert says in refusal({"url": f"http://127.0.0.1:{port}/x", "sha256": SHA256})
    assert list(cache.iterdir()) == []


def test_a_broken_connection_leaves_nothing(cache: Path) -> None:
    def talk(connection: Any) -> None:
        connection.recv(65536)
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(CONTENT)}\r\n\r\n".encode() + CONTENT[:100])

    with serving(talk) as port:
        refusal({"url": f"http://127.0.0.1:{port}/x", "sha256": SHA256})
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    "to", ["file:///etc/passwd", "file://localhost/etc/passwd", "gopher://127.0.0.1/x", "data:text/plain,x", "/", ""]
)
def test_a_redirection_leads_to_no_file(cache: Path, to: str) -> None:
    with serving(answering("302 Found", b"", f"Location: {to}\r\n")) as port:
        assert "could not be fetched" in refusal({"url": f"http://127.0.0.1:{port}/x", "sha256": SHA256})
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("size", [b"-1", b"ffffffffffff", b"9" * 5000])
def test_an_endless_image_is_cut(cache: Path, size: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's reader believes a chunk of -1 bytes, and would read until memory is full."""
    monkeypatch.setattr(images, "_LIMIT", 4 << 20)
    sent = 0

    def endless(connection: Any) -> None:
        nonlocal sent
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\n")
        while sent < 256 << 20:
            connection.sendall(b"x" * 65536)
            sent += 65536

    with serving(endless) as port:
        refusal({"url": f"http://127.0.0.1:{port}/x", "sha256": SHA256})
    assert sent < 64 << 20
    assert list(cache.iterdir()) == []


def test_an_image_that_drips_is_given_up(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_PATIENCE", 0.0)
    with serving(answering("200 OK", CONTENT)) as port:
        assert "it did not end within 0 s" in refusal({"url": f"http://127.0.0.1:{port}/x", "sha256": SHA256})
    assert list(cache.iterdir()) == []


def test_a_cache_without_room(cache: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_SPARE", 1 << 60)
    assert f"larger than the 0 MiB that {cache} has room for" in refusal({"url": url, "sha256": SHA256})
    assert list(cache.iterdir()) == []


def test_nobody_answers() -> None:
    assert "Connection refused" in refusal({"url": f"http://127.0.0.1:{closed_port()}/x", "sha256": SHA256})


def test_a_cache_that_cannot_be_written(cache: Path, url: str) -> None:
    cache.parent.write_text("a file in the way")
    assert f"the image cache {cache} cannot be written" in refusal({"url": url, "sha256": SHA256})
