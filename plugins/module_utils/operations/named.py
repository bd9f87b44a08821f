"""Restore points by a name that somebody gave them, so that each is taken once, whoever is killed in between.

The name is on the disk with the restore point's id before the backup begins: the next try carries on under that id.
Layout, beside the restore points of a VM: ``named/<name>`` holds an id.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from ..model.patterns import NAME
from ..model.vm import VM
from ..policy.whole_file import write_whole
from .repository import ID, Damaged, Repository, open_plain, sync

FOLDER = "named"
_NAME = re.compile(NAME)


def of(repository: Repository, vm: VM, name: str) -> str | None:
    """The id that `name` has, whether its restore point is finished or not; None where it has none. Raises Damaged."""
    path = repository.folder(vm) / FOLDER / _checked(name)
    try:
        with open_plain(path) as file:
            text = file.read(100).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Damaged(f"the name '{name}' of a restore point of VM '{vm.name}' at site '{vm.site}' cannot be read: "
                      f"{error.strerror}; nothing was changed") from error
    if not ID.fullmatch(text):
        raise Damaged(f"the name '{name}' of a restore point of VM '{vm.name}' at site '{vm.site}' leads to no "
                      f"restore point; nothing was changed. Delete {path}")
    return text


def give(repository: Repository, vm: VM, name: str, id_: str) -> None:
    """Give `name` to the restore point `id_`, which need not be there yet. Raises OSError."""
    folder = repository.folder(vm) / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(folder / _checked(name), [f"{id_}\n"], 0o600)
    sync(folder)


def release(repository: Repository, vm: VM, ids: Iterable[str]) -> None:
    """Take their names from restore points; these stay as they are. Raises OSError."""
    gone = set(ids)
    for name, id_ in every(repository, vm).items():
        if id_ in gone:
            (repository.folder(vm) / FOLDER / name).unlink(missing_ok=True)


def every(repository: Repository, vm: VM) -> dict[str, str]:
    """The ids by name. Raises Damaged."""
    try:
        names = sorted(name for name in os.listdir(repository.folder(vm) / FOLDER) if _NAME.fullmatch(name))
    except OSError:
        names = []
    found = {name: of(repository, vm, name) for name in names}
    return {name: id_ for name, id_ in found.items() if id_ is not None}


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise Damaged(f"'{name:.60}' is no name for a restore point")
    return name
