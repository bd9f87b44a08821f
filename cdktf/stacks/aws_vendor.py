"""A site's VMs as instances of Amazon EC2, over the provider ``hashicorp/aws``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from muster.model.fleet import Fleet
from muster.model.vm import VM
from muster.terraform import sizes

from ..cdk import Construct
from .provider import AnyProvider
from .rulebook import Rulebook
from .vendor import GIB, VendorStack, whole
from .written import escaped, grouped

KIND = "aws_instance"
TYPES = (
    *(f"t3.{size}" for size in ("nano", "micro", "small", "medium", "large", "xlarge", "2xlarge")),
    "t2.micro", "t2.small",
    *(f"{family}.{size}" for family in ("c6i", "m6i", "r6i")
      for size in ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "16xlarge")),
)


@dataclass(frozen=True)
class AwsPlace:
    """Where instances are made: the AMI of each image and the subnet of each network, by their names in the fleet file.
    The first of `types` with just the CPUs and the memory of a VM is taken."""

    region: str
    images: Mapping[str, str]
    subnets: Mapping[str, str]
    types: Sequence[str] = TYPES


class AwsStack(VendorStack):
    """A `FleetStack` whose VMs are ``aws_instance``, encrypted where the fleet file says so, and asked for version 2 of
    the metadata service."""

    vendor = "aws"
    says = {"image": (), "cpus": (), "memory": (), "zone": (), "tags": (),  # noqa: RUF012 - a class's constant
            "disks": ("name", "size", "tier", "encrypted"), "nics": ("name", "network")}

    def __init__(self, scope: Construct, fleet: Fleet, site: str, place: AwsPlace,
                 rulebook: Rulebook | None = None) -> None:
        self.place = place
        super().__init__(scope, fleet, site, rulebook)

    def provide(self) -> None:
        AnyProvider(self, "aws", "aws", "hashicorp/aws", ">= 5.0", {"region": self.place.region})

    def resource(self, vms: Sequence[VM], counted: bool) -> tuple[str, dict[str, Any]]:
        each = {vm.name: self._instance(vm) for vm in vms}
        if not counted:
            return KIND, each[vms[0].name]
        for attributes in each.values():
            attributes["tags"] = {**attributes["tags"], "Name": "${each.key}"}
        attributes = grouped(each)
        del attributes["name"]  # an instance has none but its tag
        return KIND, attributes

    def _instance(self, vm: VM) -> dict[str, Any]:
        self.check(vm)
        nics = vm["nics"] or []
        if len(nics) > 1:
            raise self.refusal(vm, "nics", "an instance has one NIC here")
        disks = [self._disk(vm, disk) for disk in vm["disks"] or []]
        attributes = {
            "ami": self._named(vm, "image", vm["image"], self.place.images),
            "instance_type": self._type(vm),
            "availability_zone": vm["zone"],
            "subnet_id": self._named(vm, "nics.nic0.network", nics[0]["network"], self.place.subnets) if nics else None,
            "disable_api_termination": (vm["protection"] or {}).get("deletion"),
            "metadata_options": [{"http_endpoint": "enabled", "http_tokens": "required",
                                  "http_put_response_hop_limit": 1}],
            "root_block_device": disks[:1] or None,
            "ebs_block_device": [{**disk, "device_name": f"/dev/sd{'fghijklmnop'[index]}"}
                                 for index, disk in enumerate(disks[1:])] or None,
            "tags": {**{escaped(key): escaped(value) for key, value in (vm["tags"] or {}).items()}, "Name": vm.name},
        }
        return {name: value for name, value in attributes.items() if value is not None}

    def _disk(self, vm: VM, disk: Mapping[str, Any]) -> dict[str, Any]:
        field = f"disks.{disk['name']}"
        tiers = self.fleet.sites[self.site]["tiers"] or {}
        return {
            "volume_size": whole(self, vm, f"{field}.size", disk["size"], GIB, "GiB"),
            "volume_type": tiers.get(disk.get("tier"), disk.get("tier") or "gp3"),
            "encrypted": bool(disk.get("encrypted")),
        }

    def _type(self, vm: VM) -> str:
        wanted = (vm["cpus"], vm["memory"])
        for name in self.place.types:
            if sizes.aws(name) == wanted:
                return name
        raise self.refusal(vm, "memory", f"no instance type has {vm['cpus']} CPUs and just that memory")

    def _named(self, vm: VM, field: str, name: str | None, known: Mapping[str, str]) -> str:
        if name is None or name not in known:
            raise self.refusal(vm, field, f"the stack was told of none called '{name}'")
        return known[name]
