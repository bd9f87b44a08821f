"""A site that is a Proxmox VE cluster, over Muster's own provider."""

from __future__ import annotations

from .fleet import FleetStack


class ProxmoxStack(FleetStack):
    """A `FleetStack` of a site of the platform ``proxmox``."""

    platform = "proxmox"
