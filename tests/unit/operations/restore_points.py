"""Restore points made for tests: of a VM, at a time, written into a real repository."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from muster.model.vm import VM, Mark
from muster.operations.repository import Part, Repository, RestorePoint

WEB = VM("web", "lab", uuid="8b1e9f0a-0000-5000-8000-000000000001", mark=Mark("acme", "web", "op"))


def id_of(number: int) -> str:
    """A restore point's id, in the order of `number`."""
    return f"20260101-{number:06d}-backup-{number:06x}"


def point(number: int, created: float | None = None, parent: int | None = None, **more: Any) -> RestorePoint:
    """A restore point without files. `parent` is the number of the one that it builds upon."""
    values: dict[str, Any] = {
        "id": id_of(number),
        "fleet": "acme",
        "site": "lab",
        "vm": "web",
        "uuid": str(WEB.uuid),
        "kind": "full" if parent is None else "incremental",
        "created": float(number if created is None else created),
        "consistency": "crash",
        "disks": (),
        "parent": None if parent is None else id_of(parent),
        **more,
    }
    return RestorePoint(**values)


def written(
    repository: Repository,
    number: int,
    content: bytes = b"content of the disk",
    vm: VM = WEB,
    parent: int | None = None,
    **more: Any,
) -> RestorePoint:
    """A restore point with one disk, in `repository`."""
    part = repository.begin(vm, id_of(number))
    (part / "root.qcow2").write_bytes(content)
    disk = Part("root", 1 << 20, hashlib.sha256(content).hexdigest(), len(content))
    assert vm.mark is not None
    return repository.finish(vm, point(number, parent=parent, disks=(disk,), vm=vm.mark.vm, **more), part)


def files(folder: Path) -> list[str]:
    """Every file below `folder`."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
