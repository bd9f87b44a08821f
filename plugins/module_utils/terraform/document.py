"""The two forms of ``terraform show -json``, a plan and a state, as resources. OpenTofu writes the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from .configuration import Configuration, References
from .errors import TerraformError, named
from .resource import Resource
from .shapes import Raw, Shape, Whole, decode
from .world import World

_ACTIONS = {
    ("no-op",): "no-op", ("create",): "create", ("update",): "update", ("read",): "read", ("delete",): "delete",
    ("delete", "create"): "replace", ("create", "delete"): "replace", ("forget",): "forget",
    ("create", "forget"): "replace", ("forget", "create"): "replace",
}
_VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})(?:\..{0,40})?")
_MAJORS = ("0", "1")
_NOTHING = Raw(b"null")
_MAKE = "make it with 'terraform show -json FILE > plan.json'"


class Change(Shape):
    """What happens to a resource."""

    actions: list[str]
    after: Raw = _NOTHING
    after_unknown: Raw = _NOTHING
    after_sensitive: Raw = _NOTHING


class ResourceChange(Shape):
    """A resource of a plan."""

    address: str
    type: str
    change: Change
    mode: str = "managed"
    name: str = ""
    index: Whole | str | None = None
    module_address: str = ""
    deposed: str = ""


class Deferred(Shape):
    """A resource that Terraform put off to a later plan."""

    resource_change: ResourceChange | None = None


class StateResource(Shape):
    """A resource of a state."""

    address: str
    type: str
    mode: str = "managed"
    name: str = ""
    index: Whole | str | None = None
    values: Raw = _NOTHING
    sensitive_values: Raw = _NOTHING
    deposed_key: str = ""


class Module(Shape):
    """A module of a state."""

    resources: list[StateResource] | None = None
    child_modules: list[Module] | None = None
    address: str = ""


class Values(Shape):
    """The values of a state."""

    root_module: Module | None = None


class Document(Shape):
    """The file as a whole. What is not named here, such as ``planned_values``, is skipped."""

    format_version: str | None = None
    terraform_version: str = ""
    resource_changes: list[ResourceChange] | None = None
    deferred_changes: list[Deferred] | None = None
    configuration: Configuration | None = None
    prior_state: Raw = _NOTHING
    values: Values | None = None
    planned_values: Raw = _NOTHING
    errored: bool = False
    serial: Raw = _NOTHING
    lineage: Raw = _NOTHING
    provider_schemas: Raw = _NOTHING


class PriorState(Shape):
    """The state before the plan, of which only the data sources are of use: they bear names."""

    values: Values | None = None


@dataclass
class Contents:
    """What a file holds: the resources that are there after apply, and the names of those that are not."""

    world: World
    managed: list[Resource]
    deleted: dict[str, list[str]] = field(default_factory=dict)  # type to addresses
    forgotten: dict[str, list[str]] = field(default_factory=dict)
    aside: dict[str, int] = field(default_factory=dict)  # what is not read whatever its type: how many of which type


def contents(document: Document, source: str) -> Contents:
    """The resources of `document`. Raises TerraformError."""
    _check(document, source)
    found = Contents(World((), References(Configuration(), {})), [])
    data: list[Resource] = []
    if document.values is not None:
        for resource in _state(document.values.root_module, found):
            (found.managed if resource.mode == "managed" else data).append(resource)
    else:
        _whole(document, source)
        for resource in _plan(document, found):
            (found.managed if resource.mode == "managed" else data).append(resource)
        prior = decode(document.prior_state, PriorState | None, "prior_state")  # type: ignore[arg-type]
        if prior is not None and prior.values is not None:
            seen = {resource.address for resource in data}
            unused = Contents(found.world, [])
            data += [each for each in _state(prior.values.root_module, unused)
                     if each.mode == "data" and each.address not in seen]
    known: dict[tuple[str, str, str], dict[int | str | None, Resource]] = {}
    for resource in found.managed:
        known.setdefault((resource.module, resource.type, resource.name), {})[resource.index] = resource
    found.world = World(found.managed + data, References(document.configuration or Configuration(), known))
    return found


def _check(document: Document, source: str) -> None:
    """Refuse what is JSON and yet neither a plan nor a state that can be judged."""
    if document.format_version is None:
        if document.lineage is not _NOTHING or document.serial is not _NOTHING:
            raise TerraformError("is a state in Terraform's own form; run 'terraform show -json > state.json' where it "
                                 "lies, and give state.json", source)
        raise TerraformError(f"has no format_version, so it is neither a plan nor a state; {_MAKE}", source)
    match = _VERSION.fullmatch(document.format_version)
    if match is None or match.group(1) not in _MAJORS:
        raise TerraformError(
            f"has format_version {named(document.format_version)}, and Muster reads 0 and 1; use a newer Muster, or a "
            "Terraform whose 'show -json' writes 1", source)
    if document.errored:
        raise TerraformError(
            "is a plan that ended with an error, so it does not hold all resources; mend what 'terraform plan' says, "
            "then plan again", source)
    if document.provider_schemas is not _NOTHING:
        raise TerraformError(f"holds the schemas of providers, neither a plan nor a state; {_MAKE}", source)


def _whole(document: Document, source: str) -> None:
    """Refuse a plan out of which somebody took the changes: nothing would be judged, and all seem well."""
    if document.resource_changes is not None or document.planned_values is _NOTHING:
        return
    planned = decode(document.planned_values, Values | None, "planned_values")  # type: ignore[arg-type]
    unused = Contents(World((), References(Configuration(), {})), [])
    for each in _state(planned.root_module if planned is not None else None, unused):
        if each.mode == "managed":
            raise TerraformError(f"plans {named(each.address)} and has no resource_changes, which tell what becomes of "
                                 "it; give all that 'terraform show -json FILE' writes", source)


def _plan(document: Document, found: Contents) -> Iterator[Resource]:
    seen: set[str] = set()
    for each in document.resource_changes or ():
        change = each.change
        action = _ACTIONS.get(tuple(change.actions))
        if action is None:
            actions = ", ".join(named(word) for word in change.actions[:4])
            raise TerraformError(f"{named(each.address)} has the actions [{actions}], which Muster does not know; use "
                                 "a newer Muster")
        if each.deposed:
            # An old object that waits for its deletion. The current one bears the same address.
            found.deleted.setdefault(each.type, []).append(f"{each.address} (deposed {each.deposed})")
            continue
        _once(each.address, seen)
        if action in ("delete", "forget"):
            kind = found.deleted if action == "delete" else found.forgotten
            if each.mode == "managed":
                kind.setdefault(each.type, []).append(each.address)
            continue
        yield Resource(each.address, each.module_address, each.mode, each.type, each.name, each.index, action,
                       change.after, change.after_unknown, change.after_sensitive)
    for deferred in document.deferred_changes or ():
        if deferred.resource_change is not None and deferred.resource_change.mode == "managed":
            key = f"{deferred.resource_change.type} (deferred)"
            found.aside[key] = found.aside.get(key, 0) + 1


def _state(root: Module | None, found: Contents) -> Iterator[Resource]:
    seen: set[str] = set()
    modules = [root] if root is not None else []
    while modules:
        module = modules.pop()
        modules += reversed(module.child_modules or ())
        for each in module.resources or ():
            if each.deposed_key:
                key = f"{each.type} (deposed)"
                found.aside[key] = found.aside.get(key, 0) + 1
                continue
            _once(each.address, seen)
            yield Resource(each.address, module.address, each.mode, each.type, each.name, each.index, "no-op",
                           each.values, None, each.sensitive_values)


def _once(address: str, seen: set[str]) -> None:
    if address in seen:
        raise TerraformError(f"{named(address)} is there twice, which Terraform never writes; {_MAKE}")
    seen.add(address)
