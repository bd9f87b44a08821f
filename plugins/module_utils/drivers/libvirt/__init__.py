"""VMs under libvirt: KVM or, where the host offers none, QEMU's own emulation."""

from __future__ import annotations

from .driver import LibvirtDriver

__all__ = ["LibvirtDriver"]
