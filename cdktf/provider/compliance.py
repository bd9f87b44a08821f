"""The rulebook at plan time: the sentence of each rule that a configuration fails, at the attribute it is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from muster.model.fields import VM_FIELDS
from muster.model.fleet import Site
from tf.utils import Diagnostics

from . import values
from .settings import SEVERITIES, Settings


def untold() -> list[str]:
    """What only the other VMs of the fleet tell. One resource does not see them: `muster check` of the whole plan does.
    """
    from muster.policy.context import FROM_OTHERS

    return [name for name in FROM_OTHERS if name != "pinned_cpus"]  # which its own pinning tells


class Rulebook:
    """The rules that may stop a plan, and the waivers, read once."""

    def __init__(self, settings: Settings) -> None:
        self.severity = settings.severity
        stops = SEVERITIES[SEVERITIES.index(settings.severity):]
        self.rules = tuple(rule for rule in (settings.rules() if settings.packs else ())
                           if rule.severity in stops and "plan" in rule.stages)  # no other can stop a plan
        self.waivers = settings.fleet.waivers

    def refuse(self, diags: Diagnostics, desired: values.Desired, name: str | None, site: Site | None,
               config: Mapping[str, Any]) -> None:
        """An error for each rule that `desired` fails. `name` and `site` are None while they are not known. A VM
        without a name is spared what a waiver might allow it."""
        if not self.rules:
            return
        from muster.policy import check

        document = {**desired.document(), "name": name or "", "site": site.name if site else "",
                    "platform": site.platform if site else "", "owned": True, "terraform_type": "muster_vm"}
        document["unknown"] = [*document["unknown"], *untold(), *(() if site else ("site", "platform"))]
        waived = {one.rule for one in self.waivers} if name is None else set()
        for finding in check([document], self.rules, "plan", self.waivers).at_least(self.severity):
            if finding.rule not in waived:
                diags.add_error(f"Rule {finding.rule} ({finding.severity}): {finding.title}", finding.sentence,
                                path=_place(finding.of, config))


def _place(rule: Any, config: Mapping[str, Any]) -> list[Any]:
    """The attribute that a rule asks for first, as deep as the configuration has it."""
    for _text, steps in rule.expect.steps:
        if steps[0] in VM_FIELDS:
            return values.path(steps, config)
    return ["name"]
