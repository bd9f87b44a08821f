"""The resource ``muster_vm``: what Terraform asks, answered by the planner and by ``operations.converge``."""

from __future__ import annotations

from typing import Any

from muster.model.fields import VM_FIELDS
from tf.schema import Schema
from tf.types import Unknown
from tf.utils import Diagnostics

from . import schema, timeouts, values
from .configuration import Configuration
from .provider import summary
from .settings import check_name
from .vm_apply import VmApplying
from .vm_plan import VmPlanning
from .vm_read import VmReading

_FIELDS: dict[str, Any] = {"name": {"type": "str", "muster": {}}, "site": {"type": "str", "muster": {}}, **VM_FIELDS}


class VmResource(VmPlanning, VmApplying, VmReading):
    """One request about one VM."""

    operations = timeouts.OF_VM

    @classmethod
    def get_name(cls) -> str:
        return "vm"

    @classmethod
    def get_schema(cls) -> Schema:
        return schema.vm()

    def validate(self, diags: Diagnostics, type_name: str, config: Configuration) -> None:
        """What is wrong with `config` as far as it is known, and the rules that it fails."""
        desired = config.desired
        problems = list(desired.problems)
        name, site_name = (config.get(key) for key in ("name", "site"))
        if name is not None and name is not Unknown:
            check_name(name, problems)
        timeouts.check(config, problems)
        settings = self.provider.settings
        site = self.site_of(site_name, problems)
        if settings is not None and site is not None:
            from muster.model.catalogue import catalogue

            catalogue(site.name, site.options, desired.spec, problems)
        for problem in problems:
            diags.add_error(summary(problem), path=values.path(problem.keys, config, _FIELDS) or list(problem.keys))
        if settings is not None and not problems:
            try:
                rulebook = self.provider.rulebook()
            except ValueError:
                return  # the provider's own validation says it, once, and then it is not configured
            rulebook.refuse(diags, desired, None if name is Unknown else name, site, config)
