"""What the sites of a fleet have beside their VMs, as the documents that rules of the kind ``site`` see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..drivers.driver import Capability, Driver, DriverError, Survey
from ..model.fleet import Site
from ..model.units import format_time
from ..model.vm import VM

Unseen = list[tuple[str, DriverError]]  # what was not seen, and why
_NAMED = 5  # VMs that one sentence names


def of(drivers: Mapping[str, Driver], seen: Iterable[VM], unseen: Unseen | None = None) -> dict[str, Survey]:
    """The survey of each site whose platform can do it; `seen` are all VMs of the sites. Why one could not be made goes
    to `unseen`, and is raised where that is None."""
    by_site: dict[str, list[VM]] = {name: [] for name in drivers}
    for vm in seen:
        by_site[vm.site].append(vm)
    found: dict[str, Survey] = {}
    for name, driver in drivers.items():
        if Capability.SURVEY not in driver.capabilities:
            continue
        try:
            found[name] = driver.survey(by_site[name])
        except DriverError as error:
            not_seen("hosts, storages and backups", error, unseen)
    return found


def not_seen(what: str, error: Exception, unseen: Unseen | None) -> None:
    """Note that `what` could not be seen. Raises the error where nobody notes it, and what is no error of a site."""
    if unseen is None or not isinstance(error, DriverError):
        raise error
    unseen.append((what, error))


def sentences(unseen: Unseen) -> list[str]:
    """A sentence for each thing that was not seen, and its reason; VMs that share one are named together."""
    reasons: dict[tuple[str, str, str, str], list[str]] = {}
    for what, error in unseen:
        key = (what, error.site, error.what.rstrip("."), error.todo.rstrip("."))
        reasons.setdefault(key, []).extend([error.vm] if error.vm else [])
    return [
        f"Not seen at site '{site}': {what}{_of(vms)}. {why[:1].upper()}{why[1:]}.{f' {todo}.' if todo else ''}"
        for (what, site, why, todo), vms in reasons.items()
    ]


def _of(vms: list[str]) -> str:
    """`` of a, b and 3 more``."""
    names = sorted(vms)[:_NAMED] + ([f"{len(vms) - _NAMED} more"] if len(vms) > _NAMED else [])
    return f" of {' and '.join(filter(None, [', '.join(names[:-1]), names[-1]]))}" if names else ""


def of_vm(survey: Survey, vm: VM) -> dict[str, Any]:
    """What a survey tells of one VM: its host, and the backups that the platform keeps of it, oldest first."""
    found: dict[str, Any] = {}
    host = survey.placed.get(str(vm.uuid))
    if host:
        found["host"] = host
    if survey.backups is not None and str(vm.uuid) in survey.backups:
        found["archives"] = [
            {"id": one.id, "created": format_time(one.created), "bytes": one.bytes}
            for one in survey.backups[str(vm.uuid)]
        ]
    return found


def document(site: Site, survey: Survey, seen: Iterable[VM]) -> dict[str, Any]:
    """One site as a document. What VMs promise is what those that run (or are paused) were given; sizes are bytes."""
    running: dict[str, list[VM]] = {host.name: [] for host in survey.hosts}
    for vm in seen:
        place = survey.placed.get(str(vm.uuid), "") if vm.site == site.name else ""
        if place in running and vm.power in ("on", "paused"):
            running[place].append(vm)
    hosts: list[dict[str, Any]] = []
    for host in survey.hosts:
        cpus = sum(int(vm["cpus"] or 0) for vm in running[host.name])
        memory = sum(int(vm["memory"] or 0) for vm in running[host.name])
        hosts.append(
            {
                "name": host.name,
                "vms": len(running[host.name]),
                "cpus_promised": cpus,
                "memory_promised": memory,
                **({"cpus": host.cpus, "cpu_overcommit": _ratio(cpus, host.cpus)} if host.cpus else {}),
                **({"memory": host.memory, "memory_overcommit": _ratio(memory, host.memory)} if host.memory else {}),
            }
        )
    found: dict[str, Any] = {
        "kind": "site",
        "name": site.name,
        "site": site.name,
        "platform": site.platform,
        "hosts": hosts,
        "memory_promised": sum(host["memory_promised"] for host in hosts),
        "pools": [
            {
                "name": pool.name,
                "size": pool.size,
                "free": pool.free,
                "used_percent": round(100 * _ratio(pool.size - pool.free, pool.size)),
                "promised": pool.promised,
                "promised_percent": round(100 * _ratio(pool.promised, pool.size)),
                **({} if pool.shared is None else {"shared": pool.shared}),
            }
            for pool in survey.pools
        ],
    }
    if survey.clusters:
        found["clusters"] = [
            {"name": one.name, "hosts": one.hosts, **({} if one.ha is None else {"ha": one.ha})}
            for one in survey.clusters
        ]
    if len(hosts) > 1 and all(host.memory for host in survey.hosts):
        memories = [host.memory for host in survey.hosts]
        found["memory_after_host_loss"] = sum(memories) - max(memories)
    if survey.loose is not None:
        found["orphaned_disks"] = [{"name": disk.name, "pool": disk.pool, "size": disk.size} for disk in survey.loose]
    return found


def _ratio(part: int, whole: int) -> float:
    return round(part / whole, 2) if whole else 0.0
