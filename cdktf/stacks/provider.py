"""Providers in a stack: Muster's own, and any other by its source."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Any

from ..cdk import Construct, TerraformProvider, TerraformProviderGeneratorMetadata

SOURCE = "muster.fleet/muster/muster"


class AnyProvider(TerraformProvider):
    """A provider by its type, its source and its settings; what is None is not written. The CDK's command line wants a
    `version` to be asked for."""

    def __init__(self, scope: Construct, id_: str, kind: str, source: str, version: str,
                 settings: Mapping[str, Any]) -> None:
        metadata = TerraformProviderGeneratorMetadata(provider_name=kind, provider_version_constraint=version)
        super().__init__(scope, id_, terraform_resource_type=kind, terraform_provider_source=source,
                         terraform_generator_metadata=metadata)
        for name, value in settings.items():
            if value is not None:
                self.add_override(name, value)


class MusterProvider(AnyProvider):
    """The settings of the provider: ``fleet_file``, or ``fleet`` and ``sites``; see docs/terraform-provider.md. What is
    allowed may be an expression."""

    def __init__(self, scope: Construct, id_: str = "muster", *, fleet_file: str | None = None,
                 fleet: str | None = None, sites: Mapping[str, Any] | None = None, packs: Sequence[str] | None = None,
                 waivers: Sequence[Mapping[str, Any]] | None = None, severity: str | None = None,
                 allow_power_cycle: bool | str | None = None, allow_force: bool | str | None = None) -> None:
        settings = {"fleet_file": fleet_file, "fleet": fleet, "sites": sites, "packs": packs, "waivers": waivers,
                    "severity": severity, "allow_power_cycle": allow_power_cycle, "allow_force": allow_force}
        version = f">= {importlib.metadata.version('muster-fleet')}"
        super().__init__(scope, id_, "muster", SOURCE, version, settings)
