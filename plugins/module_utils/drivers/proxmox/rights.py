"""The rights of the API token. Proxmox leaves out what a token may not see, and does not say so: who counts on a list
must know what it would have shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..driver import Denied
from .connection import Api

_ANY = "*"  # a storage or VM of which no right is told


def of(api: Api) -> Mapping[str, Mapping[str, int]]:
    """The token's rights by path, asked once a session. Raises Denied where it is shown some VMs only: what is not in
    the list counts as absent."""
    if api.rights is None:
        held = api.get("access/permissions", "read the rights of the API token")
        # 0 is a right on the path itself, which the VMs below do not inherit.
        if not isinstance(held, dict) or not any((held.get(path) or {}).get("VM.Audit") for path in ("/", "/vms")):
            raise Denied(
                "its API token may not see all VMs (VM.Audit on /vms), so nobody can tell which are not there; nothing "
                "was changed",
                site=api.site,
                todo="Give it that: pveum acl modify /vms --tokens 'USER@REALM!TOKEN' --roles PVEAuditor, and the same "
                "for its user where privileges are separated",
            )
        api.rights = held
    return api.rights


def held(api: Api, path: str, right: str) -> bool:
    """Whether the token has `right` on `path`: what the nearest path that Proxmox tells says of it."""
    told, own = of(api), path
    while path not in told and path != "/":
        path = path.rpartition("/")[0] or "/"
    here = told.get(path) or {}
    return right in here and (path == own or bool(here[right]))


def sees_storage(api: Api, name: str) -> bool:
    """Whether a storage and its content are listed."""
    return any(held(api, f"/storage/{name}", f"Datastore.{right}") for right in ("Audit", "AllocateSpace"))


def sees_backups(api: Api, storages: Iterable[str], vmid: int) -> bool:
    """Whether all backups of a VM are listed, as PVE::Storage::check_volume_access has it. `storages` are those that
    are listed and hold backups."""
    mine = held(api, f"/vms/{vmid}", "VM.Backup")
    return sees_storage(api, _ANY) and all(
        held(api, f"/storage/{name}", "Datastore.Allocate")
        or (mine and held(api, f"/storage/{name}", "Datastore.AllocateSpace"))
        for name in storages
    )


def sees_disks(api: Api, storages: Iterable[str]) -> bool:
    """Whether the disks in these storages are listed, those too whose VM is gone."""
    all_vms = held(api, f"/vms/{_ANY}", "VM.Config.Disk")
    return all(
        sees_storage(api, name)
        and (held(api, f"/storage/{name}", "Datastore.Allocate")
             or (all_vms and held(api, f"/storage/{name}", "Datastore.Audit")))
        for name in storages
    )
