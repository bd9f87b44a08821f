"""The repository: a restore point is whole or not there, and every byte of it is under a hash."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.model.vm import VM, Mark
from muster.operations.repository import MANIFEST, Damaged, Repository, RestorePoint, seal, unseal, verify
from restore_points import WEB, files, id_of, written

DOCUMENTS = st.dictionaries(
    st.text(),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    ),
    max_size=4,
)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


@given(DOCUMENTS)
def test_seal_round_trip(document: dict[str, Any]) -> None:
    assert unseal(seal(document), "here") == document


def test_every_flipped_byte_of_a_manifest_is_found(repository: Repository) -> None:
    path = written(repository, 1).folder / MANIFEST
    whole = path.read_bytes()
    for index in range(len(whole)):
        for bit in (0x01, 0x80):
            path.write_bytes(whole[:index] + bytes([whole[index] ^ bit]) + whole[index + 1 :])
            points, damaged = repository.points(WEB)
            assert points == [], f"byte {index} of the manifest, bit {bit}"
            assert len(damaged) == 1
            assert f"restore point {id_of(1)} of VM 'web' at site 'lab' is damaged" in damaged[0]
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert repository.points(WEB)[0] == []
    path.write_bytes(whole)
    assert len(repository.points(WEB)[0]) == 1


def test_every_flipped_byte_of_a_disk_is_found(repository: Repository) -> None:
    whole = bytes(range(256))
    made = written(repository, 1, whole)
    verify([made], WEB)
    for index in range(len(whole)):
        made.file("root").write_bytes(whole[:index] + bytes([whole[index] ^ 1]) + whole[index + 1 :])
        with pytest.raises(Damaged, match=r"VM 'web' at site 'lab' is damaged: root\.qcow2 has the SHA-256"):
            verify([made], WEB)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda whole: whole + b"\0", id="one byte more"),
        pytest.param(lambda whole: whole[:-1], id="one byte less"),
        pytest.param(lambda whole: b"", id="empty"),
    ],
)
def test_another_length_is_found(repository: Repository, change: Any) -> None:
    made = written(repository, 1)
    made.file("root").write_bytes(change(made.file("root").read_bytes()))
    with pytest.raises(Damaged, match=r"root\.qcow2 has \d+ bytes and should have 19"):
        verify([made], WEB)


def test_a_missing_disk_is_found(repository: Repository) -> None:
    made = written(repository, 1)
    made.file("root").unlink()
    with pytest.raises(Damaged, match="cannot be read: No such file"):
        verify([made], WEB)


@pytest.mark.parametrize("name", [MANIFEST, "root.qcow2"])
@pytest.mark.parametrize("kind", ["symlink", "fifo", "folder"])
def test_what_is_no_plain_file_is_never_opened(repository: Repository, name: str, kind: str) -> None:
    """A repository's writer could point a restorer at any file of the host, or let it wait for ever."""
    made = written(repository, 1)
    path = made.folder / name
    elsewhere = repository.root / "elsewhere"
    path.rename(elsewhere)
    if kind == "symlink":
        path.symlink_to(elsewhere)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    if name == MANIFEST:
        points, damaged = repository.points(WEB)
        assert points == []
        assert len(damaged) == 1
    else:
        with pytest.raises(Damaged, match=r"root\.qcow2 cannot be read"):
            verify([made], WEB)


def test_a_restore_point_that_is_a_link_is_refused(repository: Repository, tmp_path: Path) -> None:
    made = written(repository, 1)
    made.folder.rename(tmp_path / "elsewhere")
    made.folder.symlink_to(tmp_path / "elsewhere")
    points, damaged = repository.points(WEB)
    assert points == []
    assert "is a link and was not followed" in damaged[0]


@pytest.mark.parametrize("part", ["acme", "acme/lab", "acme/lab/web"])
@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda repository: repository.begin(WEB, id_of(2)), id="begin"),
        pytest.param(lambda repository: repository.points(WEB), id="points"),
        pytest.param(lambda repository: repository.record_drill(WEB, {}), id="record"),
    ],
)
def test_no_link_leads_out_of_the_repository(repository: Repository, tmp_path: Path, part: str, call: Any) -> None:
    written(repository, 1)
    (repository.root / part).rename(tmp_path / "elsewhere")
    (repository.root / part).symlink_to(tmp_path / "elsewhere")
    before = files(tmp_path)
    with pytest.raises(Damaged, match=f"{part} in the repository is a link and was not followed"):
        call(repository)
    assert files(tmp_path) == before


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "repository").symlink_to(tmp_path / "disk")
    repository = Repository(tmp_path / "repository")
    made = written(repository, 1)
    assert repository.points(WEB) == ([made], [])


def test_what_an_interrupted_run_left_is_removed_and_no_link_followed(repository: Repository, tmp_path: Path) -> None:
    home = repository.folder(WEB)
    home.mkdir(parents=True)
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "file").write_text("theirs")
    (home / ".part-link").symlink_to(tmp_path / "victim")
    (home / ".part-file").write_text("x")
    (home / ".part-folder").mkdir()
    made = written(repository, 1)
    assert files(home) == [f"{made.id}/manifest.json", f"{made.id}/root.qcow2"]
    assert files(tmp_path / "victim") == ["file"]


def test_a_folder_that_cannot_be_listed_is_no_empty_one(repository: Repository) -> None:
    home = repository.folder(WEB)
    home.parent.mkdir(parents=True)
    home.write_text("a file")
    with pytest.raises(Damaged, match=r"VM 'web' at site 'lab' in .* cannot be listed: Not a directory; nothing"):
        repository.points(WEB)


def test_a_root_that_cannot_be_read_is_no_empty_one(tmp_path: Path) -> None:
    """Root may read everything, so a name that no file system takes stands for the missing right."""
    with pytest.raises(Damaged, match=r"of VM 'web' at site 'lab' in .* cannot be read: File name too long; nothing"):
        Repository(tmp_path / ("x" * 300)).points(WEB)


@pytest.mark.parametrize("kind", ["symlink", "fifo", "folder"])
def test_drills_are_kept_in_a_plain_file_alone(repository: Repository, tmp_path: Path, kind: str) -> None:
    """A link there would let a repository's writer append to any file of the controller."""
    path, victim = repository.folder(WEB) / "drills.jsonl", tmp_path / "victim"
    path.parent.mkdir(parents=True)
    victim.write_text("theirs\n")
    if kind == "symlink":
        path.symlink_to(victim)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(OSError):
        repository.record_drill(WEB, {"outcome": "passed"})
    assert repository.drills(WEB) == []
    assert victim.read_text() == "theirs\n"


@pytest.mark.parametrize(
    "line", ["", "x", "[]", "[" * 100_000, '{"time": "abc"}', '{"time": 1e300}', '{"time": NaN}', '{"time": [1]}', "{}"]
)
def test_a_drill_that_cannot_be_is_left_out(repository: Repository, line: str) -> None:
    repository.record_drill(WEB, {"outcome": "passed", "time": 1.0})
    with (repository.folder(WEB) / "drills.jsonl").open("a") as file:
        file.write(line + "\n")
    assert repository.drills(WEB) == [{"outcome": "passed", "time": 1.0}]


def test_a_renamed_restore_point_is_refused(repository: Repository) -> None:
    made = written(repository, 1)
    made.folder.rename(made.folder.with_name(id_of(2)))
    points, damaged = repository.points(WEB)
    assert points == []
    assert "it was moved or replaced" in damaged[0]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(VM("db", "lab", mark=Mark("acme", "db")), id="another VM"),
        pytest.param(VM("web", "attic", mark=Mark("acme", "web")), id="another site"),
        pytest.param(VM("web", "lab", mark=Mark("evil", "web")), id="another fleet"),
    ],
)
def test_a_restore_point_of_another_is_refused(repository: Repository, other: VM) -> None:
    made = written(repository, 1)
    home = repository.folder(other)
    home.mkdir(parents=True)
    made.folder.rename(home / made.id)
    points, damaged = repository.points(other)
    assert points == []
    assert "it was moved or replaced" in damaged[0]


BASE: dict[str, Any] = {
    "id": id_of(1),
    "fleet": "acme",
    "site": "lab",
    "vm": "web",
    "uuid": "u",
    "kind": "full",
    "created": 1.0,
    "consistency": "crash",
    "disks": [{"name": "root", "virtual_size": 1, "sha256": "0" * 64, "bytes": 1}],
}
DISK = BASE["disks"][0]


@pytest.mark.parametrize(
    "change",
    [
        {"disks": [{**DISK, "name": "../../../etc/passwd"}]},
        {"disks": [{**DISK, "name": "/etc/passwd"}]},
        {"disks": [{**DISK, "name": "root\n"}]},
        {"disks": [{**DISK, "name": ""}]},
        {"disks": [DISK, DISK]},
        {"disks": [{**DISK, "bytes": float("inf")}]},
        {"disks": [{**DISK, "virtual_size": float("nan")}]},
        {"disks": [{**DISK, "virtual_size": -1}]},
        {"disks": [{**DISK, "virtual_size": 1 << 70}]},
        {"disks": [{**DISK, "bytes": 1 << 80}]},
        {"disks": [{**DISK, "sha256": "\x1b[31m"}]},
        {"disks": [{**DISK, "name": f"d{number}"} for number in range(65)]},
        {"uuid": "\x1b[31m"},
        {"seed": "../../seed"},
        {"seed": "x" * 65},
        {"disks": [{}]},
        {"disks": 5},
        {"disks": []},
        {"parent": "../" + id_of(0)},
        {"parent": "..", "kind": "incremental"},
        {"kind": "incremental", "parent": None},
        {"kind": "full", "parent": id_of(0)},
        {"kind": "other"},
        {"created": float("nan")},
        {"created": float("inf")},
        {"created": 1e300},
        {"created": -1},
        {"created": "yesterday"},
        {"created": None},
        {"spec": 5},
        {"spec": "text"},
        {"id": None},
    ],
    ids=str,
)
def test_a_hostile_manifest_is_refused(repository: Repository, change: dict[str, Any]) -> None:
    """Sealed as it should be, by somebody who can write to the repository; what it says cannot be."""
    folder = repository.folder(WEB) / id_of(1)
    folder.mkdir(parents=True)
    (folder / MANIFEST).write_bytes(seal({**BASE, **change}))
    points, damaged = repository.points(WEB)
    assert points == []
    assert len(damaged) == 1
    (folder / MANIFEST).write_bytes(seal(BASE))
    assert len(repository.points(WEB)[0]) == 1


@pytest.mark.parametrize(
    "raw", [b"", b"\n", b"{}", b"0" * 64 + b"\n{}\n", seal({"a": 1})[:-1], b"\xff" * 100, seal({}) * 2], ids=repr
)
def test_what_is_no_sealed_document_is_refused(raw: bytes) -> None:
    with pytest.raises(Damaged, match="here is damaged"):
        unseal(raw, "here")


@pytest.mark.parametrize("body", [b"[" * 100_000, b"[1]", b"1", b"{", b'{"a": 1'], ids=lambda body: body[:10].decode())
def test_a_well_sealed_body_that_is_no_mapping_is_refused(body: bytes) -> None:
    with pytest.raises(Damaged):
        unseal(hashlib.sha256(body).hexdigest().encode() + b"\n" + body + b"\n", "here")


def test_a_manifest_without_end_is_not_read_to_it(repository: Repository) -> None:
    made = written(repository, 1)
    with (made.folder / MANIFEST).open("r+b") as file:
        file.truncate(1 << 40)  # sparse
    assert repository.points(WEB)[0] == []


def test_chain(repository: Repository) -> None:
    first = written(repository, 1)
    second = written(repository, 2, parent=1)
    third = written(repository, 3, parent=2)
    assert [link.id for link in repository.chain(WEB, third)] == [first.id, second.id, third.id]
    repository.remove(second)
    with pytest.raises(Damaged, match=f"restore point {second.id} of VM 'web' at site 'lab' has no readable manifest"):
        repository.chain(WEB, third)


def test_a_chain_that_loops_is_refused(repository: Repository) -> None:
    written(repository, 1, parent=2)
    second = written(repository, 2, parent=1)
    with pytest.raises(Damaged, match="has a chain that does not end"):
        repository.chain(WEB, second)


def test_an_interrupted_write_is_not_listed_and_is_cleared(repository: Repository) -> None:
    part = repository.begin(WEB, id_of(1))
    (part / "root.qcow2").write_bytes(b"half")
    assert repository.points(WEB) == ([], [])
    (part / MANIFEST).write_bytes(b"half a manifest")
    assert repository.points(WEB) == ([], [])
    kept = written(repository, 2)
    assert not part.exists()
    assert [point.id for point in repository.points(WEB)[0]] == [kept.id]


def test_an_interrupted_removal_is_not_listed(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    made = written(repository, 1)

    def killed(_path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        repository.remove(made)
    assert repository.points(WEB) == ([], [])
    monkeypatch.undo()
    written(repository, 2)
    assert files(repository.folder(WEB)) == [f"{id_of(2)}/manifest.json", f"{id_of(2)}/root.qcow2"]


@pytest.mark.parametrize("name", ["../evil", "", ".", "..", "a/b", "a\0b", "Web", "-rf", "a" * 64])
def test_hostile_names_make_no_folder(repository: Repository, name: str) -> None:
    for vm in (replace(WEB, mark=Mark("acme", name)), replace(WEB, mark=Mark(name, "web")), replace(WEB, site=name)):
        with pytest.raises(Damaged, match="is no name for a folder"):
            repository.begin(vm, id_of(1))
    assert not repository.root.exists()


def test_points_come_oldest_first(repository: Repository) -> None:
    for number, created in ((1, 30.0), (2, 10.0), (3, 20.0)):
        written(repository, number, created=created)
    found: list[RestorePoint] = repository.points(WEB)[0]
    assert [point.created for point in found] == [10.0, 20.0, 30.0]


def test_drills_are_appended(repository: Repository) -> None:
    for outcome in ("passed", "failed"):
        repository.record_drill(WEB, {"outcome": outcome})
    lines = (repository.folder(WEB) / "drills.jsonl").read_text().splitlines()
    assert [json.loads(line)["outcome"] for line in lines] == ["passed", "failed"]
