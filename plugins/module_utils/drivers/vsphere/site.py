"""What the site has beside its VMs: clusters, hosts, datastores and networks, asked once in a session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from ...model.errors import nearest
from ...model.vm import VM
from ..driver import Ambiguous, Conflict, NotFound
from .connection import Session
from .placement import Care, care_of
from .sdk import vim


@dataclass(frozen=True)
class Cluster:
    """A cluster, or a host that stands alone: where VMs are made. All references are vCenter's."""

    name: str
    datacenter: Any
    pool: Any
    hosts: Mapping[str, Any]
    datastores: Mapping[str, Any]
    networks: Mapping[str, Any]  # name → backing of a NIC
    care: Care

    def fits(self, vm: VM) -> bool:
        """Whether the VM's zone and host are here."""
        return vm["zone"] in (None, self.name) and (not vm["host"] or vm["host"] in self.hosts)


@dataclass
class Places:
    """The clusters of one site. `place` is what its uri names: datacenter, cluster, pools."""

    session: Session
    _clusters: list[Cluster] | None = None
    _folders: dict[Any, Any] = field(default_factory=dict)  # by datacenter
    _below: dict[Any, dict[str, Any]] = field(default_factory=dict)  # folders in folders, by name

    def clusters(self) -> list[Cluster]:
        """The clusters that the site's uri leaves open."""
        if self._clusters is None:
            self._clusters = self._read()
        return self._clusters

    def folder(self, cluster: Cluster, vm: str) -> Any:
        """The folder that VMs are made in: that of the cluster's datacenter, or the one below it that the site names.
        Raises NotFound with the nearest name."""
        found = self._folders[cluster.datacenter]
        for name in self.session.folder:
            below = self._below.get(found, {})
            if name not in below:
                raise NotFound(
                    f"there is no folder of VMs '{'/'.join(self.session.folder)}' "
                    f"({nearest(name, below).rstrip('?')}); nothing was changed",
                    site=self.session.site,
                    vm=vm,
                    todo=f"Mend sites.{self.session.site}.folder, or make the folder in vCenter",
                )
            found = below[name]
        return found

    def _read(self) -> list[Cluster]:
        kinds = {
            vim.Datacenter: ["name", "vmFolder", "hostFolder"],
            vim.Folder: ["name", "parent"],
            vim.ComputeResource: ["name", "parent", "resourcePool", "host", "datastore", "network", "configurationEx"],
            vim.ResourcePool: ["name", "parent"],
            vim.HostSystem: ["name"],
            vim.Datastore: ["name"],
            vim.Network: ["name"],
            vim.dvs.DistributedVirtualPortgroup: ["key", "config.distributedVirtualSwitch"],
            vim.DistributedVirtualSwitch: ["uuid"],
        }
        found = dict(self.session.survey(kinds, "look at the clusters"))
        centers = {obj: one for obj, one in found.items() if isinstance(obj, vim.Datacenter)}
        self._folders = {obj: one["vmFolder"] for obj, one in centers.items()}
        self._below = {}
        for obj, one in found.items():
            if isinstance(obj, vim.Folder):
                self._below.setdefault(one.get("parent"), {})[_name(one)] = obj
        clusters = []
        for obj, one in found.items():
            if not isinstance(obj, vim.ComputeResource):
                continue
            up = one["parent"]
            while up is not None and up not in centers:
                up = found.get(up, {}).get("parent") or next(
                    (center for center, its in centers.items() if its.get("hostFolder") == up), None
                )
            path = (_name(centers[up]) if up in centers else "", _name(one))
            if all(want == have for want, have in zip(self.session.place, path, strict=False)):
                clusters.append(self._cluster(found, one, up))
        return clusters

    def _cluster(self, found: Mapping[Any, Mapping[str, Any]], one: Mapping[str, Any], datacenter: Any) -> Cluster:
        pool = one.get("resourcePool")
        for name in self.session.place[2:]:
            pools = [obj for obj, its in found.items() if isinstance(obj, vim.ResourcePool) and its["parent"] == pool]
            below = {_name(found[obj]): obj for obj in pools}
            if name not in below:
                raise NotFound(
                    f"there is no resource pool '{name}' ({nearest(name, below).rstrip('?')})",
                    site=self.session.site,
                    todo="Mend the site's uri",
                )
            pool = below[name]

        def named(key: str) -> dict[str, Any]:
            return {_name(found[obj]): obj for obj in one.get(key) or () if obj in found}

        networks = {name: _backing(name, obj, found) for name, obj in named("network").items()}
        care = care_of(one.get("configurationEx"))
        return Cluster(_name(one), datacenter, pool, named("host"), named("datastore"), networks, care)

    def cluster(self, vm: VM) -> Cluster:
        """The cluster that a VM is made in: that of its `zone` or `host`, that of the uri, or the only one."""
        known = self.clusters()
        found = [one for one in known if one.fits(vm)]
        if len(found) == 1:
            return found[0]
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
        """Raise Conflict where a folder, a datastore or a network is missing, with the nearest name."""
        cluster = self.cluster(vm)
        try:
            self.folder(cluster, vm.name)
            for pool in pools:
                self.datastore(cluster, pool, vm.name)
            for nic in vm["nics"] or ():
                self.network(cluster, str(nic["network"]), vm.name)
        except NotFound as error:
            raise Conflict(error.what, site=error.site, vm=error.vm, todo=error.todo) from None


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
