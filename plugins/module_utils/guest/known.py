"""What is looked at even when nobody asks: the subjects of the CIS benchmarks for Debian 12 and Ubuntu 24.04."""
# ruff: noqa: S108 - the paths are looked at, nothing is written there

from __future__ import annotations

MODULES = ("cramfs", "freevxfs", "hfs", "hfsplus", "jffs2", "squashfs", "udf", "usb-storage", "dccp", "tipc", "rds",
           "sctp", "overlayfs", "overlay")

SYSCTL = (
    "kernel.randomize_va_space", "kernel.yama.ptrace_scope", "kernel.kptr_restrict", "kernel.dmesg_restrict",
    "kernel.perf_event_paranoid", "kernel.unprivileged_bpf_disabled", "kernel.sysrq", "kernel.kexec_load_disabled",
    "kernel.core_uses_pid", "net.core.bpf_jit_harden", "dev.tty.ldisc_autoload",
    "fs.suid_dumpable", "fs.protected_hardlinks", "fs.protected_symlinks", "fs.protected_fifos",
    "fs.protected_regular",
    "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding",
    *(f"net.ipv4.conf.{where}.{what}" for where in ("all", "default") for what in
      ("send_redirects", "accept_redirects", "secure_redirects", "rp_filter", "accept_source_route", "log_martians")),
    *(f"net.ipv6.conf.{where}.{what}" for where in ("all", "default") for what in
      ("accept_redirects", "accept_source_route", "accept_ra")),
    "net.ipv4.icmp_ignore_bogus_error_responses", "net.ipv4.icmp_echo_ignore_broadcasts", "net.ipv4.tcp_syncookies",
)

PACKAGES = (
    "autofs", "avahi-daemon", "isc-dhcp-server", "bind9", "dnsmasq", "vsftpd", "slapd", "dovecot-imapd",
    "dovecot-pop3d", "nfs-kernel-server", "ypserv", "cups", "rpcbind", "rsync", "samba", "snmpd", "tftpd-hpa", "squid",
    "apache2", "nginx", "xserver-common", "nis", "rsh-client", "talk", "talkd", "telnet", "inetutils-telnet",
    "telnetd", "inetutils-telnetd", "rsh-server", "ldap-utils", "ftp", "tnftp", "xinetd", "openbsd-inetd",
    "prelink", "apport", "gdm3", "apparmor", "apparmor-utils", "auditd", "audispd-plugins", "aide", "aide-common",
    "libpam-pwquality", "libpam-runtime",
    "libpam-modules", "chrony", "systemd-timesyncd", "ntp", "ntpsec", "sudo", "sudo-ldap", "cron", "rsyslog",
    "systemd-journal-remote", "systemd-coredump", "unattended-upgrades", "ufw", "nftables", "iptables-persistent",
    "openssh-server", "qemu-guest-agent", "cloud-init", "acct", "fail2ban", "needrestart", "debsums",
    "at", "bluez", "iptables", "kea-dhcp4-server", "kea-dhcp6-server", "snapd", "whoopsie", "docker.io", "docker-ce",
    "containerd", "containerd.io", "podman", "overlayroot",
)

SERVICES = (
    "ssh", "cron", "rsyslog", "systemd-journald", "systemd-timesyncd", "chrony", "auditd", "apparmor", "autofs",
    "avahi-daemon", "cups", "rpcbind", "rsync", "nfs-server", "bluetooth", "nftables", "ufw", "unattended-upgrades",
    "apt-daily-upgrade.timer", "systemd-journal-remote.socket", "systemd-journal-upload", "qemu-guest-agent",
    "cloud-init", "apport", "kdump-tools", "debug-shell", "ctrl-alt-del.target", "ntpsec", "ntp", "openntpd",
    "apache2", "nginx", "whoopsie", "systemd-journal-remote", "netfilter-persistent", "dailyaidecheck.timer",
)

FILES = (
    "/etc/passwd", "/etc/passwd-", "/etc/group", "/etc/group-", "/etc/shadow", "/etc/shadow-", "/etc/gshadow",
    "/etc/gshadow-", "/etc/shells", "/etc/security/opasswd", "/etc/security/opasswd.old", "/etc/crontab",
    "/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly", "/etc/cron.d", "/etc/cron.allow",
    "/etc/cron.deny", "/etc/at.allow", "/etc/at.deny", "/etc/ssh/sshd_config", "/boot/grub/grub.cfg", "/etc/motd",
    "/etc/issue", "/etc/issue.net", "/etc/sudoers", "/etc/sudoers.d", "/root", "/tmp", "/var/tmp", "/var/log/audit",
    "/etc/hosts.equiv", "/root/.rhosts", "/etc/ssh/sshd_config.d", "/etc/audit/auditd.conf", "/sbin/auditctl",
    "/etc/rsyslog.conf",
)

MOUNTS = (
    "/", "/tmp", "/dev/shm", "/home", "/var", "/var/tmp", "/var/log", "/var/log/audit", "/boot", "/boot/efi",
)
