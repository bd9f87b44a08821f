"""The data sources: VMs and findings, as the sites report them now."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from muster.model.errors import ModelError
from muster.model.units import format_time
from muster.model.vm import VM
from tf.iface import Config, DataSource, ReadDataContext, State
from tf.schema import Schema
from tf.types import Unknown
from tf.utils import Diagnostics

from . import schema, schema_kept, shown, values
from .provider import MusterProvider, summary
from .settings import Settings, check_name, check_severity
from .sites import SiteSession

_OUTCOMES = ("passed", "failed", "not_tested", "never")


class _Data(DataSource):
    """What the data sources share: the site that is asked, and errors that are sentences."""

    what = ""

    def __init__(self, provider: MusterProvider) -> None:
        self.provider = provider

    def validate(self, diags: Diagnostics, type_name: str, config: Config) -> None:
        """What is wrong with `config`, as far as it is known."""
        problems: list[ModelError] = []
        known = {key: value for key, value in config.items() if value is not Unknown}
        if self.provider.settings is not None and "site" in known:
            try:
                self.provider.settings.site(known["site"])
            except ModelError as error:
                problems.append(error)
        self.check(known, problems)
        for problem in problems:
            diags.add_error(summary(problem), path=list(problem.keys))

    def check(self, known: Config, problems: list[ModelError]) -> None:
        """Report what else is wrong with what is known of a configuration."""

    def read(self, ctx: ReadDataContext, config: Config) -> State | None:
        from muster.drivers.driver import DriverError

        try:
            settings, sites = self.provider.settings, self.provider.sites
            if settings is None or sites is None:
                raise ModelError("the provider is not configured")
            site = settings.site(config.get("site")).name
            return {**config, "site": site, **self.ask(config, settings, sites[site])}
        except (DriverError, ValueError) as error:
            ctx.diagnostics.add_error(f"Unable to read {self.what}", str(error))
            return None

    def ask(self, config: Config, settings: Settings, session: SiteSession) -> State:
        """The computed attributes."""
        raise NotImplementedError


class VmData(_Data):
    """``muster_vm``: one VM by its name."""

    what = "the VM"

    @classmethod
    def get_name(cls) -> str:
        return "vm"

    @classmethod
    def get_schema(cls) -> Schema:
        return schema.vm_data()

    def ask(self, config: Config, settings: Settings, session: SiteSession) -> State:
        name, listed = config["name"], session.vms()
        found = [vm for vm in listed if _owned(vm, settings) and vm.owner.vm == name] or \
            [vm for vm in listed if vm.name == name]
        if len(found) != 1:
            many = ", ".join(str(vm.uuid) for vm in found)
            raise ModelError(f"site '{session.name}' has {f'{len(found)} VMs' if found else 'no VM'} of the name "
                             f"'{name}'{f': {many}' if many else ''}; write the name of one", ("name",))
        return _shown(found[0], settings)


class VmsData(_Data):
    """``muster_vms``: the VMs of a site."""

    what = "the VMs"

    @classmethod
    def get_name(cls) -> str:
        return "vms"

    @classmethod
    def get_schema(cls) -> Schema:
        return schema.vms_data()

    def ask(self, config: Config, settings: Settings, session: SiteSession) -> State:
        listed = [vm for vm in session.vms() if config.get("all") or _owned(vm, settings)]
        listed.sort(key=lambda vm: (vm.name, str(vm.uuid)))
        return {"vms": [{"name": vm.name, **_shown(vm, settings)} for vm in listed]}


class FindingsData(_Data):
    """``muster_findings``: what the rules say of the fleet's VMs."""

    what = "the findings"

    @classmethod
    def get_name(cls) -> str:
        return "findings"

    @classmethod
    def get_schema(cls) -> Schema:
        return schema.findings_data()

    def check(self, known: Config, problems: list[ModelError]) -> None:
        if known.get("severity") is not None:
            check_severity(known["severity"], problems)

    def ask(self, config: Config, settings: Settings, session: SiteSession) -> State:
        from muster.policy import check

        problems: list[ModelError] = []
        self.check(config, problems)
        if problems:
            raise problems[0]
        severity = config.get("severity") or settings.severity
        documents = settings.fleet.documents(vm for vm in session.vms() if _owned(vm, settings))
        report = check(documents, settings.rules(), "live", settings.fleet.waivers)
        return {"findings": [
            {"rule": one.rule, "title": one.title, "severity": one.severity, "vm": one.vm, "outcome": one.outcome,
             "sentence": one.sentence} for one in report.at_least(severity)
        ]}


class DrillData(_Data):
    """``muster_drill``: how the last recovery drill of a VM ended."""

    what = "the drills"

    @classmethod
    def get_name(cls) -> str:
        return "drill"

    @classmethod
    def get_schema(cls) -> Schema:
        return schema_kept.drill_data()

    def check(self, known: Config, problems: list[ModelError]) -> None:
        if "vm" in known:
            check_name(known["vm"], problems, "vm")

    def ask(self, config: Config, settings: Settings, session: SiteSession) -> State:
        from muster.operations.backup import repository_of

        problems: list[ModelError] = []
        self.check(config, problems)
        if problems:
            raise problems[0]
        vm = settings.wanted(config["vm"], session.name, {})
        repository = repository_of(settings.fleet_of(vm), vm)
        if not os.access(repository.root, os.R_OK | os.X_OK):
            raise ModelError(f"the repository {repository.root} is not there, or cannot be read, so nobody knows how "
                             "a drill ended; look whether it is mounted")
        records = repository.drills(vm)
        last: Mapping[str, Any] = records[-1] if records else {"outcome": "never"}
        passed = [record["time"] for record in records if record.get("outcome") == "passed"]
        point = last.get("restore_point")
        return {
            "outcome": last["outcome"] if last.get("outcome") in _OUTCOMES else "not_tested", "time": _time(last),
            "restore_point": point if isinstance(point, str) else None,
            "last_passed": _time({"time": passed[-1]}) if passed else None,
            **{key: _seconds(last.get(key)) for key in ("rto_seconds", "rpo_seconds")},
        }


def _time(record: Mapping[str, Any]) -> str | None:
    return format_time(record["time"]) if "time" in record else None


def _seconds(value: Any) -> float | None:
    """A measure of a record, which anybody may have written who can write to the repository."""
    return value if type(value) in (int, float) and 0 <= value < 1e12 else None


def _owned(vm: VM, settings: Settings) -> bool:
    return vm.mark is not None and vm.mark.fleet == settings.fleet.name


def _shown(vm: VM, settings: Settings) -> State:
    return {"owned": _owned(vm, settings), **values.observed(shown.actual(vm)), **shown.seen(vm)}
