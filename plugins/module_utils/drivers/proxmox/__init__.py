"""VMs under Proxmox VE: a node or a cluster of nodes, over its API."""

from __future__ import annotations

from .driver import ProxmoxDriver

__all__ = ["ProxmoxDriver"]
