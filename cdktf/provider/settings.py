"""The settings of the provider: fleet, sites, rules and waivers, from a fleet file or from the configuration itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from muster.model.catalogue import read_site
from muster.model.errors import ModelError, ModelErrors, nearest, show
from muster.model.fields import field
from muster.model.fleet import Fleet, Site
from muster.model.fleet_fields import WAIVER_FIELDS
from muster.model.normal import layer, normalise
from muster.model.patterns import NAME
from muster.model.vm import VM, Mark
from muster.model.waiver import Waiver
from tf.types import Unknown

from .timeouts import DURATION

if TYPE_CHECKING:
    from muster.policy.rule import Rule

SEVERITIES = ("low", "medium", "high", "critical")
DEFAULT_SEVERITY, DEFAULT_PACK = "high", "muster/baseline"
_NAME = field("str", "A name.", pattern=NAME)


@dataclass(frozen=True)
class Settings:
    """What every resource of one run shares. `fleet` has no VMs; `waivers` are those of the fleet file and of the
    configuration."""

    fleet: Fleet
    packs: tuple[str, ...]
    folder: str
    severity: str
    allow_power_cycle: bool
    allow_force: bool = False
    timeout: int | None = None  # seconds that one operation on one VM may take

    def site(self, name: str | None) -> Site:
        """The site `name`, the only one if it is None. Raises ModelError."""
        sites = self.fleet.sites
        if name is None and len(sites) == 1:
            return next(iter(sites.values()))
        if name is None:
            raise ModelError(f"'site' is missing; write one of {', '.join(sorted(sites))}", ("site",))
        if name not in sites:
            raise ModelError(f"there is no site {show(name)}; {nearest(name, sites)}", ("site",))
        return sites[name]

    def wanted(self, name: str, site: str, spec: Mapping[str, Any]) -> VM:
        """A VM as the fleet would have it."""
        return VM(name, site, spec, mark=Mark(self.fleet.name, name))

    def fleet_of(self, vm: VM) -> Fleet:
        """The fleet with this one VM: what the operations are given."""
        return Fleet(self.fleet.name, self.fleet.sites, (vm,), self.fleet.rules, self.fleet.waivers, self.fleet.source)

    def rules(self) -> tuple[Rule, ...]:
        """The rules of the packs. Raises PackError."""
        from muster.policy.packfile import load_rules

        return load_rules(self.packs, self.folder)


def read_settings(config: Mapping[str, Any]) -> Settings | None:
    """The settings that `config` says; None while a part of it is known only later. Raises ModelErrors."""
    if later(config):
        return None
    problems: list[ModelError] = []
    fleet = _from_file(config, problems) if config.get("fleet_file") is not None else _written(config, problems)
    severity = config.get("severity") or DEFAULT_SEVERITY
    check_severity(severity, problems)
    waivers = _waivers(config.get("waivers") or [], problems)
    timeout = layer({"timeout": config.get("timeout")}, {"timeout": DURATION}, (), problems).get("timeout")
    if problems or fleet is None:
        raise ModelErrors(problems)
    if config.get("packs") is not None:
        packs, folder = tuple(config["packs"]), os.getcwd()
    else:
        packs, folder = fleet.rules or (DEFAULT_PACK,), "."
    whole = Fleet(fleet.name, fleet.sites, (), fleet.rules, (*fleet.waivers, *waivers), fleet.source)
    return Settings(whole, packs, folder, severity, config.get("allow_power_cycle") is True,
                    config.get("allow_force") is True, timeout)


def check_severity(severity: str, problems: list[ModelError]) -> None:
    """Report what is none."""
    if severity not in SEVERITIES:
        problems.append(ModelError(f"{show(severity)} is no severity; {nearest(severity, SEVERITIES)}", ("severity",)))


def check_name(name: str, problems: list[ModelError], key: str = "name") -> None:
    """Report a `name` that nothing of Muster may have."""
    layer({key: name}, {key: _NAME}, (), problems)


def _from_file(config: Mapping[str, Any], problems: list[ModelError]) -> Fleet | None:
    for name in ("fleet", "sites"):
        if config.get(name) is not None:
            problems.append(ModelError(f"'{name}' and 'fleet_file' say the same twice; remove one of them", (name,)))
    from muster.operations.session import read_fleet

    try:
        return read_fleet(config["fleet_file"])
    except ModelError as error:
        problems.append(ModelError(str(error), ("fleet_file",)))
        return None


def _written(config: Mapping[str, Any], problems: list[ModelError]) -> Fleet | None:
    name = config.get("fleet")
    if name is None:
        problems.append(ModelError("'fleet' is missing; name the fleet here, or its file in 'fleet_file'", ("fleet",)))
    else:
        check_name(name, problems, "fleet")
    sites = {}
    for key, value in (config.get("sites") or {}).items():
        path = ("sites", key)
        found: list[ModelError] = []
        check_name(key, found)
        problems.extend(ModelError(error.problem, path) for error in found)
        platform, options = read_site(without_nulls(value), path, problems, os.getcwd())
        sites[key] = Site(key, platform, options)
    if not sites:
        problems.append(ModelError("'sites' is missing; add one, such as 'sites = { lab = { platform = \"libvirt\" } "
                                   "}', or name the 'fleet_file'", ("sites",)))
    return None if problems else Fleet(str(name), sites, ())


def _waivers(given: list[Any], problems: list[ModelError]) -> tuple[Waiver, ...]:
    found = []
    for index, value in enumerate(given):
        try:
            spec = normalise(without_nulls(value), WAIVER_FIELDS, ("waivers", index))
            found.append(Waiver(**{**spec, "vms": tuple(spec["vms"]), "until": date.fromisoformat(spec["until"])}))
        except ModelErrors as error:
            problems.extend(error.errors)
        except ValueError:
            problems.append(ModelError(f"{show(value['until'])} is not a day; write one such as 2027-03-31",
                                       ("waivers", index, "until")))
    return tuple(found)


def without_nulls(value: Any) -> Any:
    """`value` without the nulls that Terraform writes for all that nobody set."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def later(value: Any) -> bool:
    """Whether a part of `value` is known only after apply."""
    if isinstance(value, dict):
        return any(map(later, value.values()))
    return any(map(later, value)) if isinstance(value, list) else value is Unknown
