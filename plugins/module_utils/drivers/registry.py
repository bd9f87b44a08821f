"""The drivers by platform: a plain table, because Ansible ships only what static imports name."""

from __future__ import annotations

from ..model.fleet import Site
from .driver import Driver, Unsupported
from .libvirt import LibvirtDriver
from .proxmox import ProxmoxDriver
from .vsphere import VsphereDriver

DRIVERS: dict[str, type[Driver]] = {
    LibvirtDriver.platform: LibvirtDriver,
    ProxmoxDriver.platform: ProxmoxDriver,
    VsphereDriver.platform: VsphereDriver,
}


# The options of a site that every platform has, or that are not the driver's to read.
_OPTIONS = frozenset(("uri", "pool", "tiers", "networks", "images", "ssh", "repository", "parallel"))


def open_site(site: Site) -> Driver:
    """A connection to `site`. Raises the contract's errors."""
    kind = DRIVERS.get(site.platform)
    if kind is None:
        raise Unsupported(
            f"there is no driver for the platform '{site.platform}'; there is one for " + ", ".join(sorted(DRIVERS)),
            site=site.name,
            todo="Change the site's platform",
        )
    strange = sorted(name for name in site.options if name not in _OPTIONS | kind.options)
    if strange:
        raise Unsupported(
            f"'{strange[0]}' means nothing to the platform '{site.platform}' and would be ignored",
            site=site.name,
            todo=f"Take it out of sites.{site.name}",
        )
    return kind(site)
