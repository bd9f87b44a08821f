"""What a cluster promises of its VMs: that those of a group share no host (rules of DRS), and how soon each is started
again after a host was lost (overrides of vSphere HA). Both are of the cluster's configuration, not of the VM's.

A rule bears the fleet and the group in its name, ``muster.<fleet>.<group>``. Rules of other names are never written.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...model.vm import Mark
from ..driver import Conflict, Denied, Failed, NotFound, Progress, silent
from .connection import Session
from .sdk import vim
from .tasks import Tasks

_PREFIX = "muster"
LONGEST = 80  # characters of a name in vCenter
# What vSphere 6.5 and later have beside our own words. `clusterRestartPriority` is what the cluster does by default.
_PRIORITIES = {"disabled": "disabled", "lowest": "low", "low": "low", "medium": "medium", "high": "high",
               "highest": "high"}  # fmt: skip
_ROUNDS = 4  # writes of the cluster, where others write it too


def rule_name(fleet: str, group: str) -> str:
    """The name of a fleet's rule: no name of a fleet has a dot, so it is told from the group."""
    return f"{_PREFIX}.{fleet}.{group}"


def _group_of(name: str, fleet: str) -> str | None:
    prefix = rule_name(fleet, "")
    return name.removeprefix(prefix) if name.startswith(prefix) else None


@dataclass(frozen=True)
class Care:
    """What one cluster does for its VMs. `rules`: VM → the names of the anti-affinity rules that it is in and that DRS
    keeps. `priorities`: VM → its own override of HA."""

    drs: bool = False
    ha: bool = False
    default: str = "medium"
    rules: Mapping[Any, tuple[str, ...]] = field(default_factory=dict)
    priorities: Mapping[Any, str] = field(default_factory=dict)

    def priority(self, vm: Any) -> str:
        """With which priority HA starts a VM again: by its override, or by the cluster's own."""
        if not self.ha:
            return "disabled"
        return _PRIORITIES.get(self.priorities.get(vm, ""), self.default)

    def groups(self, vm: Any, fleet: str) -> list[str]:
        """The groups of the fleet that the VM is in: one, unless somebody added another."""
        found = (_group_of(name, fleet) for name in self.rules.get(vm, ()))
        return sorted(group for group in found if group is not None)

    def told(self, vm: Any, mark: Mark | None) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a VM's spec and state have of this. A rule of others is no field that the fleet asked for, and rules
        see it as the group that it is all the same."""
        spec, state = {"ha_priority": self.priority(vm)}, dict[str, Any]()
        ours = self.groups(vm, mark.fleet) if mark else []
        if ours:
            spec["anti_affinity"] = "+".join(ours)  # two are none that can be asked for, so the plan mends it
        elif self.rules.get(vm):
            state["anti_affinity"] = self.rules[vm][0]
        return spec, state


def care_of(configuration: Any) -> Care:
    """What a cluster's configuration says; nothing is promised by a host that stands alone."""
    if not isinstance(configuration, vim.cluster.ConfigInfoEx):
        return Care()
    drs, das = configuration.drsConfig, configuration.dasConfig
    rules: dict[Any, tuple[str, ...]] = {}
    if drs is not None and drs.enabled:
        for rule in sorted(_apart(configuration.rule), key=lambda rule: str(rule.name)):
            for vm in rule.vm if rule.enabled else ():
                rules[vm] = (*rules.get(vm, ()), str(rule.name))
    default = das.defaultVmSettings.restartPriority if das is not None and das.defaultVmSettings else ""
    return Care(
        bool(drs is not None and drs.enabled),
        bool(das is not None and das.enabled),
        _PRIORITIES.get(str(default or ""), "medium"),
        rules,
        {one.key: _override(one) for one in configuration.dasVmConfig or ()},
    )


def _override(one: Any) -> str:
    return str((one.dasSettings.restartPriority if one.dasSettings else None) or one.restartPriority or "")


def _apart(rules: Iterable[Any] | None) -> list[Any]:
    return [rule for rule in rules or () if isinstance(rule, vim.cluster.AntiAffinityRuleSpec)]


class Placement:
    """Writes what clusters promise. `obj` is vCenter's reference of a VM, `host` of the host that it is on."""

    def __init__(self, session: Session, tasks: Tasks) -> None:
        self.session, self.tasks = session, tasks
        self._lock = threading.Lock()  # a rule is read and written whole

    def put(
        self, obj: Any, host: Any, vm: str, mark: Mark, progress: Progress = silent, group: str | None = None,
        priority: str | None = None,
    ) -> None:
        """Bring the VM into `group` and out of all others of its fleet, and give it `priority`; what is None stays."""
        if group is not None or priority is not None:
            self._write(obj, host, vm, mark, progress, group, priority)

    def leave(self, obj: Any, host: Any, vm: str, mark: Mark, progress: Progress = silent) -> None:
        """Take the VM out of its fleet's groups; a rule without a VM goes. Its override goes with the VM. The rules of
        a cluster that the account is not shown stay, and that is told."""
        try:
            found = self._read(host, vm)
        except (NotFound, Denied):
            progress(f"{vm}: the rules of its cluster stay as they are, as the account is not shown the cluster")
            return
        self._write(obj, host, vm, mark, progress, "", None, found)

    def _write(
        self, obj: Any, host: Any, vm: str, mark: Mark, progress: Progress, group: str | None, priority: str | None,
        found: tuple[Any, Any] | None = None,
    ) -> None:
        with self._lock:
            for _round in range(_ROUNDS):  # the last look at the cluster is the proof of what was written to it
                cluster, configuration = found or self._read(host, vm)
                found = None
                spec = vim.cluster.ConfigSpecEx(
                    rulesSpec=[] if group is None else self._rules(configuration, obj, vm, mark, group),
                    dasVmConfigSpec=[] if priority is None else _priority(configuration, obj, priority),
                )
                if not spec.rulesSpec and not spec.dasVmConfigSpec:
                    return
                progress(f"{vm}: writing its placement into the cluster")
                self.session.memory.pop("around", None)
                self.tasks.run(
                    "write the VM's placement into its cluster",
                    functools.partial(cluster.ReconfigureComputeResource_Task, spec, True),
                    vm,
                    progress,
                )
        raise Failed(
            "unable to write its placement into its cluster: vCenter reported it as done, yet the cluster does not "
            "show it",
            site=self.session.site,
            vm=vm,
            todo="Run again; if it stays, look for somebody else who writes the rules of that cluster",
        )

    def _read(self, host: Any, vm: str) -> tuple[Any, Any]:
        doing = "read the VM's cluster"
        up = self.session.properties([host], ["parent"], doing, vm) if host is not None else []
        cluster = up[0].get("parent") if up else None
        found = self.session.properties([cluster], ["configurationEx"], doing, vm) if cluster is not None else []
        if not found:
            raise NotFound(
                "unable to read its cluster: its host is in none that this account sees",
                site=self.session.site,
                vm=vm,
                todo="Look at its host in vCenter, then run again",
            )
        return cluster, found[0].get("configurationEx")

    def _rules(self, configuration: Any, obj: Any, vm: str, mark: Mark, group: str) -> list[Any]:
        """What brings the VM into the rule of `group` and out of the fleet's others; "" is into none."""
        wanted = rule_name(mark.fleet, group) if group else ""
        edits, there = [], False
        for rule in getattr(configuration, "rule", None) or ():
            name = str(rule.name)
            if _group_of(name, mark.fleet) is None:
                continue
            if not isinstance(rule, vim.cluster.AntiAffinityRuleSpec):
                if name == wanted:
                    raise Conflict(
                        f"the cluster has another kind of rule that is called '{name}'; it was left as it is",
                        site=self.session.site,
                        vm=vm,
                        todo="Rename that rule in vCenter, then run again",
                    )
                continue
            members, inside = list(rule.vm), obj in rule.vm
            if name == wanted:
                there = True
                if not inside or not rule.enabled:
                    edits.append(_edit(rule, members if inside else [*members, obj], True))
            elif inside and len(members) == 1:
                edits.append(vim.cluster.RuleSpec(operation="remove", removeKey=rule.key))
            elif inside:
                edits.append(_edit(rule, [one for one in members if one != obj], bool(rule.enabled)))
        if wanted and not there:
            info = vim.cluster.AntiAffinityRuleSpec(name=wanted, enabled=True, userCreated=True, vm=[obj])
            edits.append(vim.cluster.RuleSpec(operation="add", info=info))
        return edits


def _edit(rule: Any, members: list[Any], enabled: bool) -> Any:
    info = vim.cluster.AntiAffinityRuleSpec(
        key=rule.key, ruleUuid=rule.ruleUuid, name=rule.name, userCreated=rule.userCreated, mandatory=rule.mandatory,
        enabled=enabled, vm=members,
    )  # fmt: skip
    return vim.cluster.RuleSpec(operation="edit", info=info)


def _priority(configuration: Any, obj: Any, priority: str) -> list[Any]:
    """What gives the VM `priority`; nothing where it has it, by an override or by the cluster's own."""
    if care_of(configuration).priority(obj) == priority:
        return []
    mine = [one for one in configuration.dasVmConfig or () if one.key == obj]
    settings = (mine[0].dasSettings if mine else None) or vim.cluster.DasVmSettings()
    settings.restartPriority = priority
    info = vim.cluster.DasVmConfigInfo(key=obj, dasSettings=settings)
    return [vim.cluster.DasVmConfigSpec(operation="edit" if mine else "add", info=info)]
