# Copyright (c) Muster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of a VM for the modules' documentation, made from the field table."""

from __future__ import annotations

import json

from ansible_collections.muster.fleet.plugins.module_utils.model.reference import options


class ModuleDocFragment:
    """``extends_documentation_fragment: muster.fleet.vm`` documents exactly ``fields.argument_spec()``."""

    # Annotated, because ansible-test yamllint reads a plain assignment as text that is written here.
    DOCUMENTATION: str = json.dumps({"options": options()})  # JSON is YAML
