"""What lies on the guest's own disks: writable by everybody, owned by nobody, run with another's rights."""
# ruff: noqa: S108 - the paths are looked at, nothing is written there

from __future__ import annotations

import grp
import os
import pwd
import stat
import time
from collections.abc import Callable, Iterator
from typing import Any

from ..host import GuestError, Host
from .asked import Asked

SECONDS = 30.0
ENTRIES = 500_000
SHOWN = 100  # names per list; more help nobody
LOCAL = ("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "jfs", "zfs")
SHARED = ("/tmp", "/var/tmp", "/dev/shm")  # looked into whatever file system they are
# Images of containers bring ids and modes of their own, and their files are not run as the guest's.
SKIPPED = ("/proc", "/sys", "/dev", "/run", "/snap", "/var/lib/docker", "/var/lib/containerd", "/var/lib/containers",
           "/var/lib/kubelet", "/var/lib/lxd")


def roots(host: Host) -> dict[str, list[str]]:
    """Mount points that are walked, with their options. The root of the guest is always among them."""
    found: dict[str, list[str]] = {"/": []}
    for line in (host.read("/proc/self/mounts") or "").splitlines():
        fields = line.split()
        if len(fields) >= 4 and (fields[2] in LOCAL or fields[1] in SHARED):
            found[fields[1].replace("\\040", " ")] = fields[3].split(",")
    return found


def walk(host: Host, top: str, left: Callable[[], None]) -> Iterator[tuple[str, os.stat_result]]:
    """Each directory and file below `top` and on its file system; links are not followed. `left` raises when to stop.
    """
    first = host.stat(top)
    if first is None:
        return
    yield top, first
    folders = [top]
    while folders:
        folder = folders.pop()
        try:
            entries = list(os.scandir(host.path(folder)))
        except (FileNotFoundError, NotADirectoryError):
            continue  # gone since it was seen
        for entry in entries:
            left()
            path = f"{folder.rstrip('/')}/{entry.name}"
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISDIR(status.st_mode):
                if status.st_dev != first.st_dev or path in SKIPPED:
                    continue
                folders.append(path)
            yield path, status


class Strangers:
    """Whether an id has no name. Asked once for each, through NSS: systemd's dynamic users are known there."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], bool] = {}

    def _named(self, kind: str, number: int) -> bool:
        if (kind, number) not in self._known:
            try:
                pwd.getpwuid(number) if kind == "user" else grp.getgrgid(number)
                self._known[kind, number] = True
            except KeyError:
                self._known[kind, number] = False
        return self._known[kind, number]

    def owns(self, status: os.stat_result) -> bool:
        """Whether the owner or the group of a file is one of them."""
        return not self._named("user", status.st_uid) or not self._named("group", status.st_gid)


def survey(host: Host, seconds: float = SECONDS) -> dict[str, list[str]]:
    """`world_writable` files, `not_sticky` directories, `unowned`, and `setuid` programs, sorted.

    Raises GuestError when the disks hold more than can be looked at in `seconds`: a part would pass for the whole.
    """
    end = time.monotonic() + seconds
    count = 0

    def left() -> None:
        nonlocal count
        count += 1
        if count > ENTRIES or time.monotonic() > end:
            raise GuestError(f"The disks hold more files than could be looked at ({count - 1} in {seconds:g} s).")

    lists: dict[str, set[str]] = {"world_writable": set(), "not_sticky": set(), "unowned": set(), "setuid": set()}
    strangers = Strangers()
    for top, options in roots(host).items():
        inert = "nosuid" in options or "noexec" in options
        for path, status in walk(host, top, left):
            mode = status.st_mode
            if stat.S_ISLNK(mode):
                continue
            if strangers.owns(status):
                lists["unowned"].add(path)
            if stat.S_ISDIR(mode) and mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
                lists["not_sticky"].add(path)
            elif stat.S_ISREG(mode):
                if mode & stat.S_IWOTH:
                    lists["world_writable"].add(path)
                if mode & (stat.S_ISUID | stat.S_ISGID) and mode & 0o111 and not inert:
                    lists["setuid"].add(path)
    return {name: sorted(paths) for name, paths in lists.items()}


def facts(host: Host, asked: Asked) -> dict[str, Any]:
    """`disk`: lists of paths, the first hundred of each; all setuid programs."""
    try:
        found = survey(host)
    except GuestError as error:
        return {"unread": {"disk": str(error)}}
    return {"disk": {name: paths if name == "setuid" else paths[:SHOWN] for name, paths in found.items()}}
