"""Images from outside: made by the real qemu-img, hostile ones refused before anything opens what they name."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from muster.drivers import qcow2
from muster.drivers.driver import BackupDisk, Conflict, Failed

pytestmark = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")


def img(*words: str | Path) -> None:
    subprocess.run(["qemu-img", *map(str, words)], check=True, capture_output=True)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.qcow2"
    img("create", "-f", "qcow2", path, "1M")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(Conflict) as caught:
        qcow2.check_image(path, "lab", "web")
    assert str(caught.value).startswith(f"VM 'web' at site 'lab': {path} ")
    return str(caught.value)


def test_one_that_stands_alone(good: Path) -> None:
    qcow2.check_image(good, "lab", "web")
    assert qcow2.virtual_size(good) == 1 << 20


def test_backing_file(tmp_path: Path, good: Path) -> None:
    path = tmp_path / "x.qcow2"
    img("create", "-f", "qcow2", "-F", "qcow2", "-b", good, path)
    assert f"has the backing file '{str(good)[:80]}' and was refused" in refusal(path)


@pytest.mark.parametrize(
    "backing",
    [
        "/etc/shadow",
        'json:{"driver":"nbd","host":"192.0.2.1"}',
        "nbd://192.0.2.1/x",
        "ssh://192.0.2.1/etc/passwd",
        "../../../etc/passwd",
    ],
)
def test_hostile_backing_file(tmp_path: Path, good: Path, backing: str) -> None:
    img("rebase", "-u", "-F", "raw", "-b", backing, good)
    assert "backing file" in refusal(good)


@pytest.mark.parametrize("raw", ["on", "off"])
def test_data_file(tmp_path: Path, raw: str) -> None:
    path = tmp_path / "x.qcow2"
    img("create", "-f", "qcow2", "-o", f"data_file={tmp_path / 'data'},data_file_raw={raw}", path, "1M")
    assert "data file" in refusal(path)
    (tmp_path / "data").unlink()
    refusal(path)


def test_too_large(tmp_path: Path, good: Path) -> None:
    """60 TB is what a header can claim for nothing; a little over 64 TiB is refused."""
    with good.open("r+b") as file:
        file.seek(24)
        file.write(struct.pack(">Q", (64 << 40) + (1 << 20)))
    refusal(good)


def test_encrypted(tmp_path: Path) -> None:
    path = tmp_path / "x.qcow2"
    options = "encrypt.format=aes,encrypt.key-secret=s"  # for LUKS it measures the CPU first, which fails on some
    img("create", "-f", "qcow2", "--object", "secret,id=s,data=abc", "-o", options, path, "1M")
    assert "is encrypted and was refused" in refusal(path)


def write(path: Path, command: str) -> None:
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", command, str(path)], check=True, capture_output=True)


@pytest.mark.parametrize("size", ["1M", "64G", "64T"])
def test_what_was_just_made_is_blank(tmp_path: Path, size: str) -> None:
    path = tmp_path / "x.qcow2"
    img("create", "-f", "qcow2", path, size)
    assert qcow2.is_blank(path, "lab", "web")
    assert path.stat().st_size < 16 << 20


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda path: write(path, "write -P 1 512k 512"), id="written to"),
        pytest.param(lambda path: write(path, "write -P 0 0 64k"), id="zeros written"),
        pytest.param(lambda path: write(path, "write -z 0 64k"), id="zeroed"),
        pytest.param(lambda path: img("snapshot", "-c", "before", path), id="a snapshot"),
        pytest.param(lambda path: path.write_bytes(b"data" * 65536), id="raw"),
        pytest.param(lambda path: path.write_bytes(b""), id="an empty file"),
        pytest.param(lambda path: path.unlink(), id="missing"),
        pytest.param(lambda path: changed(path, 72, struct.pack(">Q", 1 << 1)), id="corrupt"),
        pytest.param(lambda path: img("rebase", "-u", "-F", "raw", "-b", "/etc/passwd", path), id="backing file"),
    ],
)
def test_what_somebody_has_touched_is_not_blank(good: Path, spoil: Callable[[Path], object]) -> None:
    spoil(good)
    assert not qcow2.is_blank(good, "lab", "web")


def changed(path: Path, at: int, value: bytes) -> Path:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(value)
    return path


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [
        pytest.param(4, struct.pack(">I", 1), "is not a complete qcow2 image", id="version 1"),
        pytest.param(4, struct.pack(">I", 9), "of a version that is not known", id="version 9"),
        pytest.param(8, struct.pack(">QI", 512, 4), "has the backing file '????'", id="backing file without a name"),
        pytest.param(8, struct.pack(">QI", 1 << 63, 1 << 31), "has the backing file ''", id="backing file nowhere"),
        pytest.param(32, struct.pack(">I", 1), "is encrypted", id="old encryption"),
        pytest.param(72, struct.pack(">Q", 1 << 1), "says that it is corrupt", id="corrupt"),
        pytest.param(72, struct.pack(">Q", 1 << 2), "has a data file", id="a data file without a name"),
        pytest.param(72, struct.pack(">Q", 1 << 60), "of a version that is not known", id="a feature to come"),
        pytest.param(36, b"\xff" * 4, "is not a complete qcow2 image", id="a table of 32 GiB"),
        pytest.param(40, struct.pack(">Q", 1 << 62), "is not a complete qcow2 image", id="a table far away"),
        pytest.param(20, struct.pack(">I", 63), "is not a complete qcow2 image", id="clusters of 8 EiB"),
        pytest.param(60, b"\xff" * 4, "is not a complete qcow2 image", id="four thousand million snapshots"),
    ],
)
def test_hostile_headers(good: Path, at: int, value: bytes, says: str) -> None:
    assert says in refusal(changed(good, at, value))


def test_qemu_is_not_asked_about_what_the_header_refuses(
    tmp_path: Path, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tools open what a header names, a pipe or a device too, before they say what they found."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "has a data file" in refusal(changed(good, 72, struct.pack(">Q", 1 << 2)))
    assert "has the backing file" in refusal(changed(good, 8, struct.pack(">QI", 512, 4)))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.qcow2")
    assert "is not a complete qcow2 image" in refusal(tmp_path / "x.qcow2")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\0" * 65536, id="raw"),
        pytest.param(b"QFI\xfb", id="a header alone"),
        pytest.param(b"<html>Log in</html>" * 100, id="a login page"),
    ],
)
def test_no_qcow2(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.qcow2"
    path.write_bytes(content)
    assert "is not a complete qcow2 image" in refusal(path)


@pytest.mark.parametrize("format_", ["vmdk", "vdi", "raw"])
def test_another_format_under_the_name(tmp_path: Path, format_: str) -> None:
    path = tmp_path / "x.qcow2"
    img("create", "-f", format_, path, "1M")
    assert "is not a complete qcow2 image" in refusal(path)


def test_missing(tmp_path: Path) -> None:
    refusal(tmp_path / "none.qcow2")


def test_a_name_that_qemu_would_read_as_more(tmp_path: Path, good: Path) -> None:
    path = tmp_path / "a,b=c:d.qcow2"
    good.rename(path)
    qcow2.check_image(path, "lab", "web")


def test_truncated(tmp_path: Path) -> None:
    path = tmp_path / "x.qcow2"
    source = tmp_path / "raw"
    source.write_bytes(bytes(range(256)) * 4096)
    img("convert", "-f", "raw", "-O", "qcow2", source, path)
    with path.open("r+b") as file:
        file.truncate(300_000)
    assert "is not a complete qcow2 image" in refusal(path)


def raw_of(path: Path, target: Path) -> bytes:
    img("convert", "-f", "qcow2", "-O", "raw", path, target)
    return target.read_bytes()


def test_flatten_joins_and_follows_no_header(tmp_path: Path, good: Path) -> None:
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 1 0 128k", str(good)], check=True, capture_output=True)
    above = tmp_path / "above, with a comma.qcow2"
    img("create", "-f", "qcow2", "-F", "qcow2", "-b", good, above, "2M")
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 2 64k 64k", str(above)], check=True, capture_output=True)
    sealed = qcow2.orphaned(BackupDisk("root", above, 2 << 20, "", 0), "lab", "web")
    qcow2.check_image(above, "lab", "web")
    assert sealed.bytes == above.stat().st_size
    flat = tmp_path / "flat.qcow2"
    qcow2.flatten([good, above], flat, "lab", "web")
    qcow2.check_image(flat, "lab", "web")
    content = raw_of(flat, tmp_path / "raw")
    assert content == b"\1" * 65536 + b"\2" * 65536 + b"\0" * ((2 << 20) - 131072)


def test_flatten_that_fails_says_so(tmp_path: Path, good: Path) -> None:
    with pytest.raises(Failed, match="unable to join its restore points"):
        qcow2.flatten([tmp_path / "none.qcow2", good], tmp_path / "flat.qcow2", "lab", "web")
