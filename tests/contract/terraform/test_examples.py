"""The examples of the provider's pages: each is a configuration that Terraform takes, and plans."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from muster.model.vm import Mark
from tf_runs import OFF, Terraform

from tools.registry_docs import EXAMPLES

pytestmark = pytest.mark.parametrize("world", ["test"], indirect=True)
FILES = sorted(str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob("*.tf"))


@pytest.mark.parametrize("file", FILES)
def test_an_example(terraform: Terraform, file: str) -> None:
    world, folder = terraform.world, terraform.folder
    shutil.copy(EXAMPLES / file, folder / Path(file).name)
    if not file.startswith("provider/"):  # what its page begins with, over the site of the tests
        terraform.provider = {"fleet": "acme", "packs": ["muster/baseline"], "sites": {"lab": {
            "platform": "libvirt", **world.access.options, "repository": str(folder)}}}
    else:
        terraform.write = lambda: None  # type: ignore[method-assign]
    wanted = replace(world.wanted("web", **OFF), name="web")  # the examples call it so
    there = world.driver.create(wanted, Mark("acme", "web"), None) if file.startswith("data-sources/") else None
    try:
        assert "Success!" in terraform.run("validate")
        if not file.startswith("provider/"):
            terraform.run("plan")
    finally:
        if there is not None:
            world.driver.delete(there)


@pytest.mark.parametrize("kind", ["muster_vm", "muster_vm_snapshot", "muster_restore_point"])
def test_an_import_names_what_the_example_makes(kind: str, terraform: Terraform) -> None:
    words = (EXAMPLES / "resources" / kind / "import.sh").read_text().split()
    assert words[:2] == ["terraform", "import"]
    address, _dot, name = words[2].partition(".")
    assert address == kind
    assert f'resource "{kind}" "{name}"' in (EXAMPLES / "resources" / kind / "resource.tf").read_text()
