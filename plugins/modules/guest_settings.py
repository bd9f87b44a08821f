#!/usr/bin/python
# Copyright: Muster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: guest_settings
short_description: Apply all settings of a guest in one round trip, without locking anybody out
version_added: 0.1.0
description:
  - Takes one settings document (the sum of the fixes of rules), plans what would change, and applies exactly that plan.
    Check mode and diff show the same plan.
  - "Settings after which the management user could not come back are refused before anything changes: such as
    C(AllowUsers) without it, or the removal of C(openssh-server)."
  - "What can lock out for reasons that no plan sees (sshd, sudo, PAM) goes behind a deadman: the files are saved, and
    a timer in the guest puts them back after O(gate_timeout) seconds or at the next boot, whichever comes first. Come
    in over a new connection, become root, then confirm with O(confirm); the role C(muster.fleet.harden) does so."
author:
  - Muster contributors (@muster)
options:
  settings:
    description:
      - Settings by kind. C(docs/guest.md) describes each kind.
      - "Kinds are C(apt), C(packages_absent), C(packages_present), C(modules_disabled), C(sysctl), C(mounts),
        C(files), C(homes), C(banners), C(journald), C(coredump), C(timesyncd), C(limits), C(login_defs),
        C(useradd), C(shell), C(services_disabled), C(services_enabled), C(auditd), C(logs), C(pwquality),
        C(pwhistory), C(faillock), C(pam), C(su), C(sudo), C(sshd)."
    type: dict
    default: {}
  confirm:
    description:
      - RV(gate) of an earlier run, to say that a new connection as the management user and sudo both worked.
      - The timer is stopped and the settings stay. Too late a confirmation fails, for the settings are gone by then.
    type: str
  gate_timeout:
    description:
      - Seconds after which the guest puts unconfirmed settings back.
    type: int
    default: 180
  management_user:
    description:
      - The account that Ansible logs in with. That which called sudo if unset.
    type: str
attributes:
  check_mode:
    support: full
    description: Shows the plan that a run executes.
  diff_mode:
    support: full
    description: One line for each change.
  platform:
    support: full
    platforms: debian
    description: Debian 12 and Ubuntu 24.04.
"""

EXAMPLES = r"""
- name: Set
  muster.fleet.guest_settings:
    settings:
      sysctl: {net.ipv4.ip_forward: "0"}
      sshd: {PermitRootLogin: "no"}
      files: {/etc/shadow: {mode: "0640", owner: root, group: shadow}}
  become: true
  register: applied

- name: Come in over a new connection
  ansible.builtin.meta: reset_connection

- name: Say that the new connection works
  muster.fleet.guest_settings:
    confirm: "{{ applied.gate }}"
  become: true
  when: applied.gate
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, in the order of the plan.
  returned: success
  type: list
  elements: dict
  sample: [{kind: sshd, item: PermitRootLogin, before: "yes", after: "no"}]
gate:
  description: Id of the gate that must be confirmed within O(gate_timeout) seconds; empty where nothing was gated.
  returned: success
  type: str
  sample: 5f2c6f0b9d1e4a77
gated:
  description: Kinds that are behind the gate.
  returned: success
  type: list
  elements: str
  sample: [sudo, sshd]
reboot_needed:
  description: Whether a change is effective only after a reboot.
  returned: success
  type: bool
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.muster.fleet.plugins.module_utils.guest import gate
from ansible_collections.muster.fleet.plugins.module_utils.guest.apply import apply
from ansible_collections.muster.fleet.plugins.module_utils.guest.host import GuestError, Host
from ansible_collections.muster.fleet.plugins.module_utils.guest.settings import plan


def confirm(module: AnsibleModule, host: Host) -> dict:
    """Disarm the gate; in check mode only look whether it waits."""
    identity = module.params["confirm"]
    if module.check_mode:
        waiting = gate.status(host)
        return {"changed": bool(waiting and waiting.get("id") == identity), "changes": [], "gate": "", "gated": [],
                "reboot_needed": False}
    return {"changed": gate.confirm(host, identity), "changes": [], "gate": "", "gated": [], "reboot_needed": False}


def settle(module: AnsibleModule, host: Host) -> dict:
    """Plan; outside check mode apply the plan."""
    user = module.params["management_user"] or os.environ.get("SUDO_USER") or "root"
    planned = plan(module.params["settings"], host, user)
    result = {
        "changed": bool(planned.changes),
        "changes": [change.document() for change in planned.changes],
        "gate": "",
        "gated": [part.kind for part in planned.parts if part.gated],
        "reboot_needed": any(part.reboot for part in planned.parts),
    }
    if module._diff:
        result["diff"] = planned.diff()
    if planned.changes and not module.check_mode:
        result["gate"] = apply(planned, host, module.params["gate_timeout"]).gate or ""
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "settings": {"type": "dict", "default": {}},
            "confirm": {"type": "str"},
            "gate_timeout": {"type": "int", "default": 180},
            "management_user": {"type": "str"},
        },
        supports_check_mode=True,
    )
    if not 30 <= module.params["gate_timeout"] <= 3600:
        module.fail_json(msg="gate_timeout must lie between 30 and 3600 seconds. Nothing was changed.")
    host = Host()
    try:
        result = confirm(module, host) if module.params["confirm"] else settle(module, host)
    except GuestError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
