"""What the framework serves: the provider's settings and its resources and data sources."""

from __future__ import annotations

import threading
from typing import Any

from muster.model.errors import ModelError, ModelErrors
from tf.function import Function
from tf.iface import Config, DataSource, Provider, Resource
from tf.schema import Schema
from tf.utils import Diagnostics

from . import schema, values
from .patience import Patience
from .settings import Settings, read_settings
from .sites import Sites

SOURCE = "muster.fleet/muster/muster"


class MusterProvider(Provider):
    """One provider process. `settings` are known once a configuration was seen; `sites` once it was configured."""

    def __init__(self) -> None:
        self.settings: Settings | None = None
        self.sites: Sites | None = None
        self.patience = Patience()
        self._rulebook: Any = None
        self._lock = threading.Lock()

    def get_model_prefix(self) -> str:
        return "muster_"

    def full_name(self) -> str:
        return SOURCE

    def get_provider_schema(self, diags: Diagnostics) -> Schema:
        return schema.provider()

    def validate_config(self, diags: Diagnostics, config: Config) -> None:
        self._read(diags, config)

    def configure_provider(self, diags: Diagnostics, config: Config) -> None:
        if self.sites is not None:
            self.sites.close()  # a provider that a debugger keeps alive is configured once for each run
        self.sites, self.settings, self.patience = None, None, Patience()
        self._read(diags, config)
        if self.settings is not None:
            self.sites = Sites(self.settings)
            for site in self.settings.fleet.sites.values():
                if site.warning:
                    diags.add_warning(site.warning)
        elif not diags.has_errors():
            diags.add_error("Muster cannot be configured yet",
                            "A setting of the provider is known only after another resource was made. Write its value, "
                            "or make that resource first with -target.")

    def _read(self, diags: Diagnostics, config: Config) -> None:
        self._rulebook = None
        try:
            self.settings = read_settings(config)
        except ModelErrors as error:
            for each in error.errors:
                diags.add_error(summary(each), path=_setting(each, config))

    def rulebook(self, diags: Diagnostics) -> Any:
        """The rules of the settings; None, with an error, where a pack cannot be read."""
        from .compliance import Rulebook

        with self._lock:
            if self._rulebook is None and self.settings is not None:
                try:
                    self._rulebook = Rulebook(self.settings)
                except ValueError as error:
                    diags.add_error("Unable to read the rules", str(error))
            return self._rulebook

    def close(self) -> None:
        """End the connections."""
        if self.sites is not None:
            self.sites.close()

    def get_resources(self) -> list[type[Resource]]:
        from .restore_point import RestorePointResource
        from .vm import VmResource
        from .vm_snapshot import SnapshotResource

        return [VmResource, SnapshotResource, RestorePointResource]

    def get_data_sources(self) -> list[type[DataSource]]:
        from .data import DrillData, FindingsData, VmData, VmsData

        return [VmData, VmsData, FindingsData, DrillData]

    def get_functions(self) -> list[type[Function]]:
        from .check import Check
        from .functions import Bytes, Seconds

        return [Bytes, Seconds, Check]


def summary(error: ModelError) -> str:
    """A sentence of the model as the head of a diagnostic."""
    text = f"{values.path_text(error.keys)}: {error.problem}" if error.keys else error.problem
    return text if text.endswith(".") else f"{text}."


def _setting(error: ModelError, config: Config) -> list[Any]:
    steps: list[Any] = []
    here: Any = config
    for key in error.keys:
        if isinstance(here, dict) and key in here:
            steps.append(key if len(steps) != 1 or steps[0] != "sites" else (key,))
            here = here[key]
        elif isinstance(here, list) and isinstance(key, int):
            steps.append((key,))
            here = here[key]
        else:
            break
    return steps or ([error.keys[0]] if error.keys else [])
