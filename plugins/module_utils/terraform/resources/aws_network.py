"""Security groups of an ``aws_instance``, with their rules wherever these are written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..draft import Draft
from ..resource import Resource
from ..shadow import touched, under
from ..shapes import Shape, Whole
from ..world import World, covered
from .aws_template import Inherited

_ALL = ("-1", "all")
MAX_PATHS = 100  # unknown paths of one group; beyond that all of its rules are unknown


class Rule(Shape):
    """An entry of ``ingress`` or ``egress``, and an ``aws_security_group_rule``."""

    protocol: str | None = None
    from_port: Whole | None = None
    to_port: Whole | None = None
    cidr_blocks: list[str | None] | None = None
    ipv6_cidr_blocks: list[str | None] | None = None
    security_groups: list[str | None] | None = None
    prefix_list_ids: list[str | None] | None = None
    source_security_group_id: str | None = None
    self: bool | None = None
    description: str | None = None
    type: str | None = None


class VpcRule(Shape):
    """``aws_vpc_security_group_ingress_rule`` and ``…_egress_rule``."""

    ip_protocol: str | None = None
    from_port: Whole | None = None
    to_port: Whole | None = None
    cidr_ipv4: str | None = None
    cidr_ipv6: str | None = None
    description: str | None = None


class Group(Shape):
    """``aws_security_group``."""

    name: str | None = None
    description: str | None = None
    ingress: list[Rule] | None = None
    egress: list[Rule] | None = None


def put_groups(ids: Sequence[str | None] | None, draft: Draft, template: Inherited, world: World) -> None:
    """``aws.security_groups``: ``[{name, description, ingress, egress}]``, each rule ``{protocol, from_port, …}``."""
    found = world.many(draft.resource, ("vpc_security_group_ids",), ids, "aws_security_group")
    if not found and template.resource is not None:
        found = world.many(template.resource, ("vpc_security_group_ids",), template.groups, "aws_security_group")
    if not found and not draft.root.covers("vpc_security_group_ids"):
        return
    if not found:
        draft.section("aws")
        draft.later("aws.security_groups")
        return
    groups: list[dict[str, Any]] = []
    for group in found:
        number = len(groups)
        if isinstance(group, Resource):
            document, unknown = _group(group, world)
        else:
            document, unknown = {"id": group}, ["ingress", "egress"]  # a group that this file does not hold
        groups.append(document)
        for path in unknown:
            draft.later(f"aws.security_groups[{number}].{path}")
    if groups:
        draft.section("aws").values["security_groups"] = groups


def _group(resource: Resource, world: World) -> tuple[dict[str, Any], list[str]]:
    """The group as a document and its unknown paths, made once however many instances share it."""
    key = ("aws_security_group", resource.address)
    if key not in world.cache:
        group = covered(resource).read(Group)
        document: dict[str, Any] = {"terraform_address": resource.address, "ingress": [], "egress": []}
        unknown: list[str] = []
        for name in ("name", "description"):
            if getattr(group, name) and not touched(under(resource.hidden, name)):
                document[name] = getattr(group, name)
        for way in ("ingress", "egress"):
            rules = getattr(group, way)
            if rules is None and under(resource.later, way) and world.references.written(resource, way) is not False:
                unknown.append(way)
                continue
            for index, rule in enumerate(rules or ()):
                _add(document[way], rule, under(under(resource.later, way), index),
                     under(under(resource.hidden, way), index), f"{way}[{len(document[way])}]", unknown)
        _separate(resource, document, unknown, world)
        if len(unknown) > MAX_PATHS:
            unknown = ["ingress", "egress"]
        world.cache[key] = document, unknown
    made: tuple[dict[str, Any], list[str]] = world.cache[key]
    return made


def _separate(resource: Resource, document: dict[str, Any], unknown: list[str], world: World) -> None:
    """The rules that are resources of their own."""
    for holder in world.holders("aws_security_group_rule", "security_group_id", resource):
        rule = covered(holder).read(Rule)
        way = rule.type if rule.type in ("ingress", "egress") else "ingress"
        _add(document[way], rule, holder.later, holder.hidden, f"{way}[{len(document[way])}]", unknown)
    for way in ("ingress", "egress"):
        for holder in world.holders(f"aws_vpc_security_group_{way}_rule", "security_group_id", resource):
            own = covered(holder).read(VpcRule)
            rule = Rule(
                protocol=own.ip_protocol, from_port=own.from_port, to_port=own.to_port, description=own.description,
                cidr_blocks=[own.cidr_ipv4] if own.cidr_ipv4 else [],
                ipv6_cidr_blocks=[own.cidr_ipv6] if own.cidr_ipv6 else [])
            path = f"{way}[{len(document[way])}]"
            _add(document[way], rule, None, holder.hidden, path, unknown)
            if any(touched(under(holder.later, name)) for name in ("cidr_ipv4", "cidr_ipv6")):
                unknown.append(f"{path}.cidrs")


def _add(rules: list[dict[str, Any]], rule: Rule, later: Any, hidden: Any, path: str, unknown: list[str]) -> None:
    """One rule. All protocols means all ports; who may come is a list of address ranges and whether groups may."""
    entry: dict[str, Any] = {}
    rules.append(entry)
    everything = rule.protocol in _ALL
    values = {
        "protocol": ("all" if everything else rule.protocol, ("protocol", "ip_protocol")),
        "from_port": (0 if everything else rule.from_port, ("from_port",)),
        "to_port": (65535 if everything else rule.to_port, ("to_port",)),
        "description": (rule.description or None, ("description",)),
        "cidrs": ([each for each in (*(rule.cidr_blocks or ()), *(rule.ipv6_cidr_blocks or ())) if each],
                  ("cidr_blocks", "ipv6_cidr_blocks", "cidr_ipv4", "cidr_ipv6")),
    }
    for key, (value, attributes) in values.items():
        if any(touched(under(shadow, name)) for shadow in (later, hidden) for name in attributes):
            unknown.append(f"{path}.{key}")
        elif value is not None:
            entry[key] = value
    entry["groups"] = bool(rule.self or rule.security_groups or rule.source_security_group_id)
