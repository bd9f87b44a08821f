"""A site that is a vCenter, over Muster's own provider."""

from __future__ import annotations

from .fleet import FleetStack


class VSphereStack(FleetStack):
    """A `FleetStack` of a site of the platform ``vsphere``."""

    platform = "vsphere"
