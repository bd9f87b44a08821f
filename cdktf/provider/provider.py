"""What the framework serves: the provider's settings and its resources and data sources."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from muster.model.errors import ModelError, ModelErrors
from tf.function import Function
from tf.iface import Config, DataSource, Provider, Resource
from tf.schema import Schema
from tf.utils import Diagnostics

from . import schema, values
from .patience import Patience
from .settings import Settings, read_settings
from .sites import Sites

if TYPE_CHECKING:
    from .compliance import Rulebook

SOURCE = "muster.fleet/muster/muster"


class MusterProvider(Provider):
    """One provider process. `settings` are known once a configuration was seen; `sites` once it was configured."""

    def __init__(self) -> None:
        self.settings: Settings | None = None
        self.sites: Sites | None = None
        self.patience = Patience()
        self._rulebook: Rulebook | None = None
        self._lock = threading.Lock()

    def get_model_prefix(self) -> str:
        return "muster_"

    def full_name(self) -> str:
        return SOURCE

    def get_provider_schema(self, diags: Diagnostics) -> Schema:
        return schema.provider()

    def validate_config(self, diags: Diagnostics, config: Config) -> None:
        self._read(diags, config)
        self._read_rules(diags, config)

    def configure_provider(self, diags: Diagnostics, config: Config) -> None:
        if self.sites is not None:
            self.sites.close()  # a provider that a debugger keeps alive is configured once for each run
        validated, rulebook = self.settings, self._rulebook
        self.sites, self.settings, self.patience = None, None, Patience()
        self._read(diags, config)
        if self.settings == validated:
            self._rulebook = rulebook
        self._read_rules(diags, config)
        if self.settings is not None and not diags.has_errors():
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

    def _read_rules(self, diags: Diagnostics, config: Config) -> None:
        """An error where a pack cannot be read, whether there is a VM to be judged or not."""
        if self.settings is not None:
            try:
                self.rulebook()
            except ValueError as error:
                diags.add_error("Unable to read the rules", str(error),
                                path=["fleet_file" if config.get("packs") is None else "packs"])

    def rulebook(self) -> Rulebook:
        """The rules of the settings, which are known. Raises PackError where a pack cannot be read."""
        from .compliance import Rulebook

        with self._lock:
            if self._rulebook is None:
                if self.settings is None:
                    raise AssertionError("the rules of no settings")
                self._rulebook = Rulebook(self.settings)
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
