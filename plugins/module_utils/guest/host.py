"""The guest's file system and programs, as facts and settings reach them: bounded in size and in time."""

from __future__ import annotations

import glob
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

READ_LIMIT = 4 << 20  # bytes of one file; /var/lib/dpkg/status, the largest that is read, has 1 to 3 MB
RUN_LIMIT = 4 << 20  # bytes of a program's output
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "HOME": "/root",
}


class GuestError(Exception):
    """A sentence for the operator: what happened, what was left as it was, what to do now."""


@dataclass(frozen=True)
class Ran:
    """What a program answered."""

    code: int
    out: str
    err: str

    def said(self) -> str:
        """Its last words, for an error message."""
        return " ".join((self.err.strip() or self.out.strip())[-600:].split()) or "it said nothing"


class Host:
    """A guest seen from inside. `root` is ``/``, or a Debian tree that is then entered with chroot."""

    def __init__(self, root: str = "/") -> None:
        self.root = root.rstrip("/")

    @property
    def live(self) -> bool:
        """Whether systemd runs here as the service manager; a plain tree has none."""
        return not self.root and os.path.isdir("/run/systemd/system")

    def path(self, path: str) -> str:
        """`path` of the guest as this process opens it."""
        return self.root + path

    def read(self, path: str, limit: int = READ_LIMIT) -> str | None:
        """The text of a file; None where it is proven absent. Raises GuestError for what cannot be read."""
        try:
            with open(self.path(path), "rb", buffering=0) as file:
                data = b""
                while len(data) <= limit:  # by blocks: /proc/sys allocates as much as a read asks for
                    block = file.read(1 << 16)
                    if not block:
                        break
                    data += block
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise GuestError(f"{path} cannot be read: {error.strerror}.") from error
        if len(data) > limit:
            raise GuestError(f"{path} is larger than {limit} bytes; it was not read.")
        return data.decode("utf-8", "replace")

    def stat(self, path: str) -> os.stat_result | None:
        """Status of what `path` leads to, None where nothing is there."""
        try:
            return os.stat(self.path(path))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise GuestError(f"{path} cannot be examined: {error.strerror}.") from error

    def exists(self, path: str) -> bool:
        """Whether something is at `path`."""
        return self.stat(path) is not None

    def glob(self, pattern: str) -> list[str]:
        """Paths of the guest that match, sorted; at most 10,000."""
        cut = len(self.root)
        return sorted(found[cut:] for found in glob.glob(self.path(pattern)))[:10_000]

    def program(self, name: str) -> str | None:
        """Path of a program, None where it is not installed."""
        for folder in ENVIRONMENT["PATH"].split(":"):
            if os.access(self.path(f"{folder}/{name}"), os.X_OK):
                return f"{folder}/{name}"
        return None

    def run(self, argv: Sequence[str], timeout: float = 60, text: str | None = None) -> Ran:
        """Run a program by its argument list. Raises GuestError when it is missing or does not end in time."""
        command = list(argv) if not self.root else ["chroot", self.root, *argv]
        try:
            done = subprocess.run(command, input=(text or "").encode(), capture_output=True,
                                  timeout=timeout, env=ENVIRONMENT, check=False)
        except FileNotFoundError as error:
            raise GuestError(f"{argv[0]} is not installed.") from error
        except subprocess.TimeoutExpired as error:
            raise GuestError(f"`{' '.join(argv)}` did not end within {timeout:g} s and was stopped.") from error
        return Ran(done.returncode, done.stdout[:RUN_LIMIT].decode("utf-8", "replace"),
                   done.stderr[:RUN_LIMIT].decode("utf-8", "replace"))

    def must(self, argv: Sequence[str], timeout: float = 60) -> Ran:
        """Like `run`, but an exit code other than 0 is a GuestError."""
        ran = self.run(argv, timeout)
        if ran.code != 0:
            raise GuestError(f"`{' '.join(argv)}` failed with exit code {ran.code}: {ran.said()}")
        return ran

    def write(self, path: str, text: str, mode: int, uid: int = 0, gid: int = 0) -> None:
        """Write a file atomically: a reader sees the old content or the new one, never a part."""
        target = os.path.realpath(self.path(path))
        os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".muster-", dir=os.path.dirname(target))
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode())
                file.flush()
                if os.geteuid() == 0:
                    os.fchown(file.fileno(), uid, gid)
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            if os.path.exists(temporary):
                os.unlink(temporary)
            raise

    def copy(self, source: str, target: str) -> None:
        """Copy a file with mode, owner and group."""
        shutil.copy2(self.path(source), self.path(target))
        status = os.stat(self.path(source))
        if os.geteuid() == 0:
            os.chown(self.path(target), status.st_uid, status.st_gid)

    def mode(self, path: str) -> int | None:
        """Permission bits, None where nothing is there."""
        status = self.stat(path)
        return None if status is None else stat.S_IMODE(status.st_mode)
