#!/usr/bin/python
# Copyright: Muster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: guest_info
short_description: Gather what rules need to know of a guest, in one round trip
version_added: 0.1.0
description:
  - Gathers operating system, kernel, sshd, kernel parameters and modules, packages, services, files, mounts, accounts,
    logins, auditing and more, and returns them as the C(guest) part of a VM document.
  - What could not be read is absent and named in C(facts.unread); a rule that needs it is then unknown, never passed.
  - Changes nothing. Run it with C(become), for most of it only root can read.
author:
  - Muster contributors (@muster)
options:
  ask:
    description:
      - Names to look at beside those that the benchmark's rules need.
    type: dict
    default: {}
    suboptions:
      packages:
        description: Packages; each is then true or false in C(facts.packages).
        type: list
        elements: str
        default: []
      services:
        description: Units of systemd; C(cron) is C(cron.service).
        type: list
        elements: str
        default: []
      files:
        description: Absolute paths whose mode and owner are wanted.
        type: list
        elements: str
        default: []
      sysctl:
        description: Kernel parameters.
        type: list
        elements: str
        default: []
      modules:
        description: Kernel modules.
        type: list
        elements: str
        default: []
      mounts:
        description: Mount points.
        type: list
        elements: str
        default: []
  management_user:
    description:
      - The account that Ansible logs in with. That which called sudo if unset.
    type: str
  timeout:
    description:
      - Seconds that all questions together may take.
    type: int
    default: 120
attributes:
  check_mode:
    support: full
    description: The module changes nothing.
  diff_mode:
    support: none
    description: There is nothing to compare.
  platform:
    support: full
    platforms: debian
    description: Debian 12 and Ubuntu 24.04.
"""

EXAMPLES = r"""
- name: Look into the guest
  muster.fleet.guest_info:
    ask:
      packages: [nginx]
      sysctl: [vm.swappiness]
  become: true
  register: inside

- name: Show its kernel
  ansible.builtin.debug:
    var: inside.facts.kernel.running
"""

RETURN = r"""
facts:
  description: The guest part of a VM document. A key that is absent could not be read.
  returned: success
  type: dict
  sample:
    os: {id: debian, version: "12", name: Debian GNU/Linux 12 (bookworm), point: "12.11"}
    kernel: {running: 6.1.0-37-cloud-amd64, newest: 6.1.0-37-cloud-amd64}
    sshd: {permitrootlogin: "no"}
    sysctl: {net.ipv4.ip_forward: "0"}
    packages: {nginx: true, telnet: false}
    unread: {}
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.muster.fleet.plugins.module_utils.guest.facts.gather import gather
from ansible_collections.muster.fleet.plugins.module_utils.guest.host import Host

SUBJECTS = ("packages", "services", "files", "sysctl", "modules", "mounts")


def main() -> None:
    subjects = {name: {"type": "list", "elements": "str", "default": []} for name in SUBJECTS}
    module = AnsibleModule(
        argument_spec={
            "ask": {"type": "dict", "default": {}, "options": subjects},
            "management_user": {"type": "str"},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    asked = {name: (module.params["ask"] or {}).get(name) or [] for name in SUBJECTS}
    user = module.params["management_user"] or os.environ.get("SUDO_USER") or "root"
    module.exit_json(changed=False, facts=gather(Host(), asked, user, module.params["timeout"]))


if __name__ == "__main__":
    main()
