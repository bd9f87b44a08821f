"""The effective configuration of sshd, as sshd itself tells it."""

from __future__ import annotations

from typing import Any

from ..host import GuestError, Host
from .asked import Asked

SSHD = "/usr/sbin/sshd"


def parse(text: str) -> dict[str, str]:
    """``sshd -T``'s lines: lower-case keys; the values of a repeated key are joined by a space."""
    answer: dict[str, str] = {}
    for line in text.splitlines():
        key, _space, value = line.strip().partition(" ")
        if key:
            answer[key.lower()] = f"{answer[key.lower()]} {value}" if key.lower() in answer else value
    return answer


def effective(host: Host, user: str | None = None, config: str | None = None) -> dict[str, str]:
    """What sshd would do, for connections of `user` if given. Raises GuestError with sshd's own words."""
    argv: list[str] = [SSHD, "-T"]
    if user is not None:
        argv += ["-C", f"user={user},host=localhost,addr=127.0.0.1"]
    if config is not None:
        argv += ["-f", config]
    ran = host.run(argv, timeout=60)
    if ran.code != 0:
        raise GuestError(f"sshd does not accept its configuration: {ran.said()}")
    return parse(ran.out)


def facts(host: Host, asked: Asked) -> dict[str, Any]:
    """`sshd` and `sshd_management` (for the management user; ``Match`` blocks may differ for it)."""
    if not host.exists(SSHD):
        return {}
    general = effective(host)
    answer: dict[str, Any] = {"sshd": general, "sshd_management": general}
    text = host.read("/etc/ssh/sshd_config") or ""
    text += "".join(host.read(path) or "" for path in host.glob("/etc/ssh/sshd_config.d/*.conf"))
    if any(line.lower().lstrip().startswith("match ") for line in text.splitlines()):  # else both are the same
        answer["sshd_management"] = effective(host, asked.management_user)
    modes = {path: host.mode(path) for path in host.glob("/etc/ssh/ssh_host_*_key")}
    answer["ssh_host_keys"] = {
        "private": len(modes),
        "private_loose": [path for path, mode in modes.items() if mode is not None and mode & 0o077],
        "public_loose": [path for path in host.glob("/etc/ssh/ssh_host_*_key.pub") if (host.mode(path) or 0) & 0o133],
    }
    return answer
