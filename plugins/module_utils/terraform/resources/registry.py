"""The resource types that are VMs, each with its reader: a plain table, because Ansible ships what imports name."""

from __future__ import annotations

from collections.abc import Callable

from ..draft import Draft
from ..resource import Resource
from ..world import World
from . import aws_instance, azure, google, libvirt_domain, muster_vm, proxmox_bpg, proxmox_telmate, vsphere

VMS: dict[str, Callable[[Resource, Draft, World], None]] = {
    "muster_vm": muster_vm.read_vm,
    "vsphere_virtual_machine": vsphere.read_vm,
    "proxmox_virtual_environment_vm": proxmox_bpg.read_vm,
    "proxmox_vm_qemu": proxmox_telmate.read_vm,
    "libvirt_domain": libvirt_domain.read_vm,
    "aws_instance": aws_instance.read_vm,
    "azurerm_linux_virtual_machine": azure.read_vm,
    "azurerm_windows_virtual_machine": azure.read_vm,
    "google_compute_instance": google.read_vm,
}
