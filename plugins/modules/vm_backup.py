#!/usr/bin/python
# Copyright (c) Muster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Backups of VMs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vm_backup
version_added: 0.1.0
short_description: Take restore points of VMs, and restore lost ones
description:
  - A restore point is a copy of a VM's disks at one point in time, sealed with hashes in the repository of its site.
  - Retention follows the VM's C(protection.keep), only after a backup that succeeded; the newest restore point always
    stays.
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
  state:
    description: V(present) takes a restore point of each VM. V(restored) brings VMs that are gone back from one; a VM
      that still exists is never overwritten.
    type: str
    choices: [present, restored]
    default: present
  kind:
    description: V(auto) is incremental, with a full after each seven; V(incremental) falls back to a full where it
      must.
    type: str
    choices: [auto, full, incremental]
    default: auto
  restore_point:
    description: The restore point to restore. The newest if unset.
    type: str
"""

EXAMPLES = r"""
- name: The nightly backup
  muster.fleet.vm_backup:
    fleet_file: fleet.yml

- name: The database is lost
  muster.fleet.vm_backup:
    fleet_file: fleet.yml
    vms: [db]
    state: restored
"""

RETURN = r"""
vms:
  description: The restore point of each VM.
  returned: always
  type: list
  elements: dict
  sample:
    - vm: web
      site: lab
      restore_point: 20261122-173531-backup-5e55e6
      kind: full
      bytes: 780992512
      created: 1795368931.9
      consistency: filesystem
      pruned: []
"""

import dataclasses

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.muster.fleet.plugins.module_utils.module import FLEET_OPTIONS, finish, progress, session
from ansible_collections.muster.fleet.plugins.module_utils.operations import backup


def main():
    """The module."""
    module = AnsibleModule(
        supports_check_mode=True,
        argument_spec={
            **FLEET_OPTIONS,
            "state": {"type": "str", "choices": ["present", "restored"], "default": "present"},
            "kind": {"type": "str", "choices": ["auto", "full", "incremental"], "default": "auto"},
            "restore_point": {"type": "str"},
        },
    )
    params = module.params
    with session(module) as (fleet, drivers):
        if params["state"] == "restored":
            outcomes = backup.restore_all(
                fleet,
                drivers,
                params["vms"],
                params["restore_point"],
                check=module.check_mode,
                parallel=params["parallel"],
                progress=progress,
            )
        else:
            outcomes = backup.backup(
                fleet,
                drivers,
                params["vms"],
                params["kind"],
                check=module.check_mode,
                parallel=params["parallel"],
                progress=progress,
            )
    finish(module, outcomes, dataclasses.asdict, any(not outcome.error for outcome in outcomes))


if __name__ == "__main__":
    main()
