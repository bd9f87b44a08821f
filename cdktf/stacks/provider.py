"""The provider ``muster`` in a stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..cdk import Construct, TerraformProvider

SOURCE = "muster.fleet/muster/muster"


class MusterProvider(TerraformProvider):
    """The settings of the provider: ``fleet_file``, or ``fleet`` and ``sites``; see docs/terraform-provider.md. What
    is not set is not written."""

    def __init__(self, scope: Construct, id_: str = "muster", *, fleet_file: str | None = None,
                 fleet: str | None = None, sites: Mapping[str, Any] | None = None, packs: Sequence[str] | None = None,
                 waivers: Sequence[Mapping[str, Any]] | None = None, severity: str | None = None,
                 allow_power_cycle: bool | None = None) -> None:
        super().__init__(scope, id_, terraform_resource_type="muster", terraform_provider_source=SOURCE)
        settings = {"fleet_file": fleet_file, "fleet": fleet, "sites": sites, "packs": packs, "waivers": waivers,
                    "severity": severity, "allow_power_cycle": allow_power_cycle}
        for name, value in settings.items():
            if value is not None:
                self.add_override(name, value)
