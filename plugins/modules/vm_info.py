#!/usr/bin/python
# Copyright (c) Muster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is known of VMs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vm_info
version_added: 0.1.0
short_description: Read the VMs of a fleet's sites
description:
  - Asks each site once and returns its VMs in normal form, sizes in bytes and durations in seconds.
  - A site that does not answer fails the module, with O(all) once none of them does; a VM is never reported as absent
    because nobody could look.
author:
  - Muster contributors (@muster)
extends_documentation_fragment:
  - muster.fleet.fleet
attributes:
  check_mode:
    description: Predicts exactly what a run would do, and changes nothing.
    support: full
  diff_mode:
    description: Shows what changes of each VM.
    support: none
options:
  gather:
    description: What to read beside the listing. V(health) asks the VM's services, V(snapshots) and V(restore_points)
      list them, V(sites) asks what the hosts and storage pools have and tells the host of each VM.
    type: list
    elements: str
    choices: [health, snapshots, restore_points, sites]
    default: []
  patience:
    description: How many seconds to wait for a service that does not answer well at once.
    type: int
    default: 0
  all:
    description: Whether to return VMs that are not of this fleet too.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Does the fleet serve?
  muster.fleet.vm_info:
    fleet_file: fleet.yml
    gather: [health]
"""

RETURN = r"""
vms:
  description: The VMs as documents.
  returned: always
  type: list
  elements: dict
  sample:
    - name: web
      site: lab
      power: "on"
      cpus: 2
      health_state: healthy
hosts:
  description: For each VM of the fleet that can be reached, the variables and groups of its host in Ansible.
  returned: always
  type: dict
  sample:
    web:
      variables: {ansible_host: 127.0.0.1, ansible_port: 40022, ansible_user: muster}
      groups: [site_lab, profile_web]
sites:
  description: With O(gather) V(sites), a document of each site that can tell about its hosts, storage pools and the
    disks that no VM uses. Rules about sites judge it.
  returned: always
  type: list
  elements: dict
  sample:
    - kind: site
      name: lab
      hosts: [{name: kvm1, cpus: 16, memory: 68719476736, vms: 9, cpus_promised: 24, cpu_overcommit: 1.5}]
      orphaned_disks: [{name: old.root.qcow2, pool: default, size: 10737418240}]
notes:
  description: With O(all), a sentence on each thing that could not be seen, such as the snapshots of VMs whose node is
    down, and why. What was not seen is left out. On the VMs of the fleet alone it is an error.
  returned: always
  type: list
  elements: str
  sample: []
unasked:
  description: With O(all), a sentence on each site that could not be asked. RV(notes) tells of them too; what they have
    is in no other list.
  returned: always
  type: list
  elements: str
  sample: []
missing:
  description: A sentence on each VM of the fleet file that its site does not have.
  returned: always
  type: list
  elements: str
  sample: []
down:
  description: A sentence on each VM that is off though the fleet file wants it on.
  returned: always
  type: list
  elements: str
  sample: []
fleet:
  description: Name, rules and spec of the fleet file; C(spec) holds its VMs as documents.
  returned: always
  type: dict
  sample: {name: acme, rules: [muster/baseline], spec: []}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.muster.fleet.plugins.module_utils.module import FLEET_OPTIONS, progress, session
from ansible_collections.muster.fleet.plugins.module_utils.operations import inspect


def main():
    """The module."""
    module = AnsibleModule(
        supports_check_mode=True,
        argument_spec={
            **FLEET_OPTIONS,
            "gather": {
                "type": "list",
                "elements": "str",
                "choices": ["health", "snapshots", "restore_points", "sites"],
                "default": [],
            },
            "patience": {"type": "int", "default": 0},
            "all": {"type": "bool", "default": False},
        },
    )
    params = module.params
    unasked = [] if params["all"] else None
    with session(module, unasked) as (fleet, drivers):
        result = inspect.look(
            fleet,
            drivers,
            params["vms"],
            params["gather"],
            every=params["all"],
            patience=params["patience"],
            parallel=params["parallel"],
            progress=progress,
            unasked=unasked,
        )
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
