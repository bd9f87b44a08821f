"""A VM as Terraform's state shows it, beside the fields that a configuration may set."""

from __future__ import annotations

from typing import Any

from muster.model.vm import VM


def actual(vm: VM) -> dict[str, Any]:
    """The fields of a VM as the planner compares them."""
    return {**vm.spec, "power": vm.power}


def seen(vm: VM) -> dict[str, Any]:
    """Identity and address."""
    return {"id": vm.uuid, "uuid": vm.uuid, "address": str(vm.state.get("address", "")) or None}
