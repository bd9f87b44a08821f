#!/usr/bin/python
# Copyright (c) Muster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One VM, without a fleet file."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vm
version_added: 0.1.0
short_description: Make, change or delete one VM
description:
  - The options are the fields of a VM in the fleet file; a field that is not given is not managed.
  - Acts only on a VM that bears the ownership mark of O(fleet).
author:
  - Muster contributors (@muster)
extends_documentation_fragment:
  - muster.fleet.vm
attributes:
  check_mode:
    description: Predicts exactly what a run would do, and changes nothing.
    support: full
  diff_mode:
    description: Shows what changes of each VM.
    support: full
options:
  name:
    description: Name of the VM.
    type: str
    required: true
  fleet:
    description: Name of the fleet that owns the VM; it is part of the ownership mark.
    type: str
    required: true
  site:
    description: The site, with the fields that a site has in the fleet file, and its C(name).
    type: dict
    required: true
  credentials:
    description: Credentials by the name of their site, as from Ansible Vault; they go before the environment and before
      what O(site) names.
    type: dict
  state:
    description: Whether the VM exists.
    type: str
    choices: [present, absent]
    default: present
  allow_power_cycle:
    description: Whether the VM may be shut down and started again for changes that need it.
    type: bool
    default: false
  allow_force:
    description: Whether the power of the VM may be cut where it must go off, and its guest was asked to shut down and
      did not in time, or is paused. What it did not write yet is lost.
    type: bool
    default: false
  allow_replace:
    description: Whether the VM may be deleted and made anew for changes that need it. Its data is lost.
    type: bool
    default: false
  wait:
    description: Whether to wait until a guest that was started is ready.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: A VM for a test
  muster.fleet.vm:
    name: probe
    fleet: tests
    site: {name: lab, platform: libvirt, uri: "qemu:///system"}
    cpus: 1
    memory: 512 MiB
    disks: [{size: 1 GiB}]

- name: It is not needed any more
  muster.fleet.vm:
    name: probe
    fleet: tests
    site: {name: lab, platform: libvirt, uri: "qemu:///system"}
    state: absent
"""

RETURN = r"""
vm:
  description: The VM in normal form, sizes in bytes and durations in seconds; empty where it does not exist.
  returned: success
  type: dict
  sample: {name: probe, site: lab, power: "on", cpus: 1}
changes:
  description: What was changed, a line each.
  returned: success
  type: list
  elements: str
  sample: ["cpus: 1 → 2 (live)"]
"""

import json

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.muster.fleet.plugins.module_utils.model.fields import argument_spec
from ansible_collections.muster.fleet.plugins.module_utils.model.fleet import load_fleet
from ansible_collections.muster.fleet.plugins.module_utils.module import progress, told, warn
from ansible_collections.muster.fleet.plugins.module_utils.operations import converge
from ansible_collections.muster.fleet.plugins.module_utils.operations.session import connected, entrusted

OWN = {
    "name": {"type": "str", "required": True},
    "fleet": {"type": "str", "required": True},
    "site": {"type": "dict", "required": True},
    "credentials": {"type": "dict", "no_log": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "allow_power_cycle": {"type": "bool", "default": False},
    "allow_force": {"type": "bool", "default": False},
    "allow_replace": {"type": "bool", "default": False},
    "wait": {"type": "bool", "default": True},
}


def given(value):
    """What was given of an option: Ansible fills what was not with None."""
    if isinstance(value, dict):
        return {key: given(item) for key, item in value.items() if item is not None}
    return [given(item) for item in value] if isinstance(value, list) else value


def main():
    """The module."""
    module = AnsibleModule(supports_check_mode=True, argument_spec={**argument_spec(), **OWN})
    params = module.params
    spec = given({key: value for key, value in params.items() if key not in OWN})
    site = given(dict(params["site"]))
    name = str(site.pop("name", "site"))
    # The same door as the fleet file: one way to check a VM, one set of sentences.
    document = {"fleet": params["fleet"], "sites": {name: site}, "vms": {params["name"]: {**spec, "site": name}}}
    with told(module):
        fleet = entrusted(load_fleet(json.dumps(document), "task"), params["credentials"])
        allowed = converge.Allowed(params["allow_power_cycle"], params["allow_replace"], force=params["allow_force"])
        with connected(fleet) as drivers:
            warn(module, fleet, drivers)
            if params["state"] == "absent":
                outcome = converge.remove(fleet, drivers, check=module.check_mode, progress=progress)[0]
            else:
                outcome = converge.converge(
                    fleet, drivers, allowed=allowed, check=module.check_mode, wait=params["wait"], progress=progress
                )[0]
            found = [
                vm
                for vm in converge.see(fleet, drivers)
                if vm.mark and (vm.mark.fleet, vm.mark.vm) == (fleet.name, params["name"])
            ]
    if outcome.error:
        module.fail_json(msg=outcome.error)
    for note in outcome.notes:
        module.warn(note)
    module.exit_json(
        changed=outcome.changed,
        changes=list(outcome.changes),
        vm=found[0].document() if found else {},
        diff=outcome.diff or {"before": {}, "after": {}},
    )


if __name__ == "__main__":
    main()
