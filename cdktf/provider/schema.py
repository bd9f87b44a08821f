"""The field table as Terraform's schema: one attribute for each field, nested ones for what a field holds.

Every optional field is *computed* too, although the provider invents nothing: so a field that is not in the
configuration may stay in the state as it was observed (after an import, say) without being a change. Absent is not
managed.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

from muster.model.fields import VM_FIELDS, Field
from muster.model.fleet_fields import SITE_FIELDS, WAIVER_FIELDS
from muster.model.reference import plain
from tf.gen import tfplugin_pb2 as pb
from tf.schema import Attribute, Schema
from tf.types import Bool, List, Map, Number, String, TfType

from .timeouts import NAME, OF_VM

VERSION = 0
_SCALARS: dict[str, type[TfType]] = {"str": String, "int": Number, "bool": Bool}
_NESTING = {"single": pb.Schema.Object.SINGLE, "list": pb.Schema.Object.LIST, "map": pb.Schema.Object.MAP}
_DOING = {"create": "making it", "update": "changing it", "delete": "deleting it"}
_UNITS = {"size": " A size, such as `2 GiB`; `2048 MiB` is the same.",
          "duration": " A duration, such as `24h` or `7d`."}


class Whole(TfType):
    """The value of a nested attribute, as it comes: `values` reads it by the field table."""

    def encode(self, value: Any) -> Any:
        return value

    def decode(self, value: Any) -> Any:
        return value

    def tf_type(self) -> bytes:
        raise AssertionError("a nested attribute has no type of its own")


class Nested(Attribute):
    """An attribute that holds attributes, which protocol 6 knows and the framework does not."""

    def __init__(self, name: str, nesting: str, attributes: Iterable[Attribute], **more: Any) -> None:
        super().__init__(name, Whole(), **more)
        self.nesting, self.attributes = nesting, tuple(attributes)

    def to_pb(self) -> pb.Schema.Attribute:
        return pb.Schema.Attribute(
            name=self.name,
            nested_type=pb.Schema.Object(
                attributes=[attribute.to_pb() for attribute in self.attributes], nesting=_NESTING[self.nesting]
            ),
            description=self.description,
            description_kind=pb.StringKind.MARKDOWN,
            required=bool(self.required),
            optional=bool(self.optional),
            computed=bool(self.computed),
            sensitive=bool(self.sensitive),
        )


def attributes(fields: Mapping[str, Field], mode: str = "managed") -> list[Attribute]:
    """One attribute for each of `fields`. `mode`: ``managed`` as above, ``given`` for settings, which nobody computes,
    and ``observed`` for what is only read."""
    return [_attribute(name, entry, mode) for name, entry in fields.items()]


def _attribute(name: str, entry: Field, mode: str) -> Attribute:
    required = bool(entry.get("required")) and mode != "observed"
    more = {
        "description": _description(entry),
        "required": required,
        "optional": mode != "observed" and not required,
        "computed": mode == "observed" or (mode == "managed" and not required),
    }
    ours = entry["muster"]
    if "options" in entry:
        return Nested(name, "single" if entry["type"] == "dict" else "list", attributes(entry["options"], mode), **more)
    if "values" in ours:
        return Nested(name, "map", attributes(ours["values"], mode), **more)
    if entry["type"] == "dict":
        return Attribute(name, Map(String()), **more)
    if entry["type"] == "list":
        return Attribute(name, List(_SCALARS[entry.get("elements", "str")]()), **more)
    return Attribute(name, _SCALARS[entry["type"]](), **more)


def _description(entry: Field) -> str:
    text = plain(entry["description"]) + _UNITS.get(entry["muster"].get("unit", ""), "")
    if "choices" in entry:
        text += f" One of {', '.join(f'`{choice}`' for choice in entry['choices'])}."
    return text


def timeouts(operations: Iterable[str]) -> Nested:
    """How long each of the operations may take."""
    each = [text(one, f"How long {_DOING[one]} may take, such as `30m`.", optional=True) for one in operations]
    return Nested(NAME, "single", each, optional=True, computed=True, description=(
        "How long Terraform waits for it, in the place of the provider's `timeout`. What is made by then stays, and "
        "the next apply carries on. Another time-out is no change, but for `delete`, which counts once it was "
        "applied."))


def filled(value: Mapping[str, Any], known: Iterable[Attribute]) -> dict[str, Any]:
    """`value`, a state that another version of the provider may have written, with the attributes that are `known`
    now."""
    return {one.name: _filled(value[one.name], one) if value.get(one.name) is not None else None for one in known}


def _filled(value: Any, one: Attribute) -> Any:
    if not isinstance(one, Nested):
        return value
    if one.nesting == "single":
        return filled(value, one.attributes)
    if one.nesting == "list":
        return [item and filled(item, one.attributes) for item in value]
    return {key: item and filled(item, one.attributes) for key, item in value.items()}


def text(name: str, description: str, **more: Any) -> Attribute:
    """An attribute that is text."""
    return Attribute(name, String(), description=description, **more)


@functools.cache
def provider() -> Schema:
    """The settings of the provider."""
    return Schema(
        description="Makes virtual machines what the configuration says, by the drivers, the planner and the rulebook "
        "that Ansible's collection `muster.fleet` uses too.",
        attributes=[
            text("fleet_file", "Fleet file whose name, sites, rules and waivers are used. Its VMs are not.",
                 optional=True),
            text("fleet", "Name of the fleet: it is in the ownership mark of each VM. Needed without `fleet_file`.",
                 optional=True),
            Nested("sites", "map", attributes(SITE_FIELDS, "given"), optional=True,
                   description="Sites by name, in the place of `fleet_file`. Relative paths begin at the folder in "
                   "which Terraform runs."),
            Attribute("packs", List(String()), optional=True,
                      description="Packs of rules that VMs must satisfy: `muster/baseline`, or the path of a file. "
                      "Those of the fleet file if unset, else `muster/baseline`; an empty list asks nothing."),
            Nested("waivers", "list", attributes(WAIVER_FIELDS, "given"), optional=True,
                   description="Findings that are accepted for a while, beside the waivers of the fleet file."),
            text("severity", "The least severity of a failed rule that stops a plan: `low`, `medium`, `high` or "
                 "`critical`. `high` if unset.", optional=True),
            Attribute("allow_power_cycle", Bool(), optional=True,
                      description="Whether a change may restart a running VM. A plan that would is refused else."),
            Attribute("allow_force", Bool(), optional=True,
                      description="Whether the power of a VM may be cut that was asked to shut down and did not in "
                                  "time, or that is paused. It is left on else, and the apply fails."),
            text("timeout", "How long making, changing, deleting or backing up one VM may take, such as `30m`. It is "
                 "then given up, what is made stays, and the next apply carries on. Unset, it may take as long as the "
                 "platform's own bounds allow.", optional=True),
        ],
    )


def _observed(*more: Attribute) -> list[Attribute]:
    return [
        text("id", "The same as `uuid`.", computed=True),
        text("uuid", "UUID of the VM at its site: its identity, whatever it is called.", computed=True),
        text("address", "Address at which the guest is reached, where one is known.", computed=True),
        *more,
    ]


@functools.cache
def vm() -> Schema:
    """The resource ``muster_vm``."""
    return Schema(
        version=VERSION,
        description="A virtual machine. What is not set is not managed.",
        attributes=[
            text("name", "Name of the VM in the fleet. Its identity is made of it: another name is another VM.",
                 required=True),
            text("site", "Site of the VM. May be left out where there is one.", optional=True, computed=True),
            *attributes(VM_FIELDS),
            timeouts(OF_VM),
            *_observed(),
        ],
    )


@functools.cache
def vm_data() -> Schema:
    """The data source ``muster_vm``."""
    return Schema(
        description="One VM as its site reports it now.",
        attributes=[
            text("name", "Name of the VM.", required=True),
            text("site", "Site of the VM. May be left out where there is one.", optional=True, computed=True),
            Attribute("owned", Bool(), computed=True, description="Whether it bears the ownership mark of this fleet."),
            *attributes(VM_FIELDS, "observed"),
            *_observed(),
        ],
    )


@functools.cache
def vms_data() -> Schema:
    """The data source ``muster_vms``."""
    return Schema(
        description="The VMs of a site, in one listing.",
        attributes=[
            text("site", "Site whose VMs are listed. May be left out where there is one.", optional=True,
                 computed=True),
            Attribute("all", Bool(), optional=True, description="List the VMs that are not this fleet's too."),
            Nested("vms", "list", [
                text("name", "Name of the VM.", computed=True),
                Attribute("owned", Bool(), computed=True, description="Whether it is this fleet's."),
                *attributes(VM_FIELDS, "observed"),
                *_observed(),
            ], computed=True, description="The VMs, by name."),
        ],
    )


@functools.cache
def findings_data() -> Schema:
    """The data source ``muster_findings``."""
    return Schema(
        description="What the rules say of the fleet's VMs as they run now.",
        attributes=[
            text("site", "Site whose VMs are judged. May be left out where there is one.", optional=True,
                 computed=True),
            text("severity", "The least severity that is listed: that of the provider if unset.", optional=True),
            Nested("findings", "list", [
                text("rule", "Id of the rule.", computed=True),
                text("title", "Title of the rule.", computed=True),
                text("severity", "Severity of the rule.", computed=True),
                text("vm", "Name of the VM.", computed=True),
                text("outcome", "`fail`, or `error` where the rule could not be judged.", computed=True),
                text("sentence", "The finding in words.", computed=True),
            ], computed=True, description="Findings that stop a plan."),
        ],
    )
