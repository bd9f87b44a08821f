"""The steps that plans are made of. A kind that needs another one defines it beside its plan."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

from .formats import edit
from .host import GuestError, Host
from .plan import Step


@dataclass(frozen=True)
class WriteFile(Step):
    """Write the whole of a file; owner, group and mode as given."""

    path: str
    text: str
    mode: int = 0o644
    uid: int = 0
    gid: int = 0

    def touches(self) -> list[str]:
        return [self.path]

    def run(self, host: Host) -> None:
        host.write(self.path, self.text, self.mode, self.uid, self.gid)


@dataclass(frozen=True)
class EditFile(Step):
    """Set keys of a file that others own too, at the time of the step: a package may just have brought the file."""

    path: str
    values: tuple[tuple[str, str], ...]
    separator: str  # what stands between key and value, e.g. " = "
    comment: str = "#"

    def touches(self) -> list[str]:
        return [self.path]

    def run(self, host: Host) -> None:
        status = host.stat(self.path)
        text = edit(host.read(self.path) or "", dict(self.values), self.separator)
        if status is None:
            host.write(self.path, text, 0o644)
        else:
            host.write(self.path, text, status.st_mode & 0o7777, status.st_uid, status.st_gid)


@dataclass(frozen=True)
class Access(Step):
    """Set mode and owner of a path. None leaves as it is."""

    path: str
    mode: int | None = None
    uid: int = -1
    gid: int = -1

    def run(self, host: Host) -> None:
        real = host.path(self.path)
        if (self.uid, self.gid) != (-1, -1):
            os.chown(real, self.uid, self.gid)
        if self.mode is not None:  # after chown, which clears the setuid and setgid bits
            os.chmod(real, self.mode)


@dataclass(frozen=True)
class RemoveFile(Step):
    """Remove a file; gone already is fine."""

    path: str

    def touches(self) -> list[str]:
        return [self.path]

    def run(self, host: Host) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(host.path(self.path))


@dataclass(frozen=True)
class Run(Step):
    """Run a program that must succeed. `saves` are files that it rewrites, for the gate."""

    argv: tuple[str, ...]
    timeout: float = 120
    saves: tuple[str, ...] = ()

    def touches(self) -> list[str]:
        return list(self.saves)

    def run(self, host: Host) -> None:
        host.must(self.argv, self.timeout)


@dataclass(frozen=True)
class Poke(Step):
    """Write a value into the kernel's own file system (/proc/sys)."""

    path: str
    value: str

    def run(self, host: Host) -> None:
        try:
            with open(host.path(self.path), "w", encoding="ascii") as file:
                file.write(self.value + "\n")
        except OSError as error:
            raise GuestError(f"{self.path} did not take {self.value!r}: {error.strerror}.") from error
