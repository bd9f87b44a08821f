"""What Proxmox's cloud-init gives a guest: its user, the key that lets Ansible in, and a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ..guest_key import public_key


def fields(ssh: Mapping[str, Any], nics: Sequence[Mapping[str, Any]], site: str, vm: str) -> dict[str, str]:
    """The fields of the configuration. The name of the VM is its guest's host name; Proxmox sees to that."""
    found = {f"ipconfig{n}": "ip=dhcp" for n in range(len(nics))}
    if ssh.get("user"):
        found["ciuser"] = str(ssh["user"])
    if ssh.get("key"):
        found["sshkeys"] = quote(public_key(ssh, site, vm), safe="")  # Proxmox wants it encoded once more
    return found


def drive(config: Mapping[str, Any]) -> bool:
    """Whether a configuration has a drive of cloud-init."""
    return any("cloudinit" in str(value) for key, value in config.items() if key.startswith(("ide", "sata", "scsi")))
