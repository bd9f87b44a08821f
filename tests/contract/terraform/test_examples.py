"""The examples of the provider's pages: each is a configuration that Terraform takes, and plans."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from muster.model.vm import Mark
from tf_runs import OFF, Terraform, flat

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


# The guide


GUIDE = EXAMPLES.parents[1] / "docs" / "terraform-provider.md"
BLOCKS = [block for block in re.findall(r"```hcl\n(.*?)```", GUIDE.read_text(), re.DOTALL)
          if not block.startswith("provider_installation")]
RULES = {"pack": "ours", "version": "1", "title": "Ours", "rules": [
    {"id": "ours", "title": "CPUs", "severity": "high", "stages": ["plan"], "expect": "cpus >= `1`", "why": "Work.",
     "tests": {"pass": [{"cpus": 1}], "fail": [{"cpus": 0}]}}]}
SITE = {"platform": "libvirt", "pool": "default-pool", "uri": "test:///default", "repository": "backups"}


@pytest.mark.parametrize("inline", [False, True], ids=["fleet_file", "inline"])
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_guide(terraform: Terraform, number: int, inline: bool) -> None:
    """Each block can be planned after the first one, the settings in the fleet file or in the configuration itself."""
    folder = terraform.folder
    head = BLOCKS[0].replace("qemu:///system", SITE["uri"]).replace('pool = "default"', f'pool = "{SITE["pool"]}"')
    if inline:
        head = re.sub(r"^  fleet_file .*\n", "", head, flags=re.MULTILINE).replace("  # ", "  ")
    (folder / "fleet.yml").write_text(yaml.safe_dump({"fleet": "acme", "sites": {"lab": {
        **SITE, "images": {"debian-12": {"path": "debian-12.qcow2"}}}}}))
    (folder / "debian-12.qcow2").write_text("an image")
    (folder / "our-rules.yml").write_text(yaml.safe_dump(RULES))
    (folder / "head.tf").write_text(head)
    (folder / "main.tf").write_text(BLOCKS[number] if number else "")
    terraform.write = lambda: None  # type: ignore[method-assign]
    assert "Success!" in terraform.run("validate")
    assert "2 to add" in flat(terraform.run("plan", "-target=muster_vm.web"))
