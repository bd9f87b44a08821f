# Copyright (c) Muster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter that judges VM documents by packs of rules."""

from __future__ import annotations

DOCUMENTATION = r"""
name: check
version_added: 0.1.0
short_description: What rules say of VM documents
description:
  - Judges VM documents by rules, for a template or a variable of a playbook. M(muster.fleet.check) does the same as a
    task, and writes reports.
author:
  - Muster contributors (@muster)
positional: packs, stage
options:
  _input:
    description: VM documents, as M(muster.fleet.vm_info) returns them.
    type: list
    elements: dict
    required: true
  packs:
    description: Packs of rules, such as V(muster/baseline), or paths of pack files.
    type: list
    elements: str
    required: true
  stage:
    description: The stage whose rules are run.
    type: str
    choices: [spec, plan, live, guest]
    default: live
  waivers:
    description: Waivers, as the fleet file has them.
    type: list
    elements: dict
    default: []
  base:
    description: Folder that relative paths of packs start from. The current folder if unset.
    type: path
    default: .
"""

EXAMPLES = r"""
- name: Say how many rules failed
  ansible.builtin.debug:
    msg: "{{ (found.vms | muster.fleet.check(['muster/baseline'])).failed }} rules failed"

- name: Fail where a VM has no owner
  ansible.builtin.assert:
    that: findings | selectattr('rule', 'eq', 'tag-owner') | length == 0
  vars:
    findings: "{{ (found.vms | muster.fleet.check(['muster/baseline'])).findings }}"
"""

RETURN = r"""
_value:
  description: The compliance, as RV(muster.fleet.check#module:compliance).
  type: dict
"""

from ansible.errors import AnsibleFilterError
from ansible_collections.muster.fleet.plugins.module_utils.policy import check, load_rules
from ansible_collections.muster.fleet.plugins.module_utils.policy.packfile import PackError
from ansible_collections.muster.fleet.plugins.module_utils.policy.waivers import WaiverError, parse_waivers


def compliance(documents, packs, stage="live", waivers=(), base="."):
    """What the rules of `packs` say of `documents`. Raises AnsibleFilterError."""
    if not isinstance(documents, list) or not all(isinstance(document, dict) for document in documents):
        raise AnsibleFilterError("muster.fleet.check: the input is not a list of VM documents. Give it the 'vms' that "
                                 "muster.fleet.vm_info returns.")
    try:
        return check(documents, load_rules(packs, base), stage, parse_waivers(waivers)).compliance()
    except (PackError, WaiverError, ValueError) as error:
        raise AnsibleFilterError(f"muster.fleet.check: {error}") from None


class FilterModule:
    """Ansible's door to the filter."""

    def filters(self):
        """The filters by name."""
        return {"check": compliance}
