#!/usr/bin/python

# Copyright: Muster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: check
short_description: Check VMs against packs of rules
version_added: 0.1.0
description:
  - Judges VM documents by rules and returns what they found. Nothing is changed and no host is asked.
  - It runs on the controller. Packs and waivers are read there and never sent to a guest.
  - A rule whose value is not known is C(unknown). It is never counted as passed.
author:
  - Muster contributors (@muster)
attributes:
  check_mode:
    description: Can run in check mode and returns what it returns otherwise.
    details: The files of O(report) are not written in check mode.
    support: full
  diff_mode:
    description: Returns what changed.
    details: Nothing is ever changed.
    support: none
  action:
    description: Runs as an action on the controller.
    support: full
options:
  stage:
    description:
      - The stages whose rules are run.
      - V(spec) is for documents of the fleet file, V(plan) for those of a Terraform plan, V(live) for those of a
        hypervisor and V(guest) for those with facts of the guest.
      - Required with O(documents).
    type: list
    elements: str
    choices: [spec, plan, live, guest]
  documents:
    description:
      - VM documents, as M(muster.fleet.vm_info) returns them.
      - One of O(documents) and O(plan) is required.
    type: list
    elements: dict
  plan:
    description:
      - Path of the JSON that C(terraform show -json) writes of a plan or a state. Its VMs are judged at the stage
        V(plan).
      - What it has beside VMs is counted in C(compliance.unmapped).
    type: path
  packs:
    description:
      - Packs of rules, such as V(muster/baseline), or paths of pack files.
      - All of them are read and checked before a rule runs.
    type: list
    elements: str
    required: true
  guests:
    description: Facts of guests by the names of their VMs, as M(muster.fleet.guest_info) returns them. Each is added to
      the document of its VM.
    type: dict
    default: {}
  waivers:
    description: Waivers as a list, as the fleet file has them, or the path of a file with waivers.
    type: raw
  base:
    description: Folder that relative paths start from. The folder of the playbook if unset.
    type: path
  frameworks:
    description: Frameworks to report by control, such as V(pci_dss_4), in C(compliance.frameworks).
    type: list
    elements: str
    default: []
  report:
    description: Folder that C(report.html) and C(report.json) are written to. No report is written if unset.
    type: path
  formats:
    description:
      - Forms that the report is written in beside the two, as C(report.sarif), C(report.junit.xml), C(report.csv) and
        C(report.oscal.json). Requires O(report).
      - All but V(csv) need C(muster-fleet[formats]) on the controller.
    type: list
    elements: str
    choices: [sarif, junit, csv, oscal]
  run:
    description:
      - The other parts of the run report, as C(docs/report.schema.json) has them, such as C(fleet), C(vms),
        C(hardening) or C(drills). The compliance of this check is added to them.
    type: dict
    default: {}
  fail_on:
    description:
      - The lowest severity that fails the task. Failed rules and rules that could not be evaluated count, unknown and
        waived ones do not.
      - The task never fails for its findings if unset.
    type: str
    choices: [low, medium, high, critical]
"""

EXAMPLES = r"""
- name: Ask the site for its VMs
  muster.fleet.vm_info:
    fleet_file: fleet.yml
  register: found

- name: Check them and write the report
  muster.fleet.check:
    stage: live
    documents: "{{ found.vms }}"
    packs: [muster/baseline, ./our-rules.yml]
    waivers: waivers.yml
    report: build/report
    fail_on: high

- name: Judge what Terraform is about to build
  muster.fleet.check:
    plan: plan.json
    packs: [muster/baseline]
    frameworks: [pci_dss_4]
    report: build/report
    formats: [sarif, junit]
"""

RETURN = r"""
compliance:
  description:
    - Counts of C(passed), C(failed), C(unknown), C(waived), C(not_applicable) and C(errors), and the C(findings) that
      somebody should look at, the worst first.
    - Also the counts by VM (C(vms)), the counts by rule (C(rules)) and what each waiver did (C(waivers)).
  returned: always
  type: dict
  sample:
    passed: 41
    failed: 1
    unknown: 0
    waived: 1
    not_applicable: 12
    errors: 0
    findings:
      - rule: tag-owner
        title: The VM names its owner
        severity: medium
        vm: web
        site: lab
        stage: live
        outcome: fail
        sentence: "web at lab: tags.owner is not set. A VM that nobody owns is patched, paid and restored by nobody."
        fix: {vm: {tags: {owner: the team that answers for the VM}}}
        controls: {nist_800_53: [CM-8]}
settings:
  description:
    - For each VM the merged fixes of the guest rules that apply to it and are not waived, the input of
      M(muster.fleet.guest_settings).
  returned: where O(stage) has V(guest)
  type: dict
  sample: {web: {sshd: {PermitRootLogin: "no"}}}
html:
  description: Path of the page that was written.
  returned: where O(report) is set, not in check mode
  type: str
json:
  description: Path of the JSON file that was written.
  returned: where O(report) is set, not in check mode
  type: str
files:
  description: Paths of the files of O(formats), by format.
  returned: where O(report) is set, not in check mode
  type: dict
  sample: {sarif: build/report/report.sarif}
table:
  description: The VMs in a short table for the terminal.
  returned: where O(report) is set
  type: str
"""
