"""Refusals: settings after which the management user could not come back are refused before anything changes."""

from __future__ import annotations

import grp
import pwd
from fnmatch import fnmatchcase

from .host import GuestError, Host

PROTECTED_PACKAGES = frozenset({
    "openssh-server", "openssh-sftp-server", "sudo", "python3", "python3-minimal", "systemd", "systemd-sysv", "udev",
    "libpam-runtime", "libpam-modules", "login", "passwd", "bash", "dash", "coreutils", "apt", "dpkg", "cloud-init",
    "qemu-guest-agent", "ifupdown", "isc-dhcp-client", "iproute2", "initramfs-tools", "grub-pc", "dbus",
})
PROTECTED_UNITS = frozenset({
    "ssh", "ssh.service", "ssh.socket", "dbus", "networking", "systemd-networkd", "systemd-resolved",
    "systemd-journald", "systemd-logind", "systemd-udevd", "cloud-init", "cloud-init-local", "cloud-config",
    "cloud-final", "qemu-guest-agent",
})
SUDO_ALLOWED = frozenset({
    "use_pty", "logfile", "timestamp_timeout", "passwd_tries", "umask", "umask_override", "secure_path", "env_reset",
    "log_input", "log_output", "iolog_dir", "log_host", "log_year", "loglinelen", "badpass_message", "insults",
    "passprompt", "timestamp_type", "lecture",
})


def groups_of(user: str) -> list[str]:
    """Names of the groups of `user`. Raises GuestError where there is no such account."""
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise GuestError(f"The management user {user!r} has no account in the guest. Nothing was changed. "
                         "Give the account that Ansible logs in with as management_user.") from None
    return [group.gr_name for group in grp.getgrall() if user in group.gr_mem or group.gr_gid == entry.pw_gid]


def _any(names: list[str], patterns: str) -> bool:
    words = [word.split("@")[0] for word in patterns.split()]
    return any(fnmatchcase(name, pattern) for name in names for pattern in words)


def refuse_sshd(after: dict[str, str], before: dict[str, str], user: str, host: Host) -> None:
    """Raise GuestError when `after`, sshd's effective settings for `user`, would keep it out.

    `before` are the effective settings of now: ports and addresses must stay, for the controller comes back there.
    """
    reasons: list[str] = []
    names, groups = [user], groups_of(user)
    if _any(names, after.get("denyusers", "")):
        reasons.append(f"DenyUsers names {user}")
    if after.get("allowusers") and not _any(names, after["allowusers"]):
        reasons.append(f"AllowUsers does not name {user}")
    if _any(groups, after.get("denygroups", "")):
        reasons.append(f"DenyGroups names a group of {user}")
    if after.get("allowgroups") and not _any(groups, after["allowgroups"]):
        reasons.append(f"AllowGroups names no group of {user}")
    if after.get("pubkeyauthentication", "yes") != "yes":
        reasons.append("PubkeyAuthentication is off, so a key no longer opens")
    methods = after.get("authenticationmethods", "any")
    if methods != "any" and "publickey" not in methods.split():
        reasons.append("AuthenticationMethods asks for more than a key")
    if user == "root" and after.get("permitrootlogin") == "no":
        reasons.append("PermitRootLogin is no, and root is the management user")
    if after.get("forcecommand", "none") != "none":
        reasons.append("ForceCommand replaces every command")
    if after.get("chrootdirectory", "none") != "none":
        reasons.append("ChrootDirectory takes the system away")
    for key in ("port", "listenaddress", "addressfamily"):
        if before and after.get(key) != before.get(key):
            reasons.append(f"{key} would change, and Muster comes back where it came in")
    if int(after.get("maxsessions", "10")) < 1:
        reasons.append("MaxSessions allows no session")
    if not _has_key(after, user, host):
        reasons.append(f"no AuthorizedKeysFile would hold a key for {user}")
    if reasons:
        raise GuestError(f"The sshd settings would lock the management user out: {'; '.join(reasons)}. "
                         "Nothing was changed. Correct the rule or its waiver and run again.")


def _has_key(after: dict[str, str], user: str, host: Host) -> bool:
    """Whether a key file of `user` is there, or keys come from a program, or passwords are allowed."""
    if after.get("authorizedkeyscommand", "none") != "none" or after.get("trustedusercakeys", "none") != "none":
        return True
    home = pwd.getpwnam(user).pw_dir
    for pattern in after.get("authorizedkeysfile", ".ssh/authorized_keys .ssh/authorized_keys2").split():
        path = pattern.replace("%h", home).replace("%u", user).replace("%%", "%")
        path = path if path.startswith("/") else f"{home}/{path}"
        if any(line.strip() and not line.startswith("#") for line in (host.read(path) or "").splitlines()):
            return True
    return False


def refuse_packages(names: list[str]) -> None:
    """Raise GuestError when a package would go that Muster, or the boot, needs."""
    needed = sorted(PROTECTED_PACKAGES & set(names))
    if needed:
        raise GuestError(f"Removing {', '.join(needed)} would cut the guest off. Nothing was changed. "
                         "Take it out of packages_absent, or what depends on it.")


def refuse_units(names: list[str]) -> None:
    """Raise GuestError when a unit would be disabled that the way in depends on."""
    needed = sorted(PROTECTED_UNITS & set(names))
    if needed:
        raise GuestError(f"Disabling {', '.join(needed)} would cut the guest off. Nothing was changed. "
                         "Take it out of services_disabled.")


def refuse_sudo(names: list[str]) -> None:
    """Raise GuestError for sudo Defaults that are not known to be harmless to a user without a password."""
    strange = sorted(set(names) - SUDO_ALLOWED)
    if strange:
        raise GuestError(f"sudo: {', '.join(strange)} is not among the Defaults that Muster sets, for it could take "
                         f"sudo away from the management user. Nothing was changed. It sets: "
                         f"{', '.join(sorted(SUDO_ALLOWED))}.")


def refuse_path(path: str, user: str) -> None:
    """Raise GuestError for a path whose mode or owner the way in depends on."""
    home = pwd.getpwnam(user).pw_dir if user else "/nonexistent"
    strict = ("/", "/etc", "/usr", "/bin", "/sbin", "/lib", "/home", "/run", "/var", "/proc", "/sys", "/dev")
    if path in strict or path == home or path.startswith((home + "/", "/usr/", "/lib/", "/etc/pam.d")):
        raise GuestError(f"files: {path} is left alone, for the way into the guest depends on it. Nothing was changed.")
