"""The backend of a stack: where Terraform keeps its state, as the fleet file says."""

from __future__ import annotations

from typing import Any

from muster.model.fleet import Fleet

from ..cdk import TerraformBackend, TerraformStack
from .place import from_stack
from .written import escaped


class Backend(TerraformBackend):
    """Any backend of Terraform by its name and settings."""

    def __init__(self, stack: TerraformStack, kind: str, settings: dict[str, Any]) -> None:
        super().__init__(stack, "backend", kind)
        for name, value in settings.items():
            self.add_override(name, escaped(value) if isinstance(value, str) else value)

    def get_remote_state_data_source(self, scope: Any, name: str, from_stack: str) -> Any:
        """One site's stack reads nothing of another's."""
        raise NotImplementedError(f"stack '{from_stack}' gives no values to '{name}'")


def keep_state(stack: TerraformStack, fleet: Fleet, site: str) -> None:
    """Let `stack` keep the state of `site` where the fleet file says."""
    settings = fleet.state.block(fleet.name, site)
    if fleet.state.backend == "local":
        settings["path"] = from_stack(stack, settings["path"])
    Backend(stack, fleet.state.backend, settings)
