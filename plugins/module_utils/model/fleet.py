"""The fleet file: one text that says what a fleet should be, read into sites and VMs.

`load_fleet` is pure: text in, `Fleet` out, or `FleetErrors` with everything that is wrong, each with file, line, path
and fix. Layers are merged in this order: ``defaults``, the VM, its ``overrides``; dicts merge, lists and single values
replace, and null unsets. Each layer is checked where it stands, so that an error names the line that holds it.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from .catalogue import beside, catalogue, read_site
from .consistency import complete
from .errors import FleetErrors, ModelError, Path, nearest, show
from .fields import field as table_field
from .fleet_fields import COUNT, LAYER_FIELDS, MAX_VMS, TOP_FIELDS, WAIVER_FIELDS
from .normal import layer, without_unset
from .patterns import NAME, RULES
from .state import State, read_state
from .vm import VM, Mark
from .waiver import Waiver
from .yaml_reader import Map, Seq, locate, read_yaml

_NAME = {"name": table_field("str", "A name.", pattern=NAME)}
_COUNT = {"count": COUNT}
_RULES = {"rules": table_field("list", "Rules.", elements="str", pattern=RULES)}


@dataclass(frozen=True)
class Site:
    """A place where VMs live. `options` are the fields of `fleet_fields.SITE_FIELDS` that were given, beside the
    platform; paths in it are joined to the folder of the fleet file. `secret` is its credentials where whoever runs
    Muster handed them over, which no representation shows."""

    name: str
    platform: str
    options: Mapping[str, Any] = field(default_factory=dict)
    secret: str = field(default="", repr=False)

    def __getitem__(self, key: str) -> Any:
        """The option `key`, None where it is not set."""
        return self.options.get(key)

    @property
    def warning(self) -> str:
        """What whoever asks this site should be told each time; "" where there is nothing."""
        if (self["tls"] or {}).get("verify") is not False:
            return ""
        return (f"Site '{self.name}': its certificate is not verified (tls.verify is false), so anybody on the way can "
                f"read the credentials and answer in its place. Write sites.{self.name}.tls.ca or .tls.fingerprint.")


@dataclass(frozen=True)
class Fleet:
    """What a fleet file says. `vms` bear the ownership mark that they shall have; `lines` tells by name of a VM on
    which line of `source` its entry stands, `entries` the key of that entry in ``vms``."""

    name: str
    sites: Mapping[str, Site]
    vms: tuple[VM, ...]
    rules: tuple[str, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    source: str = ""
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)
    entries: Mapping[str, str] = field(default_factory=dict, compare=False)
    state: State = field(default_factory=State)

    def vm(self, name: str) -> VM:
        """The VM of this `name`. Raises `ModelError` with the nearest name."""
        for vm in self.vms:
            if vm.name == name:
                return vm
        known = [vm.name for vm in self.vms]
        raise ModelError(f"fleet '{self.name}' has no VM {show(name)}; {nearest(name, known)}", (), self.source)

    def documents(self, vms: Iterable[VM] | None = None) -> list[dict[str, Any]]:
        """The VMs (`vms`, all of the fleet by default) as rules see them: each with the platform of its site."""
        return [
            {**vm.document(), "platform": self.sites[vm.site].platform}
            for vm in (self.vms if vms is None else vms)
        ]

    def at(self, site: str) -> tuple[VM, ...]:
        """The VMs of one site."""
        return tuple(vm for vm in self.vms if vm.site == site)


def load_fleet(text: str, source: str = "fleet.yml") -> Fleet:
    """The fleet that `text` describes. `source` is the path of its file: errors name it, relative paths begin at its
    folder. Raises `FleetErrors`."""
    return _Reader(read_yaml(text, source), source).fleet()


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` over `below`: dicts merge, all else replaces. None stays, to unset what is below."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = merge(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return merged


class _Reader:
    """Reads one document and collects what is wrong with it."""

    def __init__(self, document: Map, source: str) -> None:
        self.document = document
        self.source = source
        self.problems: list[ModelError] = []
        self.sites: dict[str, Site] = {}
        self.lines: dict[str, int] = {}
        self.entries: dict[str, str] = {}

    def problem(self, sentence: str, path: Path) -> None:
        self.problems.append(ModelError(sentence, path))

    def fleet(self) -> Fleet:
        for key in self.document:
            if key not in TOP_FIELDS:
                self.problem(f"there is no field {show(key)}; {nearest(key, TOP_FIELDS)}", (key,))
        name = self.name(self.document.get("fleet"), ("fleet",), "name the fleet, such as 'fleet: acme'")
        self.sites = self.read_sites()
        vms = self.read_vms(name)
        rules = layer({"rules": self.document.get("rules")}, _RULES, (), self.problems).get("rules") or []
        for index, rule in enumerate(rules):
            if ".." in rule.split("/"):
                self.problem("a rule file lies in the folder of the fleet file or below it; move it there",
                             ("rules", index))
        waivers = self.read_waivers(vms)
        state = read_state(self.document.get("state"), ("state",), self.problems, os.path.dirname(self.source))
        if self.problems:
            raise FleetErrors(self.located())
        rules = [beside(rule, os.path.dirname(self.source)) if rule.startswith("./") else rule for rule in rules]
        return Fleet(name, self.sites, vms, tuple(rules), waivers, self.source, self.lines, self.entries, state)

    def located(self) -> list[ModelError]:
        """The problems with their lines, in the order of the file, each once."""
        found: dict[tuple[int, str, str], ModelError] = {}
        for problem in self.problems:
            line = problem.line or locate(self.document, problem.keys) or 1
            error = type(problem)(problem.problem, problem.keys, self.source, line)
            found.setdefault((line, error.path, error.problem), error)
        return [found[key] for key in sorted(found, key=lambda key: key[0])]

    def name(self, value: object, path: Path, missing: str) -> str:
        if value is None:
            self.problem(f"'{path[-1]}' is missing; {missing}", path[:-1])
            return ""
        problems: list[ModelError] = []
        normal = layer({"name": value}, _NAME, (), problems)
        self.problems += [ModelError(problem.problem, path) for problem in problems]
        return str(normal.get("name", ""))

    def mapping(self, key: str, missing: str) -> Map:
        value = self.document.get(key)
        if isinstance(value, Map) and value:
            return value
        if value is None or value == {}:
            if key in self.document:
                self.problem(f"it is empty; {missing}", (key,))
            else:
                self.problem(f"'{key}' is missing; {missing}", ())
        else:
            self.problem(f"{show(value)} is not a mapping; {missing}", (key,))
        return Map(1)

    def read_sites(self) -> dict[str, Site]:
        sites = {}
        for name, value in self.mapping("sites", "add a site, such as 'lab: {platform: libvirt}'").items():
            path: Path = ("sites", name)
            self.name(name, path, "")
            platform, options = read_site(value, path, self.problems, os.path.dirname(self.source))
            sites[name] = Site(name, platform, options)
        return sites

    def read_vms(self, fleet: str) -> tuple[VM, ...]:
        defaults: dict[str, Any] = {}
        if self.document.get("defaults") is not None:
            defaults = layer(self.document["defaults"], LAYER_FIELDS, ("defaults",), self.problems, partial=True)
        vms: list[VM] = []
        names: dict[str, str] = {}
        if "vms" not in self.document:  # a file of sites alone, to look at what they have; an empty `vms` is a mistake
            return ()
        for key, value in self.mapping("vms", "add a VM, such as 'web: {cpus: 2, memory: 2 GiB}'").items():
            path: Path = ("vms", key)
            name = self.name(key, path, "")
            made = list(self.expand(name, value, defaults, path, len(vms))) if name else []
            for vm_name, site, spec in made:
                if vm_name in names:
                    self.problem(f"two VMs would be named '{vm_name}', of '{names[vm_name]}' and of '{key}'; rename "
                                 "one of them", path)
                else:
                    vms.append(VM(vm_name, site, spec, mark=Mark(fleet, vm_name)))
                    self.lines[vm_name] = locate(self.document, path) or 1
                    self.entries[vm_name] = key
                names.setdefault(vm_name, key)
        self.check_shared(vms)
        return tuple(vms)

    def expand(
        self, name: str, value: object, defaults: dict[str, Any], path: Path, before: int
    ) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """The VMs that one entry of ``vms`` makes: name, site and spec."""
        entry = {} if value is None else value
        if not isinstance(entry, Mapping):
            self.problem(f"{show(entry)} is not a mapping; write 'field: value' lines", path)
            return
        count = layer({"count": entry.get("count")}, _COUNT, path, self.problems).get("count")
        if before + (count or 1) > MAX_VMS:
            self.problem(f"the fleet would have more than {MAX_VMS} VMs; split it into several fleets", path)
            return
        names = [f"{name}-{number}" for number in range(1, count + 1)] if count else [name]
        if len(names[-1]) > 63:
            self.problem(f"the name '{names[-1]}' has more than 63 characters; shorten it", path)
            return
        own = {key: item for key, item in entry.items() if key not in ("count", "overrides")}
        own = layer(own, _KNOWN, path, self.problems, partial=True)
        base = merge(defaults, own)
        overrides = self.overrides(entry.get("overrides"), names, (*path, "overrides"))
        shared = self.whole(base, [("defaults",), path], path)
        for vm_name in names:
            written, above = overrides.get(vm_name, ("", None))
            if above is None:
                yield vm_name, shared[0], shared[1]
            else:
                here = (*path, "overrides", written)
                site, spec = self.whole(merge(base, above), [("defaults",), path, here], here)
                yield vm_name, site, spec

    def overrides(self, value: object, names: list[str], path: Path) -> dict[str, tuple[str, dict[str, Any]]]:
        """The overrides of an entry by the name of the VM: the key as written and the layer."""
        found: dict[str, tuple[str, dict[str, Any]]] = {}
        if value is None:
            return found
        if not isinstance(value, Mapping):
            self.problem(f"{show(value)} is not a mapping; write the name of a VM and its fields", path)
            return found
        known = set(names)
        for key, item in value.items():
            number = int(key) if key.isdecimal() and key.isascii() and len(key) < 7 else 0
            name = names[number - 1] if 0 < number <= len(names) and key not in known else key
            if name not in known:
                near = nearest(key, names) if len(names) < 1000 else f"they are {names[0]} to {names[-1]}"
                self.problem(f"no VM {show(key)} is made here; {near}", (*path, key))
            elif name in found:
                self.problem(f"'{name}' is overridden by {show(found[name][0])} too; join the two", (*path, key))
            else:
                found[name] = key, layer({} if item is None else item, LAYER_FIELDS, (*path, key), self.problems,
                                         partial=True)
        return found

    def whole(self, merged: dict[str, Any], layers: list[Path], path: Path) -> tuple[str, dict[str, Any]]:
        """Site and spec of a merged VM, with what only the whole can tell: errors go to the layer that holds them."""
        spec = without_unset(merged)
        site = spec.pop("site", None)
        between: list[ModelError] = []
        complete(spec, (), between)
        problems: list[ModelError] = []
        if site is None:
            if len(self.sites) == 1:
                site = next(iter(self.sites))
            elif self.sites:
                problems.append(ModelError("'site' is missing; add it here or to 'defaults'"))
        elif self.sites and site not in self.sites:
            problems.append(ModelError(f"there is no site {show(site)}; {nearest(site, self.sites)}", ("site",)))
        if site in self.sites:
            catalogue(site, self.sites[site].options, spec, problems)
        for problem in between + problems:
            field_ = problem.keys[:1]
            written = [origin for origin in layers if field_ and _holds(self.document, (*origin, *field_))]
            origin = written[-1] if written else path
            line = locate(self.document, (*origin, *problem.keys))
            # What is wrong with a value alone is told where it stands, once; what clashes is told of the VM.
            owner = path if problem in between else origin
            self.problems.append(ModelError(problem.problem, (*owner, *problem.keys), self.source, line))
        return site or "", spec

    def check_shared(self, vms: list[VM]) -> None:
        """What two VMs of one site cannot both have: a MAC address, a forwarded port of the host."""
        seen: dict[tuple[str, str], str] = {}
        for vm in vms:
            for nic in vm["nics"] or ():
                taken = [f"MAC address {nic['mac']}"] if "mac" in nic else []
                taken += [f"host port {item['host']}" for item in nic.get("forwards", ()) if "host" in item]
                for what in taken:
                    other = seen.setdefault((vm.site, what), vm.name)
                    if other != vm.name:
                        self.problem(f"{what} of '{vm.name}' is already that of '{other}'; leave it out or give each "
                                     "its own by 'overrides'", ("vms", _entry(self.document, vm.name)))

    def read_waivers(self, vms: tuple[VM, ...]) -> tuple[Waiver, ...]:
        value = self.document.get("waivers")
        if value is None:
            return ()
        if not isinstance(value, Seq):
            self.problem(f"{show(value)} is not a list; begin each waiver with '- '", ("waivers",))
            return ()
        names = {vm.name for vm in vms}
        waivers = []
        for index, item in enumerate(value):
            path: Path = ("waivers", index)
            before = len(self.problems)
            spec = without_unset(layer(item, WAIVER_FIELDS, path, self.problems))
            unknown = [name for name in spec.get("vms", ()) if not any(_meant(name, vm) for vm in names)]
            if unknown and names:
                self.problem(f"there is no VM {show(unknown[0])}; {nearest(unknown[0], names)}", (*path, "vms"))
            if "vms" in spec and not spec["vms"]:
                self.problem("no VM is named; name each VM for which the rule is waived", (*path, "vms"))
            try:
                until = date.fromisoformat(spec.get("until", "9999-12-31"))
            except ValueError:
                self.problem(f"{spec['until']} is not a day; write one such as 2027-03-31", (*path, "until"))
            if len(self.problems) == before:
                waivers.append(Waiver(**{**spec, "vms": tuple(spec["vms"]), "until": until}))
        return tuple(waivers)


# The fields of an entry of ``vms``, for its "did you mean"; count and overrides are read before.
_KNOWN = {**LAYER_FIELDS, **_COUNT, "overrides": table_field("dict", "Overrides of single VMs.", keys=NAME)}


def _holds(root: Map, path: Path) -> bool:
    here: Any = root
    for key in path:
        if not isinstance(here, Mapping) or key not in here:
            return False
        here = here[key]
    return True


def _meant(name: str, vm: str) -> bool:
    """Whether the `name` of a waiver means the VM of the name `vm`."""
    return vm.startswith(name[:-1]) if name.endswith("*") else vm == name


def _entry(document: Map, vm: str) -> str:
    """The key of ``vms`` that makes the VM of this name."""
    vms = document["vms"]
    return vm if vm in vms else vm.rpartition("-")[0]
