"""A site that is one host with libvirt and QEMU, over Muster's own provider."""

from __future__ import annotations

from .fleet import FleetStack


class LibvirtStack(FleetStack):
    """A `FleetStack` of a site of the platform ``libvirt``."""

    platform = "libvirt"
