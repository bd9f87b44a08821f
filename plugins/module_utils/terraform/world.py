"""All resources of one file, and how to get from one to another: by ids that are known, else by references."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .configuration import References
from .resource import Resource
from .shapes import Shape

MAX_LINKS = 256  # resources that one attribute may lead to; beyond that the link counts as unknown

_IDENTITIES = ("id", "self_link", "arn", "moid", "key", "path", "name")


class Identity(Shape):
    """What other resources may name this one by."""

    id: Any = None
    self_link: Any = None
    arn: Any = None
    moid: Any = None
    key: Any = None
    path: Any = None
    name: Any = None


class World:
    """The resource instances that are there after apply, by type, and the links between them."""

    def __init__(self, resources: Iterable[Resource], references: References) -> None:
        self.references = references
        self.cache: dict[Any, Any] = {}  # what a resource type's reader makes once for a file
        self._types: dict[str, list[Resource]] = {}
        for resource in resources:
            self._types.setdefault(resource.type, []).append(resource)
        self._identities: dict[str, dict[str, Resource | None]] = {}
        self._holders: dict[tuple[str, str, str], dict[str, list[Resource]]] = {}

    def of(self, type_: str) -> list[Resource]:
        """All of a type, data sources included."""
        return self._types.get(type_, [])

    def _has(self, types: Iterable[str]) -> bool:
        return any(type_ in self._types for type_ in types)

    def named(self, value: object, types: Iterable[str]) -> Resource | None:
        """The one resource of `types` whose id, link, ARN or name is `value`; None if there is none or several."""
        if not isinstance(value, str) or not value:
            return None
        for type_ in types:
            found = self._by_identity(type_).get(value.lower())
            if found is not None:
                return found
        return None

    def one(self, holder: Resource, path: Sequence[str | int], value: object, *types: str) -> Resource | None:
        """The resource that the attribute at `path` of `holder` names: by `value` if it is known, else by reference."""
        if value is not None:
            return self.named(value, types)
        if not self._has(types):
            return None
        found = self.references.targets(holder, path, types)
        return found[0] if len(found) == 1 else None

    def many(
        self, holder: Resource, path: Sequence[str | int], values: Sequence[str | None] | None, *types: str
    ) -> list[Resource | str] | None:
        """What the list at `path` of `holder` names: resources, or the plain values that none of them bears.

        None where values are unknown and the references do not tell them.
        """
        known = [value for value in values or () if value is not None]
        named: list[Resource | str] = [self.named(value, types) or value for value in known]
        if values is not None and len(known) == len(values):
            return named
        referred = self.references.targets(holder, path, types) if self._has(types) else []
        if len(referred) > MAX_LINKS:
            return None
        had = {id(each) for each in named}
        rest = [each for each in referred if id(each) not in had]
        missing = len(values) - len(known) if values is not None else len(rest)
        if not rest or len(rest) < missing:
            return None
        return named + rest

    def by(self, type_: str, attribute: str) -> dict[str, Resource]:
        """The resources of `type_` by the value of one attribute; of several with the same, the last."""
        key = (type_, attribute)
        if key not in self.cache:
            self.cache[key] = {value: each for each in self.of(type_) if (value := each.value(attribute)) is not None}
        found: dict[str, Resource] = self.cache[key]
        return found

    def holders(self, type_: str, attribute: str, target: Resource, several: bool = False) -> list[Resource]:
        """The resources of `type_`, such as attachments, whose `attribute` names `target` (`several`: lists it)."""
        key = (type_, attribute, target.type)
        if key not in self._holders:
            index: dict[str, list[Resource]] = {}
            for holder in self.of(type_):
                for each in self._held(holder, attribute, target.type, several):
                    index.setdefault(each.address, []).append(holder)
            self._holders[key] = index
        return self._holders[key].get(target.address, [])

    def _held(self, holder: Resource, attribute: str, type_: str, several: bool) -> Iterable[Resource]:
        if several:
            found = self.many(holder, (attribute,), holder.value(attribute, list[str | None]), type_)
            return [each for each in found or () if isinstance(each, Resource)]
        target = self.one(holder, (attribute,), holder.value(attribute), type_)
        return [target] if target else []

    def _by_identity(self, type_: str) -> dict[str, Resource | None]:
        if type_ not in self._identities:
            index: dict[str, Resource | None] = {}
            for resource in self.of(type_):
                identity = resource.value_of(Identity)
                for value in {str(getattr(identity, name)).lower() for name in _IDENTITIES if getattr(identity, name)}:
                    index[value] = resource if index.get(value, resource) is resource else None
            self._identities[type_] = index
        return self._identities[type_]

    def name_of(self, value: str | None, *types: str) -> str | None:
        """`value` as people know it: the name of the resource or data source that bears it as id, else itself."""
        found = self.named(value, types)
        name = found.value("name") if found else None
        return name or value


def covered(resource: Resource) -> Resource:
    """`resource`, marked as read: it is not counted as unmapped."""
    resource.used = True
    return resource
