"""A small tree with the files of a Debian guest, and a host that sees it as its root."""

from __future__ import annotations

from pathlib import Path

import pytest
from muster.guest.host import Host

FILES = {
    "etc/login.defs": "# PASS_MAX_DAYS 1\nPASS_MAX_DAYS\t99999\nPASS_MIN_DAYS\t0\nUMASK\t\t022\nUID_MIN 1000\n",
    "etc/default/useradd": "SHELL=/bin/sh\n# INACTIVE=-1\n",
    "etc/security/limits.conf": "# nothing\n",
    "etc/profile": "umask 022\n",
    "etc/fstab": "LABEL=root / ext4 errors=remount-ro 0 1\n",
    "etc/systemd/journald.conf": "[Journal]\n#Storage=auto\nCompress=no\n",
    "etc/apt/apt.conf.d/20auto-upgrades": 'APT::Periodic::Update-Package-Lists "1";\n',
    "etc/sudoers": "Defaults\tenv_reset\nDefaults:eve !use_pty\nDefaults use_pty\nroot ALL=(ALL:ALL) ALL\n"
                   "@includedir /etc/sudoers.d\n",
    "etc/sudoers.d/90-cloud-init-users": "muster ALL=(ALL) NOPASSWD:ALL\n",
    "etc/crontab": "17 * * * * root true\n",
    "etc/issue": "Debian GNU/Linux 12 \\n \\l\n",
    "etc/pam.d/su": "# su\nauth       sufficient pam_rootok.so\n# auth required pam_wheel.so\n@include common-auth\n",
    "etc/pam.d/common-auth": "auth [success=1 default=ignore] pam_unix.so nullok\n",
    "etc/security/pwquality.conf": "# minlen = 8\nminlen = 6\n",
    "etc/audit/auditd.conf": "max_log_file = 8\nnum_logs = 5\n",
    "etc/modprobe.d/other.conf": "install udf /bin/true\n",
    "etc/group": "root:x:0:\n",
    "etc/passwd": "root:x:0:0::/root:/bin/bash\ngames:x:5:60::/usr/games:/bin/sh\n"
                  "eve:x:1001:1001::/home/eve:/bin/bash\nstrange:x:1002:1002::/usr/strange:/bin/sh\n",
    "usr/strange/file": "",
    "home/eve/file": "",
    "proc/modules": "cramfs 16384 0 - Live 0x0\n",
    "proc/sys/net/ipv4/ip_forward": "1\n",
    "proc/sys/net/ipv4/tcp_rmem": "4096\t131072\t6291456\n",
    "proc/self/mounts": "/dev/vda1 / ext4 rw,relatime 0 0\ntmpfs /dev/shm tmpfs rw,nosuid,nodev 0 0\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The tree itself."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)
        path.parent.chmod(0o755)
    return tmp_path


class Tree(Host):
    """A host on a tree. What it would run is only noted: these tests are about files."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.ran: list[tuple[str, ...]] = []

    def must(self, argv, timeout=60):  # type: ignore[no-untyped-def]
        self.ran.append(tuple(argv))


@pytest.fixture
def host(tree: Path) -> Tree:
    """The host on that tree."""
    return Tree(str(tree))
