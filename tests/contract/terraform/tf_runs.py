"""Terraform itself over one site of the tests: a configuration as data, its commands, and what they left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from muster_provider.provider import SOURCE
from sites import NETWORK, TINY, World

PROGRAM = os.environ.get("MUSTER_TERRAFORM", "terraform")  # OpenTofu's `tofu` is to pass the same tests
OFF: Mapping[str, Any] = MappingProxyType({**TINY, "power": "off"})


class Terraform:
    """A folder with a configuration of `muster_vm`, by the short names of their VMs. `environment` says how the
    provider is reached."""

    def __init__(self, world: World, folder: Path, environment: Mapping[str, str]) -> None:
        self.world, self.folder = world, folder
        self.environment = {**os.environ, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1", **environment}
        site = {"platform": world.access.platform, **world.access.options}
        self.provider: dict[str, Any] = {"fleet": world.fleet, "sites": {world.access.name: site}, "packs": []}
        self.vms: dict[str, Any] = {}
        self.more: dict[str, Any] = {}

    def name(self, name: str) -> str:
        return f"{self.world.names}-{name}"

    def write(self) -> None:
        document = {
            "terraform": {"required_providers": {"muster": {"source": SOURCE}}},
            "provider": {"muster": self.provider},
            "resource": {"muster_vm": {key: self._own({"name": self.name(key), **vm}) for key, vm in self.vms.items()}},
        }
        if not self.vms:
            del document["resource"]
        (self.folder / "main.tf.json").write_text(json.dumps({**document, **self.more}, indent=1))

    def _own(self, vm: dict[str, Any]) -> dict[str, Any]:
        """`vm` with the site's own network in the place of `NETWORK`."""
        if "nics" not in vm:
            return vm
        network = {NETWORK: self.world.network}
        return {**vm, "nics": [{**nic, "network": network.get(nic["network"], nic["network"])} for nic in vm["nics"]]}

    def run(self, *words: str, code: int | None = 0, **environment: str) -> str:
        """What a command says, its errors too. `code` None takes any."""
        self.write()
        done = subprocess.run([PROGRAM, *words, "-no-color"], cwd=self.folder, text=True, timeout=300, check=False,
                              env={**self.environment, **environment}, capture_output=True)
        said = done.stdout + done.stderr
        assert code is None or done.returncode == code, said
        return said

    def apply(self, *words: str, code: int | None = 0, **environment: str) -> str:
        return self.run("apply", "-auto-approve", "-input=false", *words, code=code, **environment)

    def plan(self, *words: str, code: int = 0) -> dict[str, list[str]]:
        """The actions of the plan by the resource's name; what is not changed is left out."""
        self.run("plan", "-input=false", "-out=plan", *words, code=code)
        if code:
            return {}
        shown = json.loads(self.run("show", "-json", "plan"))
        return {change["name"]: change["change"]["actions"] for change in shown.get("resource_changes", ())
                if change["change"]["actions"] != ["no-op"]}

    def diagnostics(self) -> list[tuple[str, str]]:
        """What `terraform validate` finds: each sentence with the line of the configuration at which it stands."""
        return _sentences(json.loads(self.run("validate", "-json", code=None))["diagnostics"])

    def planned_diagnostics(self) -> list[tuple[str, str]]:
        """The same of `terraform plan`."""
        lines = map(json.loads, self.run("plan", "-json", code=None).splitlines())
        return _sentences(line["diagnostic"] for line in lines if line["type"] == "diagnostic")

    def refused(self, *words: str) -> str:
        """What a plan that fails says, on one line."""
        return flat(self.run("plan", "-input=false", *words, code=1))

    def state(self) -> dict[str, dict[str, Any]]:
        shown = json.loads(self.run("show", "-json"))
        resources = shown.get("values", {}).get("root_module", {}).get("resources", ())
        return {one["name"]: one["values"] for one in resources}

    def there(self) -> dict[str, Any]:
        """The site's VMs that this test made, by their short names."""
        return {vm.name.removeprefix(f"{self.world.names}-"): vm for vm in self.world.driver.list()
                if vm.name.startswith(self.world.names)}


def _sentences(found: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(one["summary"] + " " + one["detail"], one.get("snippet", {}).get("code", "").strip()) for one in found]


def starting(world: World, folder: Path, before: str = "", **environment: str) -> Terraform:
    """Terraform, in `folder`/run, that starts the provider itself; `before` is what its program does first."""
    plugins = folder / "plugins"
    plugins.mkdir()
    launcher = plugins / "terraform-provider-muster"
    launcher.write_text(f"#!{sys.executable}\nimport sys\n{before}from muster_provider.main import main\n"
                        "sys.exit(main())\n")
    launcher.chmod(0o755)
    settings = folder / "settings.tfrc"
    settings.write_text(
        f'provider_installation {{\n  dev_overrides {{ "{SOURCE}" = "{plugins}" }}\n  direct {{}}\n}}\n')
    (folder / "run").mkdir()
    return Terraform(world, folder / "run", {"TF_CLI_CONFIG_FILE": str(settings), **environment})


def flat(said: str) -> str:
    """Terraform's text without the frames and the line breaks that it puts into sentences."""
    return " ".join(said.replace("│", " ").replace("╷", " ").replace("╵", " ").split())
