"""What a VM that is made needs on the controller, looked for before anything changes: its image, the site's SSH key."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..drivers.driver import Conflict, DriverError, Progress, silent
from ..model.fleet import Fleet, Site
from ..model.vm import VM
from . import images


def missing(fleet: Fleet, vms: Iterable[VM], fetch: bool = True, progress: Progress = silent) -> Mapping[str, str]:
    """For each of `vms` that lacks something, the sentence that says so. Each image is looked at once, however many VMs
    are made from it; one that would have to be fetched first is not looked at where `fetch` is False."""
    problems: dict[str, str] = {}
    whole = set()
    for vm in vms:
        site = fleet.sites[vm.site]
        entry = (site["images"] or {}).get(vm["image"]) or {}
        try:
            if (site.name, vm["image"]) not in whole and (fetch or not entry.get("url")):
                images.resolve(site, vm, progress)
                whole.add((site.name, vm["image"]))
            _key(site, vm)
        except DriverError as error:
            problems[vm.name] = str(error)
    return problems


def _key(site: Site, vm: VM) -> None:
    """Raise Conflict where a guest would be made that nobody can reach over SSH."""
    name = (site["ssh"] or {}).get("key")
    if not name or not vm["image"]:
        return
    for path in (Path(name).expanduser(), Path(f"{name}.pub").expanduser()):
        if not path.is_file() or not os.access(path, os.R_OK):
            what = "is not a file that this user can read" if path.exists() else "does not exist"
            raise Conflict(
                f"the SSH key {path} {what}, so nobody could reach the guest; nothing was changed",
                site=site.name,
                vm=vm.name,
                todo="Make the pair with ssh-keygen, or name another in the site's ssh.key",
            )
