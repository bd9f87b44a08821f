# Copyright (c) Muster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter that puts a run report together."""

from __future__ import annotations

DOCUMENTATION = r"""
name: run_report
version_added: 0.1.0
short_description: The run report, put together from what the jobs of one run left behind
description:
  - Makes of the facts that the roles of this collection set what O(muster.fleet.check#module:run) takes.
author:
  - Muster contributors (@muster)
positional: guests, local, now
options:
  _input:
    description: What M(muster.fleet.vm_info) returned.
    type: dict
    required: true
  guests:
    description: The variables of the guests' hosts.
    type: list
    elements: dict
    required: true
  local:
    description: The variables of the controller.
    type: dict
    required: true
  now:
    description: The time, in epoch seconds.
    type: float
    required: true
"""

EXAMPLES = r"""
- name: Write the report
  muster.fleet.check:
    stage: live
    documents: "{{ seen.vms }}"
    packs: "{{ seen.fleet.rules }}"
    report: build/report
    run: "{{ seen | muster.fleet.run_report(guests, hostvars.localhost, now().timestamp()) }}"
"""

RETURN = r"""
_value:
  description: The parts of the run report beside the compliance, as C(docs/report.schema.json) has them.
  type: dict
"""

from ansible_collections.muster.fleet.plugins.module_utils.policy.run import run_report


class FilterModule:
    """Ansible's door to the filter."""

    def filters(self):
        """The filters by name."""
        return {"run_report": run_report}
