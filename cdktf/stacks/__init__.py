"""Constructs of Muster for apps of the CDK for Terraform, one file for each platform. See docs/cdktf.md."""

from __future__ import annotations

from muster.model.fleet import Fleet

from ..cdk import Construct
from .aws_vendor import AwsPlace, AwsStack
from .fleet import FleetStack
from .libvirt import LibvirtStack
from .provider import MusterProvider
from .proxmox import ProxmoxStack
from .rulebook import Rulebook
from .vm import Vm
from .vsphere import VSphereStack
from .vsphere_vendor import VSphereVendorStack

PLATFORMS: dict[str, type[FleetStack]] = {
    stack.platform: stack for stack in (LibvirtStack, ProxmoxStack, VSphereStack)
}


def add_fleet(scope: Construct, fleet: Fleet, rulebook: Rulebook | None = None) -> list[FleetStack]:
    """A stack for each site of `fleet`, those without VMs too: what was there before is then taken down. Raises
    ModelError, and PackError for a pack that cannot be read."""
    rulebook = rulebook or Rulebook.of(fleet)
    return [PLATFORMS[site.platform](scope, fleet, site.name, rulebook) for site in fleet.sites.values()]


__all__ = [
    "PLATFORMS",
    "AwsPlace",
    "AwsStack",
    "FleetStack",
    "LibvirtStack",
    "MusterProvider",
    "ProxmoxStack",
    "Rulebook",
    "VSphereStack",
    "VSphereVendorStack",
    "Vm",
    "add_fleet",
]
