# Copyright (c) Muster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter that tells which packages have changed."""

from __future__ import annotations

DOCUMENTATION = r"""
name: package_changes
version_added: 0.1.0
short_description: Packages that have changed between two looks
description:
  - Compares two answers of C(dpkg-query --show).
author:
  - Muster contributors (@muster)
positional: after
options:
  _input:
    description: The lines of the first look, C(NAME), a tab and C(VERSION) each.
    type: list
    elements: str
    required: true
  after:
    description: The lines of the second look.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show what has changed
  ansible.builtin.debug:
    msg: "{{ before.stdout_lines | muster.fleet.package_changes(after.stdout_lines) }}"
"""

RETURN = r"""
_value:
  description: One C(name), C(from), C(to) a package; C(from) is null for a new one, C(to) for one that is gone.
  type: list
  elements: dict
"""

from ansible_collections.muster.fleet.plugins.module_utils.guest.packages import changes


class FilterModule:
    """Ansible's door to the filter."""

    def filters(self):
        """The filters by name."""
        return {"package_changes": changes}
