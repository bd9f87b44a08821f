"""The rulebook at synthesis: an Aspect that fails it with the sentences of ``muster check``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jsii
from muster.model.fleet import Fleet
from muster.model.waiver import Waiver
from muster.policy import check, load_rules
from muster.policy.rule import Finding, Rule

from ..cdk import Annotations, IAspect, IConstruct
from .machines import Machines

DEFAULT_PACK = "muster/baseline"


@jsii.implements(IAspect)
class Rulebook:
    """An error for each rule of `severity` or worse that a VM fails.

    `documents` are the VMs that know each other (siblings, neighbours): those of a fleet, or all of the app if unset.
    """

    def __init__(self, rules: Iterable[Rule], waivers: Iterable[Waiver] = (), severity: str = "high",
                 documents: Sequence[Mapping[str, Any]] | None = None) -> None:
        self.rules, self.waivers, self.severity = tuple(rules), tuple(waivers), severity
        self.documents = documents
        self._found: dict[tuple[str, str], list[Finding]] | None = None

    @classmethod
    def of(cls, fleet: Fleet, severity: str = "high", documents: Sequence[Mapping[str, Any]] | None = None) -> Rulebook:
        """The rules and waivers of a fleet file. Raises PackError."""
        rules = load_rules(fleet.rules or (DEFAULT_PACK,))
        return cls(rules, fleet.waivers, severity, fleet.documents() if documents is None else documents)

    @property
    def findings(self) -> list[str]:
        """What was found, as sentences, once the app was synthesised; the VMs of stacks that were not reached too."""
        return [sentence(finding) for found in (self._found or {}).values() for finding in found]

    def visit(self, node: IConstruct) -> None:
        """What the CDK calls for each construct."""
        if not isinstance(node, Machines):
            return
        if self._found is None:
            self._found = self._judge(node)
        for document in node.documents:
            for finding in self._found.get((document["name"], document.get("site", "")), ()):
                Annotations.of(node).add_error(sentence(finding))

    def _judge(self, node: IConstruct) -> dict[tuple[str, str], list[Finding]]:
        documents = self.documents
        if documents is None:
            documents = [document for one in node.node.root.node.find_all() if isinstance(one, Machines)
                         for document in one.documents]
        found: dict[tuple[str, str], list[Finding]] = {}
        for finding in check(documents, self.rules, "spec", self.waivers).at_least(self.severity):
            found.setdefault((finding.vm, finding.site), []).append(finding)
        return found


def sentence(finding: Finding) -> str:
    """A finding as the provider's plan shows it."""
    return f"Rule {finding.rule} ({finding.severity}): {finding.title}\n{finding.sentence}"
