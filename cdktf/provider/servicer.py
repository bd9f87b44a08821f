"""Protocol 6 where the framework's own answers are not enough: plans that the planner makes, deletions that are planned
too, applies that know the configuration, and a failure that is always a sentence.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import tf.utils
from tf.gen import tfplugin_pb2 as pb
from tf.iface import CreateContext, DeleteContext, ReadContext, UpdateContext
from tf.provider import ProviderServicer
from tf.types import Unknown
from tf.utils import Diagnostics, read_dynamic_value, to_dynamic_value

from . import configuration, timeouts
from .defect import TITLE, defect
from .provider import MusterProvider
from .schema import filled


def _extension(code: int, data: bytes) -> Any:
    """Terraform's unknown values. Code 12 is one of which something is known, such as how it begins; the framework
    knows code 0 alone and would give such a value to us as a list."""
    if code in (0, 12):
        return Unknown
    raise ValueError(f"a value of the unknown kind {code}; use a newer version of Muster's provider")


tf.utils._msgpack_ext_hook = _extension
_NULL = b"\xc0"  # in msgpack
# What Terraform hands back with the second of the two plans of a replacement, and with no other plan.
_FIRST_HALF = b"first half"


def _guarded(question: str, response: Any) -> Callable[[ProviderServicer, Any, Any], Any]:
    """The framework's own answer to `question`, which would print a defect with its text, and raise it."""
    plain = getattr(ProviderServicer, question).__wrapped__

    def answer(self: ProviderServicer, request: Any, context: Any) -> Any:
        return _answered(lambda _diags: plain(self, request, context),
                         lambda diags: response(diagnostics=diags.to_pb()))

    return answer


class MusterServicer(ProviderServicer):
    """The framework's servicer with what it lacks."""

    app: MusterProvider

    ValidateProviderConfig = _guarded("ValidateProviderConfig", pb.ValidateProviderConfig.Response)
    ValidateDataResourceConfig = _guarded("ValidateDataResourceConfig", pb.ValidateDataResourceConfig.Response)
    ConfigureProvider = _guarded("ConfigureProvider", pb.ConfigureProvider.Response)
    ImportResourceState = _guarded("ImportResourceState", pb.ImportResourceState.Response)
    ReadDataSource = _guarded("ReadDataSource", pb.ReadDataSource.Response)

    def GetProviderSchema(self, request: Any, context: Any) -> Any:
        response = super().GetProviderSchema(request, context)
        response.server_capabilities.plan_destroy = True
        response.server_capabilities.get_provider_schema_optional = True
        return response

    def ValidateResourceConfig(self, request: Any, context: Any) -> Any:
        def validate(diags: Diagnostics) -> Any:
            resource = self.app.new_resource(self._get_res_cls(request.type_name))
            resource.validate(diags, request.type_name, configuration.read(request.config))
            return pb.ValidateResourceConfig.Response(diagnostics=diags.to_pb())

        def failed(diags: Diagnostics) -> Any:
            return pb.ValidateResourceConfig.Response(diagnostics=diags.to_pb())

        return _answered(validate, failed)

    def UpgradeResourceState(self, request: Any, context: Any) -> Any:
        def upgrade(diags: Diagnostics) -> Any:
            resource = self._get_res_cls(request.type_name)
            state = filled(json.loads(request.raw_state.json), resource.get_schema().attributes)
            if self.app.sites is not None and state.get("uuid"):
                self.app.sites.in_state.add(state["uuid"])
            if state[timeouts.NAME] is None:
                state[timeouts.NAME] = timeouts.unset(resource.operations)
            return pb.UpgradeResourceState.Response(upgraded_state=to_dynamic_value(state))

        def failed(diags: Diagnostics) -> Any:
            return pb.UpgradeResourceState.Response(diagnostics=diags.to_pb())

        return _answered(upgrade, failed)

    def ReadResource(self, request: Any, context: Any) -> Any:
        def read(diags: Diagnostics) -> Any:
            resource = self.app.new_resource(self._get_res_cls(request.type_name))
            current = read_dynamic_value(request.current_state)
            state = resource.read(ReadContext(diags, request.type_name), current)
            same = request.current_state if state == current else _value(state)
            return pb.ReadResource.Response(new_state=same, diagnostics=diags.to_pb())

        def failed(diags: Diagnostics) -> Any:
            return pb.ReadResource.Response(new_state=request.current_state, diagnostics=diags.to_pb())

        return _answered(read, failed)

    def PlanResourceChange(self, request: Any, context: Any) -> Any:
        def plan(diags: Diagnostics) -> Any:
            resource = self.app.new_resource(self._get_res_cls(request.type_name))
            prior = read_dynamic_value(request.prior_state)
            gone = request.proposed_new_state.msgpack == _NULL
            resource.config = configuration.read(request.config)
            resource.replacing = prior is None and request.prior_private == _FIRST_HALF
            planned = resource.plan_change(diags, prior, None if gone else resource.config)
            paths = [pb.AttributePath(steps=[pb.AttributePath.Step(attribute_name=name)]) for name in planned.replace]
            same = request.prior_state if planned.state == prior else _value(planned.state)
            return pb.PlanResourceChange.Response(
                planned_state=same, requires_replace=paths, diagnostics=diags.to_pb(),
                planned_private=b"" if prior is None or gone else _FIRST_HALF)

        def failed(diags: Diagnostics) -> Any:
            return pb.PlanResourceChange.Response(planned_state=request.prior_state, diagnostics=diags.to_pb())

        return _answered(plan, failed)

    def ApplyResourceChange(self, request: Any, context: Any) -> Any:
        def apply(diags: Diagnostics) -> Any:
            resource = self.app.new_resource(self._get_res_cls(request.type_name))
            prior, planned = read_dynamic_value(request.prior_state), read_dynamic_value(request.planned_state)
            resource.config = configuration.read(request.config)
            if prior is None:
                state = resource.create(CreateContext(diags, request.type_name), planned)
            elif planned is None:
                state = resource.delete(DeleteContext(diags, request.type_name), prior)
            else:
                state = resource.update(UpdateContext(diags, request.type_name), prior, planned)
            return pb.ApplyResourceChange.Response(new_state=_value(state), diagnostics=diags.to_pb())

        def failed(diags: Diagnostics) -> Any:
            return pb.ApplyResourceChange.Response(new_state=request.prior_state, diagnostics=diags.to_pb())

        return _answered(apply, failed)

    def StopProvider(self, request: Any, context: Any) -> Any:
        self.app.patience.ask()
        return pb.StopProvider.Response()


def _value(state: Any) -> Any:
    return pb.DynamicValue(msgpack=_NULL) if state is None else to_dynamic_value(state)


def _answered(work: Callable[[Diagnostics], Any], failed: Callable[[Diagnostics], Any]) -> Any:
    """The answer of `work`. A defect of ours becomes an error of what was asked about, with its state as it was."""
    diags = Diagnostics()
    try:
        return work(diags)
    except Exception as error:
        diags.add_error(TITLE, f"{defect(error)}. The state was left as it is: please report this.")
        return failed(diags)
