"""A provider with the schema of `muster_vm` that answers at once and asks no site: what Terraform, the protocol and
Python cost by themselves, which no work on Muster can save."""
# ruff: noqa: N802 - the protocol's names

from __future__ import annotations

import sys
from typing import Any

from muster_provider import main, serve
from muster_provider.servicer import MusterServicer
from tf.gen import tfplugin_pb2 as pb


class Idle(MusterServicer):
    """Whatever is asked, nothing changed."""

    def ValidateResourceConfig(self, request: Any, context: Any) -> Any:
        return pb.ValidateResourceConfig.Response()

    def UpgradeResourceState(self, request: Any, context: Any) -> Any:
        return pb.UpgradeResourceState.Response(upgraded_state=pb.DynamicValue(json=request.raw_state.json))

    def ReadResource(self, request: Any, context: Any) -> Any:
        return pb.ReadResource.Response(new_state=request.current_state)

    def PlanResourceChange(self, request: Any, context: Any) -> Any:
        return pb.PlanResourceChange.Response(planned_state=request.prior_state)


if __name__ == "__main__":
    serve.MusterServicer = Idle  # type: ignore[misc]
    sys.exit(main.main())
