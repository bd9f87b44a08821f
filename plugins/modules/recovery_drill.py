#!/usr/bin/python
# Copyright (c) Muster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The recovery drill."""

from __future__ import annotations

DOCUMENTATION = r"""
module: recovery_drill
version_added: 0.1.0
short_description: Drill the recovery of VMs from their restore points
description:
  - Restores each VM from its restore point as a twin that reaches nothing, boots it and asks its services.
  - Measures RTO and RPO against their targets, and takes the twin down whatever happens.
  - A drill that could not ask is V(not_tested), never passed. One that did not pass fails the module, unless
    O(fail=false).
  - The VMs themselves are not touched, so the module never reports a change.
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
  restore_point:
    description: The restore point to drill. The newest of each VM if unset.
    type: str
  fail:
    description: Whether a drill that did not pass fails the module.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Would we get the fleet back?
  muster.fleet.recovery_drill:
    fleet_file: fleet.yml
"""

RETURN = r"""
vms:
  description: The drill of each VM. Empty in check mode, as nothing is drilled then.
  returned: always
  type: list
  elements: dict
  sample:
    - vm: web
      site: lab
      outcome: passed
      restore_point: 20261122-173531-backup-5e55e6
      rto_seconds: 71.3
      rpo_seconds: 12.4
      rto_target: 900
      rpo_target: 86400
      checks: [{name: boots, outcome: passed, detail: ready 63 s after the request}]
"""

import dataclasses

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.muster.fleet.plugins.module_utils.module import FLEET_OPTIONS, progress, session
from ansible_collections.muster.fleet.plugins.module_utils.operations import drill


def main():
    """The module."""
    module = AnsibleModule(
        supports_check_mode=True,
        argument_spec={
            **FLEET_OPTIONS,
            "restore_point": {"type": "str"},
            "fail": {"type": "bool", "default": True},
        },
    )
    params = module.params
    outcomes = []
    with session(module) as (fleet, drivers):
        if not module.check_mode:
            outcomes = drill.drill(fleet, drivers, params["vms"], params["restore_point"], params["parallel"], progress)
    result = {
        "changed": False,
        "vms": [{**dataclasses.asdict(outcome), "sentence": drill.sentence(outcome)} for outcome in outcomes],
    }
    bad = [outcome for outcome in outcomes if outcome.outcome != "passed"]
    if bad and params["fail"]:
        module.fail_json(msg="\n".join(drill.sentence(outcome) for outcome in bad), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
