"""The cloud-init seed (NoCloud): an ISO image that gives a guest its name, its user and its network."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

# Debian's kernel leaves hot-plugged CPUs and memory offline; these rules bring them online.
_HOTPLUG = (
    'SUBSYSTEM=="cpu", ACTION=="add", TEST=="online", ATTR{online}=="0", ATTR{online}="1"\n'
    'SUBSYSTEM=="memory", ACTION=="add", TEST=="state", ATTR{state}=="offline", ATTR{state}="online"\n'
)


def build(instance: str, hostname: str, user: str, key: str | None) -> bytes:
    """The ISO. `instance` is the identity: cloud-init sets a guest up once for each new one.

    The network part matches by name, not by MAC, so that a restored twin with another MAC still has a network.
    """
    cloud: dict[str, Any] = {
        "hostname": hostname,
        "manage_etc_hosts": True,
        "ssh_pwauth": False,
        "disable_root": True,
        "growpart": {"mode": "auto", "devices": ["/"]},
        "write_files": [{"path": "/etc/udev/rules.d/80-muster-hotplug.rules", "content": _HOTPLUG}],
        "package_update": False,
        "package_upgrade": False,
    }
    if key:
        cloud["users"] = [
            {
                "name": user,
                "gecos": "Muster",
                "shell": "/bin/bash",
                "lock_passwd": True,
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "ssh_authorized_keys": [key],
            }
        ]
    network = {"version": 2, "ethernets": {"all": {"match": {"name": "e*"}, "dhcp4": True}}}
    return _iso(
        {
            "meta-data": json.dumps({"instance-id": instance, "local-hostname": hostname}),
            "user-data": "#cloud-config\n" + json.dumps(cloud),  # JSON is YAML, and needs no quoting of ours
            "network-config": json.dumps(network),
        }
    )


def _iso(files: Mapping[str, str]) -> bytes:
    import pycdlib

    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident="cidata")
    for index, (name, text) in enumerate(files.items()):
        data = text.encode()
        iso.add_fp(io.BytesIO(data), len(data), f"/FILE{index}.;1", rr_name=name, joliet_path=f"/{name}")
    target = io.BytesIO()
    iso.write_fp(target)
    iso.close()
    return target.getvalue()
