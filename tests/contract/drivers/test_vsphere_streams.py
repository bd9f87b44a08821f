"""vSphere: bytes of disks, and addresses to fetch them from, that nobody should believe."""

from __future__ import annotations

import contextlib
import http.server
import os
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakepve.certs import make_cert
from hypothesis import given, settings
from hypothesis import strategies as st
from muster.drivers.driver import Failed, Unreachable
from muster.drivers.vsphere import vmdk
from muster.drivers.vsphere.lease import Lease
from muster.model.fleet import Site
from sites import sha256
from test_backup import raw
from vsphere_disks import FIRST, MIB
from vsphere_site import VsphereWorld, on_vsphere


@pytest.fixture
def stream(world: VsphereWorld, tmp_path: Path) -> Path:
    """The stream of a disk of 1 MiB, as vCenter sends it."""
    vm = world.made()
    world.flat(vm).write_bytes(FIRST)
    found: Any = world.driver
    made = vmdk.to_qcow2

    def kept(source: Path, *more: Any) -> Any:
        (tmp_path / "stream").write_bytes(source.read_bytes())
        return made(source, *more)

    vmdk.to_qcow2 = kept
    try:
        (tmp_path / "out").mkdir()
        found.backup(vm, tmp_path / "out", "one", None)
    finally:
        vmdk.to_qcow2 = made
    return tmp_path / "stream"


def spoilt(stream: Path, at: int, text: bytes) -> None:
    data = bytearray(stream.read_bytes())
    data[at : at + len(text)] = text
    stream.write_bytes(bytes(data))


@on_vsphere
def test_streams_that_cannot_be(stream: Path) -> None:
    whole = stream.read_bytes()
    assert vmdk.check(stream, MIB, whole=True) == ""
    assert "of a disk of 1048576 bytes, and the VM's has 2097152" in vmdk.check(stream, 2 * MIB, whole=True)
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: spoilt(stream, 512 + 60, b'\nparentFileNameHint="/etc/shadow"\n'), "it needs another file"),
        (lambda: spoilt(stream, 12, bytes(8)), "of a disk of 0 bytes"),
        (lambda: spoilt(stream, 0, b"# Disk DescriptorFile\n"), "it is no VMDK"),
        (lambda: spoilt(stream, 8, bytes(4)), "it is not stream-optimised"),
        (lambda: os.truncate(stream, len(whole) - 512), "its end is missing"),
        (lambda: os.truncate(stream, 70000), "its end is missing"),
        (lambda: os.truncate(stream, 10), "it is no VMDK"),
    ]
    for spoil, words in cases:
        stream.write_bytes(whole)
        spoil()
        assert words in vmdk.check(stream, MIB, whole=True)


@on_vsphere
def test_a_parent_is_not_opened(stream: Path, tmp_path: Path) -> None:
    """Were it to slip through the check, qemu-img would not follow it either."""
    spoilt(stream, 512 + 200, b'\nparentFileNameHint="/dev/null"\n')
    made = vmdk.to_qcow2(stream, "root", tmp_path / "root.qcow2", MIB, "vc", "web")
    assert raw(made.path) == FIRST.ljust(MIB, b"\0")


def lease_of(world: VsphereWorld) -> Lease:
    info: Any = SimpleNamespace(entity=None, leaseTimeout=300, deviceUrl=[])
    return Lease(world.driver, None, info, "web")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url",
    ["http://*/nfc/1/disk-0.vmdk", "file:///etc/shadow", "https://", "https://user:word@127.0.0.1/nfc/1/d", "https://*@evil/x",
     "https://a b/nfc", "https://127.0.0.1:99999/nfc", "https://127.0.0.1/nfc\r\nCookie: x", "https://[::1/nfc", ""],
)
@on_vsphere
def test_addresses_that_are_not_trusted(world: VsphereWorld, tmp_path: Path, url: str) -> None:
    device: Any = SimpleNamespace(url=url)
    with pytest.raises(Failed, match="unable to download the disk 'root': its address is"):
        lease_of(world).download(device, "root", MIB, tmp_path / "x", print)


def offered(*keys: str) -> list[Any]:
    return [SimpleNamespace(key=key, importKey="", disk=not key.endswith("nvram")) for key in keys]


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        (["/vm-1/A0:1", "/vm-1/A0:0", "/vm-1/nvram"], True),
        (["/vm-1/A0:0"], False),
        (["/vm-1/A0:0", "/vm-1/A0:0"], False),
        (["/vm-1/A0:0", "/vm-1/A0:1", "/vm-1/A0:2"], False),
        (["/vm-1/A0:0", "/vm-1/B0:1"], False),
    ],
)
@on_vsphere
def test_each_disk_is_offered_and_no_other(world: VsphereWorld, keys: list[str], found: bool) -> None:
    lease = lease_of(world)
    lease.devices = offered(*keys)
    if found:
        assert {name: device.key[-1] for name, device in lease.disks([("root", "A0:0"), ("data", "A0:1")]).items()} == {
            "root": "0", "data": "1"}  # fmt: skip
    else:
        with pytest.raises(Failed, match=r"vCenter offers the disks .*and the VM has A0:0, A0:1"):
            lease.disks([("root", "A0:0"), ("data", "A0:1")])


@on_vsphere
def test_the_only_disk_may_have_any_name(world: VsphereWorld) -> None:
    lease = lease_of(world)
    lease.devices = offered("disk-0", "/vm-1/nvram")
    assert lease.disks([("root", "A0:0")])["root"].key == "disk-0"


@contextlib.contextmanager
def host(folder: Path, content: bytes) -> Iterator[str]:
    """A host with a certificate of its own, which sends `content` whoever asks."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(content)

        def log_message(self, *_arguments: Any) -> None:
            pass

    certificate, key, _der = make_cert(str(folder), hosts=("127.0.0.1",))
    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}/nfc/1/disk-0.vmdk"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(30)


@on_vsphere
def test_a_host_with_another_certificate(world: VsphereWorld, tmp_path: Path) -> None:
    (tmp_path / "pki").mkdir()
    with host(tmp_path / "pki", b"x") as url:
        device: Any = SimpleNamespace(url=url)
        with pytest.raises(Unreachable, match=r"CERTIFICATE_VERIFY_FAILED.*sites\.vc\.tls\.ca"):
            lease_of(world).download(device, "root", MIB, tmp_path / "x", print)
        fingerprint = {**world.access.options, "tls": {"fingerprint": "ab" * 32}}
        found = lease_of(world)
        found.driver = SimpleNamespace(access=Site("vc", "vsphere", fingerprint))  # type: ignore[assignment]
        with pytest.raises(Unreachable, match=r"not the one of tls\.fingerprint"):
            found.download(device, "root", MIB, tmp_path / "x", print)


@on_vsphere
def test_a_host_that_sends_more_than_a_disk_has(world: VsphereWorld, tmp_path: Path) -> None:
    (tmp_path / "pki").mkdir()
    with host(tmp_path / "pki", bytes(4 * MIB)) as url:
        found = lease_of(world)
        trusting = {**world.access.options, "tls": {"verify": False}}
        found.driver = SimpleNamespace(access=Site("vc", "vsphere", trusting))  # type: ignore[assignment]
        device: Any = SimpleNamespace(url=url)
        with pytest.raises(Failed, match="sends more than the"):
            found.download(device, "root", MIB, tmp_path / "x", print)
        assert (tmp_path / "x").stat().st_size <= vmdk.largest(MIB)


@given(
    st.integers(1, 81920),
    st.lists(st.tuples(st.integers(0, (80 << 20) - 1), st.integers(1, 200_000), st.integers(1, 255)), max_size=6),
)
@settings(max_examples=15, deadline=None)
def test_what_is_sent_is_what_was_kept(kib: int, written: list[tuple[int, int, int]]) -> None:
    """Disks of any size, written to at any place: QEMU reads of our stream, whose tables come last, each byte."""
    size = kib << 10
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "raw").open("wb") as file:
            file.truncate(size)
            for at, length, byte in written:
                if at < size:
                    file.seek(at)
                    file.write(bytes([byte]) * min(length, size - at))
        image, sent, back = folder / "root.qcow2", folder / "sent.vmdk", folder / "back"
        convert = ["qemu-img", "convert", "-O"]
        subprocess.run([*convert, "qcow2", "-f", "raw", str(folder / "raw"), str(image)], check=True)
        found = vmdk.Stream(image, folder, "root", "vc", "web")
        sent.write_bytes(b"".join(found))
        assert sent.stat().st_size == found.length <= vmdk.largest(size)
        assert vmdk.check(sent, size, whole=True) == ""
        subprocess.run(["qemu-img", "check", "-q", "-f", "vmdk", str(sent)], check=True)
        subprocess.run([*convert, "raw", "-f", "vmdk", str(sent), str(back)], check=True)
        assert sha256(back) == sha256(folder / "raw")
