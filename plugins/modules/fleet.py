#!/usr/bin/python
# Copyright (c) Muster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Converge a whole fleet in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet
version_added: 0.1.0
short_description: Make the VMs of a fleet what its file says
description:
  - Reads the fleet file, asks each site once what is there, plans, and carries the plan out, VMs side by side.
  - What cannot be done is found before anything changes; then nothing is changed at all.
  - Acts only on VMs that bear the ownership mark of the fleet.
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
    support: full
options:
  allow_power_cycle:
    description: Whether running VMs may be shut down and started again for changes that need it.
    type: bool
    default: false
  allow_force:
    description: Whether the power of a VM may be cut where it must go off, and its guest was asked to shut down and did
      not in time, or is paused. What it did not write yet is lost.
    type: bool
    default: false
  allow_replace:
    description: Whether a VM may be deleted and made anew for changes that need it. Its data is lost.
    type: bool
    default: false
  delete_orphans:
    description: Whether VMs that bear the mark of this fleet and left its file are deleted. Only in a run over the
      whole fleet.
    type: bool
    default: false
  max_fail:
    description: How many VMs may fail, in all, before no further wave is begun. A wave that was begun is finished.
    type: int
    default: 0
  waves:
    description:
      - In how many steps the VMs with something to do are worked on, as Ansible's C(serial) has it. Each is a number of
        VMs or a percentage of them; the last one is that of all further waves.
      - The first VM is the canary. After a wave in which a VM failed none is begun, and each VM that was left says so;
        O(max_fail) lets some fail.
    type: list
    elements: str
    default: ["1", "5%", "25%", "100%"]
  wait:
    description: Whether to wait until guests that were started are ready.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Make the fleet what the file says
  muster.fleet.fleet:
    fleet_file: fleet.yml

- name: See what would change, power cycles included
  muster.fleet.fleet:
    fleet_file: fleet.yml
    allow_power_cycle: true
  check_mode: true
  diff: true

- name: Make a new fleet at once, without a canary
  muster.fleet.fleet:
    fleet_file: fleet.yml
    waves: ["100%"]
"""

RETURN = r"""
vms:
  description: What happened to each VM.
  returned: always
  type: list
  elements: dict
  sample:
    - vm: web
      site: lab
      uuid: 3f0c1f5e-5a2b-5a0e-8b5b-0d2f3c0b7a11
      changed: true
      how: live
      changes: ["cpus: 2 → 4 (live)"]
      power: "on"
      address: 127.0.0.1:40022
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.muster.fleet.plugins.module_utils.module import FLEET_OPTIONS, finish, progress, session
from ansible_collections.muster.fleet.plugins.module_utils.operations import converge


def as_dict(outcome):
    """One VM of the result."""
    return {
        "vm": outcome.vm,
        "site": outcome.site,
        "uuid": outcome.uuid,
        "changed": outcome.changed,
        "how": outcome.how,
        "changes": list(outcome.changes),
        "power": outcome.power,
        "address": outcome.address,
        "notes": list(outcome.notes),
        "seconds": outcome.seconds,
        "error": outcome.error,
    }


def errors(outcomes):
    """What went wrong. Those that were not begun for it share a line: one for each would bury the one that says why."""
    left = [outcome.vm for outcome in outcomes if outcome.how == converge.NOT_BEGUN]
    found = [outcome.error for outcome in outcomes if outcome.error and outcome.vm not in left]
    were = f"{len(left)} VMs were not begun and are as they were"
    if len(left) == 1:
        were = "1 VM was not begun and is as it was"
    return found + ([f"{were}: {', '.join(left)}."] if left else [])


def main():
    """The module."""
    module = AnsibleModule(
        supports_check_mode=True,
        argument_spec={
            **FLEET_OPTIONS,
            "allow_power_cycle": {"type": "bool", "default": False},
            "allow_force": {"type": "bool", "default": False},
            "allow_replace": {"type": "bool", "default": False},
            "delete_orphans": {"type": "bool", "default": False},
            "max_fail": {"type": "int", "default": 0},
            "waves": {"type": "list", "elements": "str", "default": ["1", "5%", "25%", "100%"]},
            "wait": {"type": "bool", "default": True},
        },
    )
    allowed = converge.Allowed(
        module.params["allow_power_cycle"],
        module.params["allow_replace"],
        module.params["delete_orphans"],
        module.params["allow_force"],
    )
    with session(module) as (fleet, drivers):
        outcomes = converge.converge(
            fleet,
            drivers,
            module.params["vms"],
            allowed,
            check=module.check_mode,
            parallel=module.params["parallel"],
            wait=module.params["wait"],
            progress=progress,
            waves=module.params["waves"],
            max_fail=module.params["max_fail"],
        )
    diff = {
        side: {outcome.vm: outcome.diff[side] for outcome in outcomes if outcome.diff} for side in ("before", "after")
    }
    finish(
        module,
        outcomes,
        as_dict,
        any(outcome.changed for outcome in outcomes),
        diff=diff,
        notes=[note for outcome in outcomes for note in outcome.notes],
        errors=errors(outcomes),
    )


if __name__ == "__main__":
    main()
