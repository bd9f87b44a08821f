"""What the site has around its VMs: clusters, hosts, datastores, networks and folders; and which VMs of its vCenter are
the site's."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

from ...model.errors import nearest
from ...model.vm import VM
from ..driver import Ambiguous, Conflict, Denied, NotFound
from .connection import Session
from .placement import Care, care_of
from .reading import Found, Kinds
from .sdk import vim

_READ = "System.Read"  # the right to be shown a VM; every role has it but "No access"


def kinds() -> Kinds:
    """What is asked for of the objects around the VMs."""
    return {
        vim.Datacenter: ["name", "vmFolder", "hostFolder"],
        vim.Folder: ["name", "parent"],
        vim.ComputeResource: ["name", "parent", "resourcePool", "host", "datastore", "network", "configurationEx"],
        vim.ResourcePool: ["name", "parent"],
        vim.HostSystem: ["name", "parent", "runtime.connectionState", "runtime.inMaintenanceMode",
                         "summary.hardware.cpuMhz", "summary.hardware.memorySize",
                         "summary.quickStats.overallMemoryUsage"],
        vim.Datastore: ["name"],
        vim.Network: ["name"],
        vim.dvs.DistributedVirtualPortgroup: ["name", "key", "config.distributedVirtualSwitch"],
        vim.DistributedVirtualSwitch: ["uuid"],
    }


@dataclass(frozen=True)
class Cluster:
    """A cluster, or a host that stands alone: where VMs are made. All references are vCenter's."""

    name: str
    datacenter: Any
    pool: Any  # in which VMs are made
    hosts: Mapping[str, Any]
    datastores: Mapping[str, Any]
    networks: Mapping[str, Any]  # name → backing of a NIC
    care: Care
    free: Mapping[str, int]  # hosts that take VMs → their free memory in bytes
    mhz: int  # of a CPU of its slowest host, of which `cpu_reservation` and `cpu_limit` are shares; 0 where none tells
    obj: Any = None  # the cluster itself
    ports: Mapping[str, Any] = field(default_factory=dict)  # networks by name
    pools: Mapping[str, Any] = field(default_factory=dict)  # resource pools of the site by path

    def fits(self, vm: VM) -> bool:
        """Whether the VM's zone and host are here."""
        return vm["zone"] in (None, self.name) and (not vm["host"] or vm["host"] in self.hosts)


@dataclass
class Places:
    """The clusters of one site, and what of vCenter is in them. They are looked at with each list of the VMs."""

    session: Session
    _clusters: list[Cluster] | None = None
    _folders: dict[Any, Any] = field(default_factory=dict)  # by datacenter
    _below: dict[Any, dict[str, Any]] = field(default_factory=dict)  # folders in folders, by name
    _elsewhere: frozenset[Any] = frozenset()  # hosts and resource pools that are not the site's
    _shown: bool = False  # whether the account is known to be shown the VMs
    _placed: Counter[Any] = field(default_factory=Counter)  # host → memory of the VMs that were put on it, in bytes
    _lock: Any = field(default_factory=threading.Lock)

    def clusters(self) -> list[Cluster]:
        """The clusters that the site's uri leaves open."""
        if self._clusters is None:
            self.learn(self.session.survey(kinds(), "look at the clusters"))
        return self._clusters or []

    def learn(self, around: Iterable[Found]) -> None:
        """Remember what vCenter says of its `kinds`. Raises NotFound where it has not what the site's uri names."""
        found = dict(around)
        centers = {obj: one for obj, one in found.items() if isinstance(obj, vim.Datacenter)}
        self._folders = {obj: one["vmFolder"] for obj, one in centers.items()}
        self._below = {}
        for obj, one in found.items():
            if isinstance(obj, vim.Folder):
                self._below.setdefault(one.get("parent"), {})[_name(one)] = obj
        clusters = [(obj, _datacenter(obj, found, centers))
                    for obj in found if isinstance(obj, vim.ComputeResource)]
        paths: list[tuple[str, ...]] = [(_name(one),) for one in centers.values()]
        paths += [(_name(found[up]) if up else "", _name(found[obj])) for obj, up in clusters]
        for depth, name in enumerate(self.session.place[:2]):
            there = [path[depth] for path in paths if len(path) > depth and path[:depth] == self.session.place[:depth]]
            if name not in there:
                raise self._none("cluster" if depth else "datacenter", name, there)
        self._clusters = [
            self._cluster(found, obj, up)
            for (obj, up), path in zip(clusters, paths[len(centers):], strict=True)
            if all(want == have for want, have in zip(self.session.place, path, strict=False))
        ]
        if self.session.place:
            self._folders = {up: its for up, its in self._folders.items() if _name(found[up]) == self.session.place[0]}
            self._elsewhere = frozenset(self._strange(found))

    def _none(self, kind: str, name: str, there: Iterable[str]) -> NotFound:
        return NotFound(
            f"its account is shown no {kind} '{name}' there ({nearest(name, there).rstrip('?')})",
            site=self.session.site,
            todo="Mend the site's uri",
        )

    def _strange(self, found: Mapping[Any, Mapping[str, Any]]) -> set[Any]:
        """The hosts and resource pools that are known, and known not to be the site's."""
        hosts = {host for cluster in self._clusters or () for host in cluster.hosts.values()}
        strange = {obj for obj in found if isinstance(obj, vim.HostSystem)} - hosts
        if len(self.session.place) > 2:
            inside = {cluster.pool for cluster in self._clusters or ()}
            pools = {obj: one.get("parent") for obj, one in found.items() if isinstance(obj, vim.ResourcePool)}
            for obj in pools:
                up: Any = obj
                while up is not None and up not in inside:
                    up = pools.get(up)
                if up is None:
                    strange.add(obj)
        return strange

    def hold(self, one: Mapping[str, Any]) -> bool:
        """Whether a VM runs in what the site's uri names. One whose host the account is not shown counts as there."""
        return not {one.get("runtime.host"), one.get("resourcePool")} & self._elsewhere

    def see_all(self) -> None:
        """Raise Denied where the account may not look into the folders of the site's VMs: vCenter leaves out what it
        may not be shown without a word, and what is not in the list counts as absent. Asked once a session."""
        if self._shown:
            return
        manager, session = self.session.content.authorizationManager, self.session
        folders = self._homes()
        told = session.ask("read the rights of its account",
                           lambda: manager.HasPrivilegeOnEntities(folders, session.key, [_READ])) if folders else []
        hidden = [one for one in told if not all(right.isGranted for right in one.privAvailability)]
        if hidden or len(told) < max(1, len(folders)):
            name = "/".join(session.folder) or "vm"
            raise Denied(
                f"its account may not look into the folder of VMs '{name}' ({_READ}), so nobody can tell which VMs are "
                "not there; nothing was changed",
                site=session.site,
                todo="Give it a role there that propagates, 'Read-only' at least; or name the folder that it may see "
                f"as sites.{session.site}.folder",
            )
        self._shown = True

    def _homes(self) -> list[Any]:
        """The folders that the site's VMs are made in: one in each datacenter that has it. Raises NotFound."""
        found, missing = [], None
        for datacenter in self._folders:
            try:
                found.append(self._home(datacenter))
            except NotFound as error:
                missing = error
        if missing and not found:
            raise missing
        return found

    def folder(self, cluster: Cluster, vm: VM) -> Any:
        """The folder that a VM is made in: that of the cluster's datacenter, or the one below it that the VM, or the
        site, names. Raises NotFound with the nearest name."""
        return self._home(cluster.datacenter, vm)

    def _home(self, datacenter: Any, vm: VM | None = None) -> Any:
        found, own = self._folders[datacenter], vm["folder"] if vm is not None else None
        path = own.split("/") if own else self.session.folder
        for name in path:
            below = self._below.get(found, {})
            if name not in below:
                raise NotFound(
                    f"there is no folder of VMs '{'/'.join(path)}' "
                    f"({nearest(name, below).rstrip('?')}); nothing was changed",
                    site=self.session.site,
                    vm=vm.name if vm is not None else None,
                    todo=f"Mend {'its folder' if own else f'sites.{self.session.site}.folder'}, or make the folder in "
                    "vCenter",
                )
            found = below[name]
        return found

    def _cluster(self, found: Mapping[Any, Mapping[str, Any]], its_own: Any, datacenter: Any) -> Cluster:
        one = found[its_own]
        pool = one.get("resourcePool")
        for name in self.session.place[2:]:
            below = {_name(its): obj for obj, its in found.items()
                     if isinstance(obj, vim.ResourcePool) and its["parent"] == pool}  # fmt: skip
            if name not in below:
                raise self._none("resource pool", name, below)
            pool = below[name]

        def named(key: str) -> dict[str, Any]:
            return {_name(found[obj]): obj for obj in one.get(key) or () if obj in found}

        ports = named("network")
        networks = {name: _backing(name, obj, found) for name, obj in ports.items()}
        inside = {path: its for its, path in pools(found).items() if path and _below(found, its, pool)}
        care, hosts = care_of(one.get("configurationEx")), named("host")
        free = {name: _free(found[obj]) for name, obj in sorted(hosts.items()) if _ready(found[obj])}
        mhz = slowest(found[obj] for obj in hosts.values())
        stores = named("datastore")
        return Cluster(_name(one), datacenter, pool, hosts, stores, networks, care, free, mhz, its_own, ports, inside)

    def cluster(self, vm: VM) -> Cluster:
        """The cluster that a VM is made in: that of its `zone` or `host`, that of the uri, or the only one; its `pool`
        is the one that the VM names. Raises NotFound, with the nearest name of a pool, and Ambiguous."""
        known = self.clusters()
        found = [one for one in known if one.fits(vm)]
        if len(found) == 1:
            return self._pooled(found[0], vm) if vm["resource_pool"] else found[0]
        names = ", ".join(sorted(one.name for one in known)) or "none"
        if not found:
            raise NotFound(
                f"there is no cluster for it; the site has {names}",
                site=self.session.site,
                vm=vm.name,
                todo="Mend the VM's zone and host, or the site's uri",
            )
        raise Ambiguous(
            f"the site has several clusters ({names}); nothing was changed",
            site=self.session.site,
            vm=vm.name,
            todo="Name one as the VM's zone, or in the site's uri: https://vcenter/datacenter/cluster",
        )

    def _pooled(self, cluster: Cluster, vm: VM) -> Cluster:
        own = "/".join(self.session.place[2:])
        what = f"resource pool of the site, which is '{own}' and what is below, by the path" if own else "resource pool"
        return replace(cluster, pool=self._of(cluster.pools, vm["resource_pool"], what, cluster, vm.name))

    def host(self, cluster: Cluster, vm: VM) -> Any:
        """The host that a VM is put on: the one that it names; None where DRS chooses. Without DRS vCenter wants to be
        told one, and it is the one with the most free memory."""
        if vm["host"]:
            return cluster.hosts[vm["host"]]
        if cluster.care.drs or not cluster.free:
            return None
        with self._lock:
            name = max(cluster.free, key=lambda one: cluster.free[one] - self._placed[cluster.hosts[one]])
            host = cluster.hosts[name]
            self._placed[host] += vm["memory"] or 0  # vCenter counts it only when it runs
        return host

    def datastore(self, cluster: Cluster, name: str, vm: str) -> Any:
        """The datastore of this name. Raises NotFound with the nearest."""
        return self._of(cluster.datastores, name, "datastore", cluster, vm)

    def network(self, cluster: Cluster, name: str, vm: str) -> Any:
        """The backing of a NIC in this network. Raises NotFound with the nearest name."""
        return self._of(cluster.networks, name, "network", cluster, vm)

    def _of(self, known: Mapping[str, Any], name: str, what: str, cluster: Cluster, vm: str) -> Any:
        if name not in known:
            raise NotFound(
                f"the cluster '{cluster.name}' has no {what} '{name}' ({nearest(name, known).rstrip('?')}); "
                "nothing was changed",
                site=self.session.site,
                vm=vm,
                todo="Mend the fleet file, or give the cluster what is missing",
            )
        return known[name]

    def check(self, vm: VM, pools: Iterable[str]) -> None:
        """Raise Conflict where a resource pool, a folder, a datastore or a network is missing, with the nearest name.
        """
        try:
            cluster = self.cluster(vm)
            self.folder(cluster, vm)
            for pool in pools:
                self.datastore(cluster, pool, vm.name)
            for nic in vm["nics"] or ():
                self.network(cluster, str(nic["network"]), vm.name)
        except NotFound as error:
            raise Conflict(error.what, site=error.site, vm=error.vm, todo=error.todo) from None


def _datacenter(obj: Any, found: Mapping[Any, Mapping[str, Any]], centers: Mapping[Any, Mapping[str, Any]]) -> Any:
    """The datacenter that a cluster is in; None where the account is not shown what is between the two."""
    up = found[obj]["parent"]
    while up is not None and up not in centers:
        up = found.get(up, {}).get("parent") or next(
            (center for center, its in centers.items() if its.get("hostFolder") == up), None
        )
    return up


def pools(found: Mapping[Any, Mapping[str, Any]]) -> dict[Any, str]:
    """The path of each resource pool below its cluster's own, which is "". A vApp has none, nor what is in one."""
    roots = {one.get("resourcePool") for obj, one in found.items() if isinstance(obj, vim.ComputeResource)}
    return _paths({obj: one for obj, one in found.items()
                   if isinstance(obj, vim.ResourcePool) and not isinstance(obj, vim.VirtualApp)}, roots)  # fmt: skip


def folders(found: Mapping[Any, Mapping[str, Any]]) -> dict[Any, str]:
    """The path of each folder below its datacenter's folder of VMs, which is ""."""
    roots = {one.get("vmFolder") for obj, one in found.items() if isinstance(obj, vim.Datacenter)}
    return _paths({obj: one for obj, one in found.items() if isinstance(obj, vim.Folder)}, roots)


def _paths(known: Mapping[Any, Mapping[str, Any]], roots: Collection[Any]) -> dict[Any, str]:
    """The path of each of `known` that is below one of `roots`, or is one."""
    paths = {}
    for obj in known:
        names = list[str]()
        up: Any = obj
        while up in known and up not in roots:
            names.append(_name(known[up]))
            up = known[up].get("parent")
        if up in roots:
            paths[obj] = "/".join(reversed(names))
    return paths


def _below(found: Mapping[Any, Mapping[str, Any]], pool: Any, top: Any) -> bool:
    """Whether a resource pool is `top`, or below it."""
    while pool is not None and pool != top:
        pool = found.get(pool, {}).get("parent")
    return pool is not None


def slowest(hosts: Iterable[Mapping[str, Any]]) -> int:
    """MHz of a CPU of the slowest of some hosts; 0 where none tells."""
    return min((speed for host in hosts if (speed := int(host.get("summary.hardware.cpuMhz") or 0))), default=0)


def _ready(host: Mapping[str, Any]) -> bool:
    """Whether a host takes VMs."""
    return host.get("runtime.connectionState") == "connected" and not host.get("runtime.inMaintenanceMode")


def _free(host: Mapping[str, Any]) -> int:
    used = int(host.get("summary.quickStats.overallMemoryUsage") or 0)  # MiB
    return int(host.get("summary.hardware.memorySize") or 0) - (used << 20)


def _name(one: Mapping[str, Any]) -> str:
    """The name of a thing; vCenter writes a slash in one as %2f."""
    return unquote(str(one.get("name") or ""))


def _backing(name: str, network: Any, found: Mapping[Any, Mapping[str, Any]]) -> Any:
    if not isinstance(network, vim.dvs.DistributedVirtualPortgroup):
        return vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName=name, network=network)
    its = found[network]
    switch = found.get(its.get("config.distributedVirtualSwitch"), {})
    port = vim.dvs.PortConnection(switchUuid=switch.get("uuid"), portgroupKey=its.get("key"))
    return vim.vm.device.VirtualEthernetCard.DistributedVirtualPortBackingInfo(port=port)
