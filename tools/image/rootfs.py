"""Unpacks Debian into a folder with mmdebstrap, as root or inside a user namespace."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.errors import ToolError
from tools.image import sources
from tools.progress import Progress, run

PACKAGES = (
    # boots by itself and is upgraded by apt
    "linux-image-cloud-amd64 grub-pc initramfs-tools zstd systemd-sysv udev kmod e2fsprogs",
    # is reached, configured and grown on its first boot
    "openssh-server cloud-init cloud-guest-utils fdisk dbus libpam-systemd qemu-guest-agent",
    "systemd-resolved systemd-timesyncd iproute2 iputils-ping nftables ca-certificates",
    # is managed by Ansible: python3-apt for its apt module, acl to become an unprivileged user
    "python3 python3-apt sudo acl",
    # what every Debian server has
    "apparmor cron logrotate procps less",
    # what hardening asks for: installing a package costs minutes where the CPU is emulated
    "auditd libpam-pwquality unattended-upgrades",
)
# Documentation and translations are a third of the image and nobody reads them in a guest.
LEFT_OUT = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
)
# mmdebstrap's own messages, and what they mean to somebody who waits.
STEPS = {
    "running apt-get update": "reading package lists",
    "downloading packages": "downloading packages",
    "extracting archives": "unpacking the essential packages",
    "installing essential packages": "installing the essential packages",
    "installing remaining packages": "unpacking packages",
    "cleaning package lists": "cleaning up",
}


def packages() -> list[str]:
    return " ".join(PACKAGES).split()


def as_root(argv: Sequence[str]) -> list[str]:
    """``argv`` as it must be run to own files as root: as it is, or in a user namespace with subordinate ids."""
    if os.geteuid() == 0:
        return list(argv)
    if not shutil.which("newuidmap"):
        raise ToolError("Building the guest image without root needs newuidmap; install the package uidmap.")
    namespace = ["unshare", "--user", "--map-root-user", "--map-auto", "--mount", "--pid", "--fork", "--kill-child"]
    return [*namespace, *argv]


def unpack(folder: Path, log: Path, progress: Progress) -> None:
    """Fill ``folder`` with a Debian 12 system: packages installed, our files in place, ready for ``mke2fs -d``."""
    hook = f'"{sys.executable}" -m tools.image.guest'
    argv = ["mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory", "--verbose"]
    argv += [f"--include={','.join(packages())}", f'--essential-hook={hook} prepare "$1"']
    argv += [f'--customize-hook={hook} finish "$1"']
    # The package lists stay: the first `apt-get update` of a guest then downloads what is new, nothing else.
    argv += ["--skip=cleanup/apt/lists"]
    argv += [f"--dpkgopt={option}" for option in LEFT_OUT]
    argv += ['--aptopt=Acquire::Languages "none"', '--aptopt=APT::Install-Recommends "false"']
    argv += [f'--aptopt=Acquire::{scheme}::Proxy "{url}"' for scheme, url in sources.proxies().items()]
    argv += [sources.RELEASE, str(folder), *(source.line() for source in sources.debian_sources())]

    def follow(line: str) -> None:
        for message, step in STEPS.items():
            if message in line:
                progress.step = step

    with progress.during("reading package lists"):
        run(as_root(argv), log, follow)


def mounts_beneath(folder: Path) -> list[str]:
    """The mount points under ``folder``, the deepest first."""
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        points = [line.split()[4].replace("\\040", " ") for line in table]
    return sorted((p for p in points if p.startswith(f"{folder}/")), key=len, reverse=True)


def end_strays(folder: Path) -> None:
    """End the processes whose command line names this build folder: what a killed builder left at work in it."""
    name = os.fsencode(f"{folder}/")
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended while we looked, or is somebody else's
            if name in (entry / "cmdline").read_bytes():
                os.kill(int(entry.name), signal.SIGKILL)


def remove(folder: Path, log: Path) -> None:
    """Delete a build folder, whoever its files belong to; what an interrupted build left running or mounted ends."""
    if not folder.exists():
        return
    end_strays(folder)
    for point in mounts_beneath(folder):
        run(as_root(["umount", "--lazy", point]), log)
    run(as_root(["rm", "-rf", "--one-file-system", str(folder)]), log)
