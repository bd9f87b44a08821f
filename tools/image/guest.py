"""What makes a Debian tree a Muster guest. Called by mmdebstrap as hooks: ``prepare`` before the packages are
installed, ``finish`` after. Both run as root (of a user namespace) and touch only the folder that they are given."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.image import sources

FILES = Path(__file__).parent / "files"

# Upgrades of GRUB write themselves to the first virtio disk and never ask.
DEBCONF = """\
grub-pc grub-pc/install_devices multiselect /dev/vda
grub-pc grub-pc/install_devices_empty boolean false
grub-pc grub2/linux_cmdline string
grub-pc grub2/linux_cmdline_default string
grub-pc grub-pc/timeout string 0
"""
# Timers that wake up at boot and compete with it; patching is Muster's job, not the guest's.
MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "systemd-networkd-wait-online.service",
    # Each stage of cloud-init is a Python of its own that takes seconds. The network stage finds the seed disk as well
    # as the local one; what the config stage does is done by the final one, after SSH answers.
    "cloud-init-local.service",
    "cloud-config.service",
    "systemd-binfmt.service",
)
# Compiling these took 14 s of the first boot; what they confine (dhclient, NVIDIA's helper) never runs in a guest.
UNUSED_PROFILES = ("sbin.dhclient", "nvidia_modprobe")
ENABLED = ("systemd-networkd.service", "systemd-resolved.service", "systemd-timesyncd.service", "ssh.service")


def prepare(root: Path) -> None:
    """Before the packages: what decides how they are installed (initramfs, debconf)."""
    # A grub.cfg that is there already would make grub-pc probe for the disk, which does not exist yet.
    for part in ("etc", "usr"):
        shutil.copytree(FILES / part, root / part, dirs_exist_ok=True, copy_function=_copy)
    no_disk_yet = DEBCONF.replace("install_devices_empty boolean false", "install_devices_empty boolean true")
    subprocess.run(["chroot", root, "debconf-set-selections"], input=no_disk_yet, text=True, check=True)


def finish(root: Path) -> None:
    """After the packages: services, names, sources; and nothing left that must differ between two guests."""
    subprocess.run(["chroot", root, "debconf-set-selections"], input=DEBCONF, text=True, check=True)
    subprocess.run(["chroot", root, "systemctl", "mask", *MASKED], check=True)
    subprocess.run(["chroot", root, "systemctl", "enable", *ENABLED], check=True)
    shutil.copytree(FILES, root, dirs_exist_ok=True, copy_function=_copy)
    shutil.copytree("/usr/lib/grub/i386-pc", root / "boot/grub/i386-pc", dirs_exist_ok=True)
    (root / "etc/hostname").write_text("muster-guest\n", encoding="utf-8")
    for profile in UNUSED_PROFILES:
        (root / "etc/apparmor.d/disable" / profile).symlink_to(f"../{profile}")
    resolv = root / "etc/resolv.conf"
    resolv.unlink(missing_ok=True)
    resolv.symlink_to("../run/systemd/resolve/stub-resolv.conf")
    (root / "etc/machine-id").write_text("uninitialized\n", encoding="utf-8")
    (root / "var/log/journal").mkdir(exist_ok=True)
    _write_proxies(root)
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for log in ("var/log/dpkg.log", "var/log/apt/history.log", "var/log/apt/term.log", "var/log/bootstrap.log"):
        (root / log).unlink(missing_ok=True)


def _copy(source: str, target: str) -> None:
    """Copy as root with plain modes, whatever the checkout's owner and umask were."""
    shutil.copyfile(source, target)
    os.chmod(target, 0o755 if os.access(source, os.X_OK) else 0o644)


def _write_proxies(root: Path) -> None:
    """Replace mmdebstrap's copy of our APT options: a proxy on the host's loopback has another address in a guest."""
    lines = ['Acquire::Languages "none";']
    lines += [f'Acquire::{scheme}::Proxy "{sources.for_guest(url)}";' for scheme, url in sources.proxies().items()]
    (root / "etc/apt/apt.conf.d/99mmdebstrap").unlink(missing_ok=True)
    (root / "etc/apt/apt.conf.d/99muster").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    {"prepare": prepare, "finish": finish}[sys.argv[1]](Path(sys.argv[2]))
