"""Apps of the CDK as programs, each over the library that a test asks for, and Terraform over what they wrote."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
LIBRARIES = ("cdktf", "cdktn")
PROGRAM = os.environ.get("MUSTER_TERRAFORM", "terraform")  # OpenTofu's `tofu` is to pass the same tests
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js on the path")

# The other library is hidden, as if it were not installed.
_START = """
import runpy, sys
library, program, *words = sys.argv[1:]
for other in {"cdktf", "cdktn"} - {library}:
    sys.modules[other] = None
sys.argv = [program, *words]
runpy.run_path(program, run_name="__main__")
"""


@dataclass(frozen=True)
class Ran:
    """What a program said."""

    code: int
    said: str
    errors: str


def run(folder: Path, *words: str, library: str = "cdktn", program: Path = CHECKOUT / "cdktf" / "main.py") -> Ran:
    """A program over one of the two libraries, in `folder`."""
    argv = [sys.executable, "-c", _START, library, str(program), *words]
    environment = {**os.environ, "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "18,20,22"}
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False)
    return Ran(done.returncode, done.stdout, done.stderr)


def synthesised(folder: Path, fleet: dict[str, Any], library: str = "cdktn") -> dict[str, dict[str, Any]]:
    """The stacks of a fleet file by the name of their site."""
    (folder / "fleet.yml").write_text(json.dumps(fleet, indent=1), encoding="utf-8")
    ran = run(folder, library=library)
    assert ran.code == 0, ran.errors
    return stacks(folder)


def stacks(folder: Path) -> dict[str, dict[str, Any]]:
    """What an app wrote."""
    return {path.parent.name: json.loads(path.read_text()) for path in folder.glob("cdktf.out/stacks/*/cdk.tf.json")}


class Stack:
    """Terraform in the folder of a stack. `said` is what the last plan said."""

    said = ""

    def __init__(self, folder: Path, settings: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1",
                            "TF_CLI_CONFIG_FILE": str(settings)}

    def run(self, *words: str, code: int | None = 0) -> str:
        """What a command says, on one line and without frames."""
        done = subprocess.run([PROGRAM, *words, "-no-color"], cwd=self.folder, env=self.environment, text=True,
                              capture_output=True, timeout=300, check=False)
        said = done.stdout + done.stderr
        assert code is None or done.returncode == code, said
        return said

    def plan(self) -> list[dict[str, Any]]:
        """What the plan says of each resource."""
        self.said = self.run("plan", "-input=false", "-out=plan")
        shown = json.loads(self.run("show", "-json", "plan"))
        return [one for one in shown.get("resource_changes", ()) if one["mode"] == "managed"]

    def apply(self, *plan: str) -> str:
        """Apply what is to be done now, or a `plan` that was made."""
        return self.run("apply", "-auto-approve", "-input=false", *plan)

    def changes(self) -> dict[str, list[str]]:
        """The actions of a plan by the address of the resource; what stays is left out."""
        return {one["address"]: one["change"]["actions"] for one in self.plan()
                if one["change"]["actions"] != ["no-op"]}


def mirror(folder: Path) -> Path:
    """Settings of Terraform with which `init` finds the provider of this checkout."""
    from muster_provider.install import install

    install(folder / "mirror")
    settings = folder / "settings.tfrc"
    settings.write_text(f'provider_installation {{\n  filesystem_mirror {{ path = "{folder / "mirror"}" }}\n}}\n')
    return settings
