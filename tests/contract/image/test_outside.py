"""Images from outside, with the real qemu-img: verified before use; what refers to other files is refused."""

from __future__ import annotations

import functools
import http.server
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.errors import ToolError
from tools.image import cache, outside
from tools.progress import Progress


def qemu_img(*arguments: object) -> None:
    subprocess.run(["qemu-img", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "plain.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", path, "8M")
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder


def take(where: object, sha256: str, images: Path) -> Path:
    return outside.take(str(where), sha256, images, Progress("test"))


def left(images: Path) -> list[str]:
    return [path.name for path in images.iterdir()]


def test_a_path_with_its_hash_is_kept(image: Path, images: Path) -> None:
    kept = take(image, cache.sha256(image).upper(), images)
    assert cache.state(kept) == "whole"
    image.unlink()
    assert take(image, cache.sha256(kept), images) == kept  # cached: the source is not read again


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_a_password_in_the_address_is_not_shown(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ToolError, match="cannot be read") as caught:
        take("http://jane:hunter2@127.0.0.1:1/x", "0" * 64, images)
    assert "hunter2" not in str(caught.value) + capsys.readouterr().err


def test_a_cache_without_room(image: Path, images: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "SPARE", 1 << 60)
    with pytest.raises(ToolError, match=r"it is larger than .* has room for"):
        take(f"{server}/{image.name}", cache.sha256(image), images)
    assert left(images) == []


def test_a_url_with_its_hash_is_kept(image: Path, images: Path, server: str) -> None:
    assert cache.state(take(f"{server}/{image.name}", cache.sha256(image), images)) == "whole"


def test_a_url_that_is_not_there_is_one_sentence(images: Path, server: str) -> None:
    with pytest.raises(ToolError, match="cannot be read"):
        take(f"{server}/none.qcow2", "0" * 64, images)
    assert left(images) == []


@pytest.mark.parametrize("sha256", ["", "abc", "0" * 63 + "g"])
def test_a_hash_is_needed(image: Path, images: Path, sha256: str) -> None:
    with pytest.raises(ToolError, match="MUSTER_IMAGE_SHA256"):
        take(image, sha256, images)


def test_a_wrong_hash_is_refused(image: Path, images: Path) -> None:
    with pytest.raises(ToolError, match="it is not used"):
        take(image, "0" * 64, images)
    assert left(images) == []


def backing_file(path: Path) -> None:
    qemu_img("create", "-q", "-f", "qcow2", "-F", "raw", "-u", "-b", "/etc/hostname", path, "8M")


def json_backing_name(path: Path) -> None:
    name = 'json:{"driver":"nbd","host":"127.0.0.1","port":"1"}'
    qemu_img("create", "-q", "-f", "qcow2", "-F", "raw", "-u", "-b", name, path, "8M")


def data_file(path: Path) -> None:
    qemu_img("create", "-q", "-f", "qcow2", "-o", f"data_file={path.with_suffix('.data')},data_file_raw=on", path, "8M")


def raw_disk(path: Path) -> None:
    path.write_bytes(bytes(1 << 20))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (backing_file, "backing file"),
        (json_backing_name, "backing file"),
        (data_file, "data file"),
        (raw_disk, "qcow2"),
    ],
)
def test_what_could_read_other_files_is_refused(tmp_path: Path, images: Path, make, why: str) -> None:
    hostile = tmp_path / "hostile.qcow2"
    make(hostile)
    with pytest.raises(ToolError, match=why):
        take(hostile, cache.sha256(hostile), images)
    assert left(images) == []
