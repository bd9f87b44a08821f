"""The drivers by platform. One is imported when a site of its platform is opened: their libraries take long to load.
The imports are written out, because Ansible ships only what static imports name."""

from __future__ import annotations

from ..model.fleet import Site
from ..model.fleet_fields import PLATFORMS
from .driver import Driver, Unsupported


def driver_of(platform: str) -> type[Driver] | None:
    """The driver of a platform; None where there is none."""
    if platform == "libvirt":
        from .libvirt import LibvirtDriver

        return LibvirtDriver
    if platform == "proxmox":
        from .proxmox import ProxmoxDriver

        return ProxmoxDriver
    if platform == "vsphere":
        from .vsphere import VsphereDriver

        return VsphereDriver
    return None


# The options of a site that every platform has, or that are not the driver's to read.
_OPTIONS = frozenset(("uri", "pool", "tiers", "networks", "images", "ssh", "repository", "parallel"))


def open_site(site: Site) -> Driver:
    """A connection to `site`. Raises the contract's errors."""
    kind = driver_of(site.platform)
    if kind is None:
        raise Unsupported(
            f"there is no driver for the platform '{site.platform}'; there is one for " + ", ".join(sorted(PLATFORMS)),
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
