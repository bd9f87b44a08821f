"""How Ansible reaches the guests of a fleet: host variables, from the site's settings and the live address."""

from __future__ import annotations

import ipaddress
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from ..model.fleet import Fleet
from ..model.vm import VM, Mark
from .session import only

_NO_GROUP = re.compile(r"[^A-Za-z0-9_]")
_NO_ALIAS = re.compile(r"[^A-Za-z0-9_.-]")
_PLAIN = re.compile(r"[A-Za-z0-9_./-]+")
_TOLD = ("power", "address", "addresses", "endpoints")  # of what is no field


def variables(fleet: Fleet, vm: VM) -> dict[str, Any]:
    """The host variables of a VM of the fleet; empty where it cannot be reached (off, or without an address).

    Host keys are learned at the first contact and kept beside the site's key, under a name that holds the operation
    that made the VM: one that was made anew is not taken for its predecessor, and a twin not for the VM.
    """
    address = str(vm.state.get("address") or "")
    if vm.power != "on" or not address or vm.mark is None:
        return {}
    host, _sep, port = address.rpartition(":") if address.count(":") == 1 else (address, "", "22")
    if not _is_address(host, port):  # a platform's reply, or what a guest told it: never an option of ssh
        return {}
    ssh = fleet.sites[vm.site]["ssh"] or {}
    found: dict[str, Any] = {
        "ansible_host": host,
        "ansible_port": int(port),
        "ansible_user": ssh.get("user") or "muster",
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    if ssh.get("key"):
        alias = _NO_ALIAS.sub("_", f"{vm.mark.vm}.{vm.site}.{vm.mark.operation or vm.uuid}")
        found["ansible_ssh_private_key_file"] = ssh["key"]
        known = shlex.quote(f"UserKnownHostsFile={_path(ssh['key'] + '.known_hosts')}")
        found["ansible_ssh_common_args"] = (
            f"-o IdentitiesOnly=yes -o {known} -o HostKeyAlias={alias} -o StrictHostKeyChecking=accept-new"
        )
    return found


def told(vm: VM) -> dict[str, Any]:
    """A VM as the host variable `muster`: its fields, and how it is reached. All else that its site tells of it is for
    rules; Ansible writes each value of each host, and that is the most of the time of an inventory."""
    state = {key: vm.state[key] for key in _TOLD if key in vm.state}
    return {**vm.spec, **state, "name": vm.name, "site": vm.site, "uuid": vm.uuid}


def remembered(vm: VM) -> dict[str, Any]:
    """A VM of the fleet as an inventory cache keeps it: plain data."""
    mark = vm.owner
    return {"name": vm.name, "site": vm.site, "uuid": vm.uuid, "mark": [mark.fleet, mark.vm, mark.operation],
            "spec": dict(vm.spec), "state": dict(vm.state)}  # fmt: skip


def recalled(fleet: Fleet, kept: Any) -> list[VM] | None:
    """The VMs that a cache kept; None for what `remembered` did not write, as an older version's.

    Whoever can write to the cache may say where a VM is, and no more: how it is reached is told by the fleet file, and
    text is plain text again, whatever Ansible's cache says that it may be trusted with.
    """
    try:
        plain = json.loads(json.dumps(kept))
        return list(of_fleet(fleet, [_recalled(fleet, one) for one in plain]).values())
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return None


def _recalled(fleet: Fleet, one: Mapping[str, Any]) -> VM:
    mark = Mark(*map(str, one["mark"]))
    site = fleet.sites[one["site"]].name
    return VM(str(one["name"]), site, dict(one["spec"]), str(one["uuid"]), mark, dict(one["state"]))


def _path(path: str) -> str:
    """`path` as ssh must read it in an option: a folder of the fleet file may hold spaces, quotes and ssh's tokens."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return path if _PLAIN.fullmatch(path) else f'"{escaped}"'


def _is_address(host: str, port: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 65536


def groups(vm: VM) -> list[str]:
    """The groups of a VM's host: by site, profile and tag, in the letters that Ansible allows for groups."""
    labels = [
        f"site_{vm.site}",
        *([f"profile_{vm['profile']}"] if vm["profile"] else []),
        *(f"tag_{name}_{value}" for name, value in (vm["tags"] or {}).items()),
    ]
    return [_NO_GROUP.sub("_", label) for label in labels]


def of_fleet(fleet: Fleet, listed: Iterable[VM]) -> dict[str, VM]:
    """The VMs of the fleet among `listed`, by their names in the fleet file. Raises Ambiguous."""
    return {
        vm.owner.vm: vm
        for vm in only(
            vm
            for vm in listed
            if vm.mark is not None and vm.mark.fleet == fleet.name and vm.state.get("built", True)
        )
    }
