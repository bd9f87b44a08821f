"""The boot sector and the cache: what is written, and what is never taken for a finished image."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.errors import ToolError
from tools.image import cache, disk

CODE = bytes(range(256)) * 2


@given(sectors=st.integers(min_value=disk.PARTITION_AT // disk.SECTOR + 1, max_value=2**32 - 1))
def test_the_boot_sector_has_one_active_partition_to_the_end(sectors: int) -> None:
    sector = disk.mbr(CODE, sectors)
    active, kind, first, count = struct.unpack("<B3xB3xII", sector[446:462])
    assert (len(sector), sector[:440], sector[510:]) == (512, CODE[:440], b"\x55\xaa")
    assert (active, kind, first, first + count) == (0x80, 0x83, 2048, sectors)
    assert sector[462:510] == bytes(48)


def test_a_core_image_larger_than_the_gap_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.write_bytes(b"untouched")
    with pytest.raises(ValueError, match="gap"):
        disk.install_boot_code(raw, CODE, bytes(disk.PARTITION_AT))
    assert raw.read_bytes() == b"untouched"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    built = tmp_path / "built"
    built.write_bytes(b"a disk")
    place = tmp_path / "image.qcow2"
    cache.keep(built, place)
    return place


def test_a_kept_image_is_whole(image: Path) -> None:
    assert cache.state(image) == "whole"
    assert not (image.parent / "built").exists()


def test_one_changed_byte_is_damage(image: Path) -> None:
    image.write_bytes(b"a dish")
    assert cache.state(image).startswith("damaged")


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe"])
def test_an_image_without_its_hash_is_half_built(image: Path, content: bytes | None) -> None:
    beside = cache.hash_file(image)
    beside.unlink()
    if content is not None:
        beside.write_bytes(content)
    assert cache.state(image).startswith("half-built")


def test_a_hash_without_an_image_is_no_image(image: Path) -> None:
    image.unlink()
    assert cache.state(image) == "missing"


def test_two_builders_do_not_share_a_cache(tmp_path: Path) -> None:
    with cache.locked(tmp_path), pytest.raises(ToolError, match="Another build"), cache.locked(tmp_path):
        pytest.fail("the second builder got the lock")
    with cache.locked(tmp_path):
        pass
