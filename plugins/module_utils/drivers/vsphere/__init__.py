"""VMs under VMware vSphere: the clusters of one vCenter, over its API."""

from __future__ import annotations

from .driver import VsphereDriver

__all__ = ["VsphereDriver"]
