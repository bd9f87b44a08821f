"""The construct ``Vm``: a VM of Muster in anybody's app."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from muster.model.consistency import complete
from muster.model.errors import ModelError, ModelErrors
from muster.model.fields import VM_FIELDS, Field, field
from muster.model.normal import layer
from muster.model.patterns import NAME

from ..cdk import Construct, TerraformStack
from . import written
from .machines import Machines, called
from .timeouts import attributes as within

KIND = "muster_vm"
_NAME = {"name": field("str", "A name.", pattern=NAME)}
_PYTHON = {"str": str, "int": int, "bool": bool, "list": list, "dict": dict}


class Vm(Machines):
    """A ``muster_vm``, or a group of them.

    `name` is the name of the VM in the fleet, that of the construct if unset; `each` makes one VM for each of its names
    instead, with the fields in which it differs. `timeouts` says how long Terraform waits for its ``create``,
    ``update`` and ``delete``. All other arguments are the fields of a VM, as in a fleet file; a value may be an
    expression or a token. Raises ModelErrors, with everything that is wrong.
    """

    def __init__(self, scope: Construct, id_: str, *, name: str | None = None, site: str | None = None,
                 each: Mapping[str, Mapping[str, Any]] | None = None, timeouts: Mapping[str, str] | None = None,
                 **fields: Any) -> None:
        problems: list[ModelError] = []
        if name is not None and each is not None:
            problems.append(ModelError("'name' and 'each' name the VMs twice; remove one of them", (id_, "name")))
        single = each is None
        wanted = {name or id_: fields} if each is None else {key: {**fields, **more} for key, more in each.items()}
        if not wanted:
            problems.append(ModelError("it names no VM; name one", (id_, "each")))
        attributes, documents = {}, []
        for vm, given in wanted.items():
            where = (id_,) if single else (id_, vm)
            attributes[vm], document = _read(vm, given, where, problems)
            documents.append({**document, **({"site": site} if isinstance(site, str) else {})})
        found: list[ModelError] = []
        beside = {**({} if site is None else {"site": site}), **within(timeouts, found)}
        problems.extend(ModelError(error.problem, (id_, *error.keys)) for error in found)
        if problems:
            raise ModelErrors(problems)
        whole = {"name": name or id_, **attributes[name or id_]} if single else written.grouped(attributes)
        super().__init__(scope, id_, KIND, {**whole, **beside}, documents)
        if isinstance(scope, TerraformStack):  # elsewhere the CDK makes a name of the scopes'
            self.override_logical_id(called(id_))

    def attribute(self, attribute: str, of: str | None = None) -> str:
        """An attribute of the VM as an expression: ``uuid``, ``address`` and every field. Of a group `of` names the
        VM."""
        key = "" if of is None else f'["{of}"]'
        return f"${{{KIND}.{self.friendly_unique_id}{key}.{attribute}}}"


def _read(vm: str, given: Mapping[str, Any], where: tuple[str, ...],
          problems: list[ModelError]) -> tuple[dict[str, Any], dict[str, Any]]:
    spec, attributes, later, found = written.read(given)
    if not found and not later:
        complete(spec, (), found)
    if not written.unresolved(vm):
        layer({"name": vm}, _NAME, (), found)
    problems.extend(ModelError(error.problem, (*where, *error.keys)) for error in found)
    return attributes, {**spec, "name": vm, "owned": True, "unknown": list(later)}


def _signature() -> inspect.Signature:
    """The arguments of `Vm` with the fields of the table: what editors and ``help`` show."""
    own = [one for one in inspect.signature(Vm.__init__).parameters.values()
           if one.name != "self" and one.kind is not inspect.Parameter.VAR_KEYWORD]
    fields = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_python(entry))
              for name, entry in VM_FIELDS.items()]
    return inspect.Signature([*own, *fields])


def _python(entry: Field) -> Any:
    return _PYTHON[entry["type"]] | None


Vm.__signature__ = _signature()
