# Copyright (c) Muster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of every module that works on the VMs of a fleet file."""

from __future__ import annotations


class ModuleDocFragment:
    """``extends_documentation_fragment: muster.fleet.fleet`` documents exactly ``module.FLEET_OPTIONS``."""

    DOCUMENTATION = r"""
options:
  fleet_file:
    description: The fleet file.
    type: path
    required: true
  vms:
    description: Names of the VMs to work on. All of the fleet if empty.
    type: list
    elements: str
    default: []
  parallel:
    description: How many VMs are worked on at once, in all. If unset, as many of each site as it allows.
    type: int
  credentials:
    description: Credentials by the name of their site, as from Ansible Vault; they go before the environment and before
      what the fleet file names. The jobs' playbooks take them from the variable C(muster_credentials).
    type: dict
requirements:
  - python >= 3.11
  - libvirt-python, for sites of the platform V(libvirt)
"""
