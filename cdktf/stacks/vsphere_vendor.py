"""A site's VMs over the vendor's own provider for vSphere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from muster.model.errors import ModelError
from muster.model.fleet import Fleet
from muster.model.vm import VM

from ..cdk import Construct, TerraformResource
from .machines import called
from .provider import AnyProvider
from .rulebook import Rulebook
from .vendor import GIB, MIB, VendorStack, whole
from .written import escaped, grouped

KIND = "vsphere_virtual_machine"
_FIRMWARE = {"uefi": "efi", "bios": "bios"}
_MBIT = 125_000  # bytes per second


class VSphereVendorStack(VendorStack):
    """A `FleetStack` whose VMs are ``vsphere_virtual_machine``, cloned from the site's templates into one cluster.

    Datacenter, cluster, resource pools, datastores, networks, hosts, tags and their categories are there already and
    are looked up by name, folders are named. The password comes from ``VSPHERE_USER`` and ``VSPHERE_PASSWORD``.
    """

    platform = vendor = "vsphere"
    says = {"image": (), "cpus": (), "cpu_topology": (), "memory": (),  # noqa: RUF012 - a class's constant
            "memory_reservation": (), "memory_limit": (), "firmware": (), "secure_boot": (), "host": (),
            "resource_pool": (), "folder": (), "anti_affinity": (), "tags": (),
            "disks": ("name", "size", "pool", "tier", "iops_limit"),
            "nics": ("name", "network", "mac", "bandwidth_limit")}

    def __init__(self, scope: Construct, fleet: Fleet, site: str, datacenter: str, cluster: str,
                 rulebook: Rulebook | None = None) -> None:
        self.datacenter, self.cluster = datacenter, cluster
        super().__init__(scope, fleet, site, rulebook)
        self._keep_apart()

    def provide(self) -> None:
        site = self.fleet.sites[self.site]
        uri, tls = urlsplit(site["uri"] or ""), site["tls"] or {}
        self._check_site(uri.path, tls)
        host = f"{uri.hostname}:{uri.port}" if uri.port else uri.hostname
        unverified = True if tls.get("verify") is False else None
        AnyProvider(self, "vsphere", "vsphere", "vmware/vsphere", ">= 2.10", {
            "vsphere_server": escaped(host) if host else None, "allow_unverified_ssl": unverified})

    def _check_site(self, path: str, tls: Mapping[str, Any]) -> None:
        """Refuse what the provider cannot say of the site. Raises ModelError."""
        for option in ("ca", "fingerprint"):
            if tls.get(option):
                raise self._site(f"tls.{option}", "the provider of vSphere trusts the authorities of its machine "
                                 "alone. Name the authority there (SSL_CERT_FILE)")
        place = [unquote(part) for part in path.split("/") if part]
        for named, told in zip(place, (self.datacenter, self.cluster), strict=False):
            if named not in (told, "sdk"):
                raise self._site("uri", f"it names '{named}', and the stack was told of '{told}'. Name the same")
        if len(place) > 2:
            raise self._site("uri", "it names a resource pool, and the VMs of this stack are in that of the cluster. "
                             "Name the cluster alone")

    def _site(self, option: str, why: str) -> ModelError:
        return ModelError(f"Site '{self.site}': the option '{option}' cannot be written: {why}, or make the VMs by "
                          "Muster's own provider", (), self.fleet.source)

    def resource(self, vms: Sequence[VM], counted: bool) -> tuple[str, dict[str, Any]]:
        each = {vm.name: self._machine(vm) for vm in vms}
        attributes = grouped(each) if counted else {"name": vms[0].name, **each[vms[0].name]}
        if any((vm["protection"] or {}).get("deletion") for vm in vms):
            attributes["lifecycle"] = {"prevent_destroy": True}
        return KIND, attributes

    def find(self, kind: str, name: str, attribute: str = "id") -> str:
        """What lies in the datacenter."""
        datacenter = self.look_up("vsphere_datacenter", self.datacenter)
        return self.look_up(kind, name, attribute, datacenter_id=datacenter)

    def _machine(self, vm: VM) -> dict[str, Any]:
        self.check(vm)
        site, topology = self.fleet.sites[self.site], vm["cpu_topology"] or {}
        if topology.get("threads", 1) != 1:
            raise self.refusal(vm, "cpu_topology.threads", "a CPU of vSphere has one thread")
        if vm["image"] is None:
            raise self.refusal(vm, "image", "a VM is cloned from a template, and none is named")
        template = (site["images"] or {}).get(vm["image"], {}).get("template") or vm["image"]
        attributes = {
            "num_cpus": vm["cpus"],
            "num_cores_per_socket": topology.get("cores"),
            "memory": whole(self, vm, "memory", vm["memory"], MIB, "MiB") if vm["memory"] else None,
            "memory_reservation": whole(self, vm, "memory_reservation", vm["memory_reservation"], MIB, "MiB")
            if vm["memory_reservation"] else None,
            "memory_limit": whole(self, vm, "memory_limit", vm["memory_limit"], MIB, "MiB")
            if vm["memory_limit"] else None,
            "firmware": _FIRMWARE.get(vm["firmware"]),
            "efi_secure_boot_enabled": vm["secure_boot"],
            "resource_pool_id": self._pool(vm["resource_pool"]),
            "folder": escaped(vm["folder"] or site["folder"] or "") or None,
            "host_system_id": self.find("vsphere_host", vm["host"]) if vm["host"] else None,
            "guest_id": self.find(KIND, template, "guest_id"),
            "scsi_type": self.find(KIND, template, "scsi_type"),
            "clone": [{"template_uuid": self.find(KIND, template)}],
            "disk": [self._disk(vm, index, disk) for index, disk in enumerate(vm["disks"] or [])],
            "network_interface": [self._nic(vm, nic) for nic in vm["nics"] or []],
            "tags": [self._tag(key, value) for key, value in sorted((vm["tags"] or {}).items())] or None,
        }
        return {name: value for name, value in attributes.items() if value is not None}

    def _pool(self, path: str | None) -> str:
        """The resource pool at `path` below the cluster's own, or that one."""
        if path:
            return self.find("vsphere_resource_pool", f"{self.cluster}/Resources/{path}")
        return self.find("vsphere_compute_cluster", self.cluster, "resource_pool_id")

    def _disk(self, vm: VM, index: int, disk: Mapping[str, Any]) -> dict[str, Any]:
        site = self.fleet.sites[self.site]
        store = disk.get("pool") or (site["tiers"] or {}).get(disk.get("tier")) or site["pool"]
        if store is None:
            raise self.refusal(vm, f"disks.{disk['name']}", "no datastore is named, and the site has no 'pool'")
        made = {"label": disk["name"], "unit_number": index, "datastore_id": self.find("vsphere_datastore", store),
                "size": whole(self, vm, f"disks.{disk['name']}.size", disk["size"], GIB, "GiB")}
        return {**made, **({"io_limit": disk["iops_limit"]} if disk.get("iops_limit") else {})}

    def _nic(self, vm: VM, nic: Mapping[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {"network_id": self.find("vsphere_network", nic["network"])}
        if nic.get("mac"):
            made.update(use_static_mac=True, mac_address=nic["mac"])
        if nic.get("bandwidth_limit"):
            field = f"nics.{nic['name']}.bandwidth_limit"
            made["bandwidth_limit"] = whole(self, vm, field, nic["bandwidth_limit"], _MBIT, "Mbit/s")
        return made

    def _tag(self, key: str, value: str) -> str:
        return self.look_up("vsphere_tag", value, category_id=self.look_up("vsphere_tag_category", key))

    def _keep_apart(self) -> None:
        """A rule for each group of anti-affinity."""
        groups: dict[str, list[str]] = {}
        for vm in self.fleet.at(self.site):
            if vm["anti_affinity"]:
                entry = self.fleet.entries[vm.name]
                key = "" if entry == vm.name else f'["{vm.name}"]'
                groups.setdefault(vm["anti_affinity"], []).append(f"${{{KIND}.{called(entry)}{key}.id}}")
        for name, machines in groups.items():
            rule = TerraformResource(self, f"apart-{name}",
                                     terraform_resource_type="vsphere_compute_cluster_vm_anti_affinity_rule")
            rule.add_override("name", name)
            rule.add_override("compute_cluster_id", self.find("vsphere_compute_cluster", self.cluster))
            rule.add_override("virtual_machine_ids", machines)
