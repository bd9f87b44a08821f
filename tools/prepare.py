"""``python3 tools/prepare.py [--tests]``: install the Debian packages that Muster needs on this machine, where they are
missing; with ``--tests`` those that only its tests need too.

Exit code 0: all there; 2: one sentence says what is missing and what to do. Standard library only, no Muster import:
this runs before the virtual environment exists.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

# What a program is needed for decides what is missing where there is no apt to ask.
PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "libvirtd": "libvirt-daemon",
    "virsh": "libvirt-clients",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "grub-mkimage": "grub-common",
    "ssh-keygen": "openssh-client",
    "pkg-config": "pkg-config",
    "gcc": "gcc",
    "ip": "iproute2",
}
WITHOUT_PROGRAM = (
    "libvirt-daemon-system",  # the system daemon's users, folders and sockets
    "libvirt-daemon-driver-qemu",
    "libvirt-dev",  # libvirt-python is compiled against it
    "python3-dev",
    "python3-venv",
    "grub-pc-bin",  # GRUB's boot code for BIOS machines
    "debian-archive-keyring",  # verifies what the guest image is built from
)
FOR_TESTS = {
    "chromium": "chromium",  # the report is opened in it
    "go": "golang-go",  # builds the vCenter simulator …
}
FOR_TESTS_WITHOUT_PROGRAM = ("golang-github-vmware-govmomi-dev",)  # … from this source
FOR_OTHERS_THAN_ROOT = ("uidmap",)  # the guest image's user namespace
SBIN = os.pathsep.join(("/usr/local/sbin", "/usr/sbin", "/sbin"))


def wanted(root: bool, tests: bool) -> list[str]:
    others = () if root else FOR_OTHERS_THAN_ROOT
    of_tests = (*FOR_TESTS.values(), *FOR_TESTS_WITHOUT_PROGRAM) if tests else ()
    return sorted({*PROGRAMS.values(), *WITHOUT_PROGRAM, *others, *of_tests})


def installed(packages: list[str]) -> set[str]:
    """The packages of ``packages`` that dpkg says are installed."""
    argv = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *packages]
    answer = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
    return {line.split()[0] for line in answer.splitlines() if line.endswith(" installed")}


def missing_programs(tests: bool) -> list[str]:
    path = os.environ.get("PATH", "") + os.pathsep + SBIN
    return sorted(name for name in (*PROGRAMS, *(FOR_TESTS if tests else ())) if not shutil.which(name, path=path))


def apt(arguments: list[str], root: bool) -> int:
    """Run apt-get without questions, as root or through sudo; return its exit code."""
    options = ["-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0"]
    environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
    argv = [*([] if root else ["sudo"]), *environment, "apt-get", *options, *arguments]
    return subprocess.run(argv, check=False).returncode


def prepare(root: bool, tests: bool) -> str:
    """Install what is missing; return "" or the sentence that says why it cannot be done."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-query"):
        missing = missing_programs(tests)
        if not missing:
            return ""
        return f"This machine has no apt; install these programs by its own package manager: {', '.join(missing)}."
    packages = wanted(root, tests)
    missing = sorted(set(packages) - installed(packages))
    if not missing:
        return ""
    if not root and not shutil.which("sudo"):
        return f"sudo is not installed; as root run: apt-get install --no-install-recommends {' '.join(missing)}"
    print(f"Installing {len(missing)} Debian packages through apt: {' '.join(missing)}", flush=True)
    install = ["install", "--yes", "--no-install-recommends", *missing]
    if apt(["update"], root) != 0 or apt(install, root) != 0:
        return f"apt could not install {' '.join(missing)}; its message is above. Mend it, then run this again."
    return ""


def main() -> int:
    problem = prepare(os.geteuid() == 0, "--tests" in sys.argv[1:])
    if problem:
        print(problem, file=sys.stderr)
    return 2 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
