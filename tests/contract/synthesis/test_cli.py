"""`diff`, `deploy` and `destroy` of the CDK's own command line from npm, over real QEMU: `cdktf`, which `make contract`
installs where there is npm, and `cdktn` where it is on the path, for it wants Node.js 22.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cdk_apps import CHECKOUT, LIBRARIES, mirror, needs_node
from libvirt_site import real
from sites import World
from test_app import GOOD

pytestmark = [real, needs_node]


@pytest.mark.parametrize("program", LIBRARIES)
def test_diff_deploy_destroy(world: World, tmp_path: Path, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = CHECKOUT / "build" / "npm" / "node_modules" / ".bin"
    monkeypatch.setenv("PATH", str(ours), prepend=os.pathsep)
    if shutil.which(program) is None or subprocess.call([program, "--version"], stderr=subprocess.DEVNULL) != 0:
        pytest.skip(f"there is no {program} of npm on the path, or it wants a newer Node.js")
    site = {"platform": "libvirt", **world.access.options}
    (tmp_path / "fleet.yml").write_text(json.dumps({
        "fleet": world.fleet, "sites": {"lab": site}, "rules": ["muster/baseline"],
        "vms": {world.names: {**GOOD, "disks": [{"size": "1 MiB"}], "count": 2}}}))
    (tmp_path / "cdktf.json").write_text(json.dumps({
        "language": "python", "app": f"{sys.executable} -m muster_cdktf.main fleet.yml", "sendCrashReports": "false"}))
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": str(mirror(tmp_path)), "CHECKPOINT_DISABLE": "1", "CI": "1",
                   "DISABLE_VERSION_CHECK": "1"}

    def cdk(*words: str) -> str:
        done = subprocess.run([program, *words, "--skip-provider-lock"], cwd=tmp_path, env=environment, text=True,
                              capture_output=True, timeout=300, check=False)
        said = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", done.stdout + done.stderr)
        assert done.returncode == 0, said[-5000:]
        return said

    def there() -> list[str]:
        return sorted(vm.name for vm in world.driver.list() if vm.name.startswith(world.names))

    assert "Plan: 2 to add, 0 to change, 0 to destroy" in cdk("diff", "lab")
    assert there() == []
    cdk("deploy", "lab", "--auto-approve")
    assert there() == [f"{world.names}-1", f"{world.names}-2"]
    assert (tmp_path / "terraform.lab.tfstate").exists()
    assert "No changes" in cdk("diff", "lab")
    cdk("destroy", "lab", "--auto-approve")
    assert there() == []
