"""The one place that imports pyvmomi: Ansible ships this file to machines that have none."""

from __future__ import annotations

__all__ = ["MODERN", "MODERN_FROM", "VERSION", "SoapAdapter", "VmomiSupport", "vim", "vmodl"]

try:
    from pyVmomi import SoapAdapter, VmomiSupport, vim, vmodl
except ImportError:  # the sentence comes when a site of this platform is opened, not when Ansible imports the file
    SoapAdapter = VmomiSupport = vim = vmodl = None  # type: ignore[assignment]

VERSION = "vim.version.version11"  # of the API: vSphere 6.5, which every later vCenter speaks too
MODERN = "vim.version.v7_0_2_0"  # what is spoken where vCenter can: it knows of more settings
MODERN_FROM = (7, 0, 2)
