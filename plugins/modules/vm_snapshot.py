#!/usr/bin/python
# Copyright (c) Muster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Snapshots of VMs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vm_snapshot
version_added: 0.1.0
short_description: Take, delete, list and revert to snapshots
description:
  - A snapshot lies beside the VM's own disks. It undoes a change, it is no backup.
  - Retention removes only snapshots that Muster took and that are not on hold.
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
    description: V(present) takes one and then applies the retention; V(absent) deletes O(id); V(reverted) brings the
      VMs back to O(id), and what was written since is lost; V(retained) applies the retention alone; V(listed) only
      lists.
    type: str
    choices: [present, absent, reverted, retained, listed]
    default: present
  id:
    description: Id of the snapshot. With O(state=present), the id of the operation; a snapshot that bears it is
      adopted.
    type: str
  description:
    description: What the snapshot is for.
    type: str
    default: ""
  hold:
    description: Whether retention must never remove the snapshot.
    type: bool
    default: false
  count:
    description: How many of Muster's snapshots to keep.
    type: int
  age:
    description: Snapshots older than this are removed, such as V(72h).
    type: str
"""

EXAMPLES = r"""
- name: Before the patches
  muster.fleet.vm_snapshot:
    fleet_file: fleet.yml
    description: before the patches of November
    count: 3
    age: 72h
"""

RETURN = r"""
vms:
  description: What happened to the snapshots of each VM.
  returned: always
  type: list
  elements: dict
  sample:
    - vm: web
      site: lab
      changed: true
      id: muster-20261122-173530-snapshot-5970f7
      created: 1795368930
      removed: []
      snapshots: []
"""

import dataclasses

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.muster.fleet.plugins.module_utils.model.units import parse_duration
from ansible_collections.muster.fleet.plugins.module_utils.module import FLEET_OPTIONS, finish, progress, session
from ansible_collections.muster.fleet.plugins.module_utils.operations import snapshot


def work(params, fleet, drivers, check):
    """The outcomes of the state that is asked for."""
    names, state = params["vms"], params["state"]
    more = {"check": check, "parallel": params["parallel"], "progress": progress}
    keep = {"count": params["count"], "age": params["age"]}
    if state == "listed":
        return snapshot.listing(fleet, drivers, names, params["parallel"])
    if state == "absent":
        return snapshot.remove(fleet, drivers, names, params["id"], **more)
    if state == "reverted":
        return snapshot.revert(fleet, drivers, names, params["id"], **more)
    if state == "retained":
        return snapshot.retain(fleet, drivers, names, **keep, **more)
    return snapshot.take(
        fleet,
        drivers,
        names,
        description=params["description"],
        hold=params["hold"],
        operation=params["id"],
        **keep,
        **more,
    )


def main():
    """The module."""
    module = AnsibleModule(
        supports_check_mode=True,
        argument_spec={
            **FLEET_OPTIONS,
            "state": {
                "type": "str",
                "choices": ["present", "absent", "reverted", "retained", "listed"],
                "default": "present",
            },
            "id": {"type": "str"},
            "description": {"type": "str", "default": ""},
            "hold": {"type": "bool", "default": False},
            "count": {"type": "int"},
            "age": {"type": "str"},
        },
        required_if=[("state", "absent", ["id"]), ("state", "reverted", ["id"])],
    )
    try:
        module.params["age"] = None if module.params["age"] is None else parse_duration(module.params["age"])
    except ValueError as error:
        module.fail_json(msg=f"age: {error}")
    with session(module) as (fleet, drivers):
        outcomes = work(module.params, fleet, drivers, module.check_mode)
    finish(module, outcomes, dataclasses.asdict, any(outcome.changed for outcome in outcomes))


if __name__ == "__main__":
    main()
