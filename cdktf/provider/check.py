"""The function ``check``: the rules on one VM, for conditions of a configuration."""

from __future__ import annotations

import json
import os
from typing import Any

from muster.model.consistency import complete
from muster.model.errors import ModelError
from muster.model.fields import VM_FIELDS
from muster.model.normal import layer, without_unset
from tf.function import CallContext, FunctionSignature, Parameter, Return
from tf.types import String, TfType

from .compliance import untold
from .functions import Answering
from .provider import MusterProvider, summary
from .settings import DEFAULT_PACK, check_name, without_nulls

_FINDING = ("rule", "title", "severity", "outcome", "sentence")
_BESIDE = ("name", "site", "id", "uuid", "address", "owned", "timeouts")  # of `muster_vm`, beside its fields


class _Any(TfType):
    """A value of whatever type: it comes with its type in front."""

    def encode(self, value: Any) -> Any:
        return value

    def decode(self, value: Any) -> Any:
        return value[1] if isinstance(value, list) else value

    def tf_type(self) -> bytes:
        return b'"dynamic"'


class _Findings(_Any):
    """A list of findings."""

    def tf_type(self) -> bytes:
        return json.dumps(["list", ["object", dict.fromkeys(_FINDING, "string")]]).encode()


class Check(Answering):
    """``provider::muster::check(vm, packs...)``."""

    def __init__(self, provider: MusterProvider) -> None:
        """A function needs no configured provider."""

    @classmethod
    def get_name(cls) -> str:
        return "check"

    @classmethod
    def get_signature(cls) -> FunctionSignature:
        return FunctionSignature(
            parameters=[Parameter("vm", _Any(), description="A VM: an object with the attributes of `muster_vm`.")],
            variadic_parameter=Parameter("packs", String(), description="Packs of rules: `muster/baseline`, which is "
                                         "asked if none is given, or the path of a file."),
            return_type=Return(_Findings()),
            summary="What the rules say of one VM",
            description="The findings of the rules on one VM, of every severity: a list of objects with `rule`, "
            "`title`, `severity`, `outcome` (`fail`, or `error` where the rule could not be judged) and `sentence`. It "
            "is empty where all rules are satisfied. Waivers are not asked, nor what only other VMs tell.",
        )

    def answer(self, ctx: CallContext, arguments: list[Any]) -> Any:
        from muster.policy import check
        from muster.policy.packfile import load_rules

        vm, *packs = arguments
        try:
            rules = load_rules(packs or [DEFAULT_PACK], os.getcwd())
            document = _document(vm)
        except ValueError as error:
            ctx.diagnostics.add_error(summary(error) if isinstance(error, ModelError) else str(error))
            return None
        report = check([document], rules, "plan", ())
        return [{key: getattr(one, key) for key in _FINDING} for one in report.at_least("low")]


def _document(vm: Any) -> dict[str, Any]:
    """A VM as rules see it. Raises ModelError with what is wrong first."""
    if not isinstance(vm, dict):
        raise ModelError("a VM is an object with the attributes of muster_vm, such as {name = \"web\", cpus = 2}")
    beside = {key: value for key, value in vm.items() if key in _BESIDE and value is not None}
    problems: list[ModelError] = []
    for key in ("name", "site"):
        if key in beside:
            check_name(beside[key], problems, key)
    given = without_nulls({key: value for key, value in vm.items() if key not in _BESIDE})
    spec = without_unset(layer(given, VM_FIELDS, (), problems))
    if not problems:
        complete(spec, (), problems)
    if problems:
        raise problems[0]
    return {**spec, "name": beside.get("name", ""), "site": beside.get("site", ""), "platform": "", "owned": True,
            "terraform_type": "muster_vm", "unknown": ["platform", *untold(), *(() if "site" in beside else ("site",))]}
