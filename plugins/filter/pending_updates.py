# Copyright (c) Muster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter that reads what an upgrade would do."""

from __future__ import annotations

DOCUMENTATION = r"""
name: pending_updates
version_added: 0.1.0
short_description: Packages that an upgrade would change
description:
  - Reads what C(apt-get --simulate) said.
author:
  - Muster contributors (@muster)
options:
  _input:
    description: Its lines, such as the C(stdout_lines) of M(ansible.builtin.apt) in check mode.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show what is pending
  ansible.builtin.debug:
    msg: "{{ simulated.stdout_lines | muster.fleet.pending_updates }}"
"""

RETURN = r"""
_value:
  description: One C(name), C(from), C(to) a package; C(from) is null for a new one, C(to) for one that goes.
  type: list
  elements: dict
"""

from ansible_collections.muster.fleet.plugins.module_utils.guest.packages import pending


class FilterModule:
    """Ansible's door to the filter."""

    def filters(self):
        """The filters by name."""
        return {"pending_updates": pending}
