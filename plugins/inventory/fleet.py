# Copyright (c) Muster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The VMs of a fleet as an inventory, with their live addresses."""

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet
version_added: 0.1.0
short_description: The VMs of a fleet, with their live addresses
description:
  - Reads the fleet file and asks each of its sites once. VMs that bear the fleet's mark become hosts.
  - Groups are C(site_<site>), C(profile_<profile>) and C(tag_<name>_<value>), beside those of C(keyed_groups).
  - The host variable C(muster) holds the VM's fields, its name, site, UUID, power and addresses. C(compose), C(groups)
    and C(keyed_groups) see all that its site tells of it, as M(muster.fleet.vm_info) returns it.
  - The name of an inventory file ends in C(fleet.yml), C(fleet.yaml), C(muster.yml) or C(muster.yaml).
author:
  - Muster contributors (@muster)
extends_documentation_fragment:
  - constructed
  - inventory_cache
options:
  plugin:
    description: The name of this plugin.
    required: true
    choices: [muster.fleet.fleet]
  fleet_file:
    description: The fleet file. A relative path begins at the folder of the inventory file.
    type: str
    required: true
  credentials:
    description: Credentials by the name of their site, encrypted by Ansible Vault or templates of lookups; they go
      before the environment and before what the fleet file names.
    type: dict
"""

EXAMPLES = r"""
plugin: muster.fleet.fleet
fleet_file: fleet.yml
keyed_groups:
  - key: tags.environment
    prefix: env
"""

import os

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible_collections.muster.fleet.plugins.module_utils.drivers.driver import DriverError
from ansible_collections.muster.fleet.plugins.module_utils.model.errors import ModelError
from ansible_collections.muster.fleet.plugins.module_utils.model.garbage import kept_for_good
from ansible_collections.muster.fleet.plugins.module_utils.operations import hosts
from ansible_collections.muster.fleet.plugins.module_utils.operations.session import (
    connected,
    entrusted,
    list_all,
    read_fleet,
)


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """Fleet file and sites in, hosts and groups out."""

    NAME = "muster.fleet.fleet"

    def verify_file(self, path):
        """Whether the file may be for this plugin."""
        return super().verify_file(path) and path.endswith(("fleet.yml", "fleet.yaml", "muster.yml", "muster.yaml"))

    def parse(self, inventory, loader, path, cache=True):
        """Fill the inventory, from the cache where it is on and fresh."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        with kept_for_good():
            self._fill(path, cache)

    def _fill(self, path, cache):
        key = self.get_cache_key(path)
        self.load_cache_plugin()
        fleet_file = os.path.expanduser(self.get_option("fleet_file"))
        try:
            fleet = read_fleet(os.path.join(os.path.dirname(os.path.abspath(path)), fleet_file))
            vms = self._remembered(fleet, key) if self.get_option("cache") and cache else None
            if vms is None:
                vms = self._ask(entrusted(fleet, self.templar.template(self.get_option("credentials"))))
                if self.get_option("cache"):
                    self._cache[key] = [hosts.remembered(vm) for vm in vms]
        except (DriverError, ModelError) as error:
            raise AnsibleParserError(str(error)) from error
        for vm in vms:
            self._add(fleet, vm)

    def _remembered(self, fleet, key):
        """The VMs of the cache; None where it has none, or what is none of ours."""
        try:
            return hosts.recalled(fleet, self._cache[key])
        except KeyError:
            return None

    def _ask(self, fleet):
        with connected(fleet) as drivers:
            for warning in filter(None, (fleet.sites[name].warning for name in drivers)):
                self.display.warning(warning)
            listed = [vm for vms in list_all(drivers).values() for vm in vms]
        return list(hosts.of_fleet(fleet, listed).values())

    def _add(self, fleet, vm):
        name, document = vm.owner.vm, vm.document()
        self.inventory.add_host(name)
        # What came from outside is never a template: Ansible marks what an inventory plugin sets as untrusted.
        for key, value in {**hosts.variables(fleet, vm), "muster": hosts.told(vm)}.items():
            self.inventory.set_variable(name, key, value)
        for group in hosts.groups(vm):
            self.inventory.add_host(name, group=self.inventory.add_group(group))
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), document, name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), document, name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), document, name, strict=strict)
