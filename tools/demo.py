"""``make demo``: the main job over the example fleet, on real VMs on this machine; ``--clean`` takes it all away again.

All that it makes bears the fleet's mark or lies in ``build/demo`` and in one storage pool; the image cache stays.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP))

from muster.drivers.driver import DriverError  # noqa: E402
from muster.drivers.registry import open_site  # noqa: E402
from muster.model.errors import ModelError  # noqa: E402
from muster.model.fleet import Fleet  # noqa: E402
from muster.operations.drill import REALM  # noqa: E402
from muster.operations.session import read_fleet  # noqa: E402
from muster.policy.summary import table  # noqa: E402

from tools.errors import ToolError  # noqa: E402
from tools.image.build import ensure  # noqa: E402
from tools.progress import Progress  # noqa: E402

DEMO = TOP / "build" / "demo"
FLEET = TOP / "examples" / "acme" / "fleet.yml"
SERVICES = TOP / "examples" / "acme" / "services.yml"
POOL = "muster-demo"


def pool_folder() -> Path:
    """The folder of the demo's storage pool: root's QEMU runs as a user of its own and must reach it."""
    return Path("/var/lib/libvirt/images") / POOL if os.geteuid() == 0 else DEMO / "pool"


def virsh(*words: str, check: bool = True) -> str:
    """What virsh answers. Raises subprocess.CalledProcessError."""
    uri = "qemu:///system" if os.geteuid() == 0 else "qemu:///session"
    result = subprocess.run(["virsh", "--quiet", "--connect", uri, *words], capture_output=True, text=True, check=False)
    if check and result.returncode:
        raise subprocess.CalledProcessError(result.returncode, ["virsh", *words], result.stdout, result.stderr)
    return result.stdout.strip() if result.returncode == 0 else ""


def prepare() -> None:
    """The storage pool, the SSH key and the image, each made only where it is not there."""
    DEMO.mkdir(parents=True, exist_ok=True)
    folder = pool_folder()
    if POOL not in virsh("pool-list", "--all", "--name").split():
        folder.mkdir(parents=True, exist_ok=True)
        virsh("pool-define-as", POOL, "dir", "--target", str(folder))
        print(f"  made the storage pool {POOL} at {folder}")
    if POOL not in virsh("pool-list", "--name").split():
        folder.mkdir(parents=True, exist_ok=True)
        virsh("pool-start", POOL)
    key = DEMO / "ssh" / "id_ed25519"
    if not key.exists():
        key.parent.mkdir(exist_ok=True, mode=0o700)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "muster-demo", "-f", str(key)], check=True)
        print(f"  made the SSH key {key.relative_to(TOP)}")
    image = Path(ensure(Progress("guest image")))
    for suffix in ("", ".sha256"):
        link = DEMO / f"debian-12.qcow2{suffix}"
        link.unlink(missing_ok=True)
        link.symlink_to(f"{image}{suffix}")
    print(f"  the guest image is {image}")


def play(extra: list[str]) -> int:
    """Run the site playbook; its exit code."""
    command = [
        str(TOP / ".venv" / "bin" / "ansible-playbook"),
        str(TOP / "playbooks" / "site.yml"),
        "-i",
        "localhost,",
        "-e",
        f"fleet_file={FLEET}",
        "-e",
        f"services_playbook={SERVICES}",
        "-e",
        f"report_dir={DEMO}",
        "-e",
        '{"fleet_waves": ["100%"]}',  # both at once: there is nothing yet that a canary would protect
        *extra,
    ]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(TOP / "ansible.cfg")}
    return subprocess.run(command, cwd=TOP, env=environment, check=False).returncode


def demo(extra: list[str]) -> int:
    """The whole demo. 0 where every VM is healthy and every recovery was proved."""
    start = time.monotonic()
    print("Preparing the demo:", flush=True)
    prepare()
    report = DEMO / "report.json"
    before = report.stat().st_mtime if report.exists() else 0.0
    print("Running playbooks/site.yml over examples/acme/fleet.yml:", flush=True)
    code = play(extra)
    print()
    if report.exists() and report.stat().st_mtime > before:
        data: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        print(table(data))
        print()
        for drill in data.get("drills", []):
            for check in drill["checks"]:
                if check["outcome"] != "passed":
                    print(f"The drill of {drill['vm']} {drill['outcome']}: {check['name']}: {check['detail']}")
        print(f"Report: {(DEMO / 'report.html').relative_to(TOP)} and {report.relative_to(TOP)}")
    else:
        print(
            "The run ended before its report; what stopped it stands above. Mend it and run make demo again: it "
            "carries on.",
            file=sys.stderr,
        )
    print(f"make demo took {time.monotonic() - start:.0f} s and ended with exit code {code}.")
    return code


def clean() -> int:
    """Take away all that the demo made; 0 where nothing is left."""
    if FLEET.exists() and shutil.which("virsh"):
        _remove_vms(read_fleet(FLEET))
        if POOL in virsh("pool-list", "--all", "--name", check=False).split():
            virsh("pool-destroy", POOL, check=False)
            virsh("pool-undefine", POOL)
    for folder in (pool_folder(), DEMO):
        if folder.exists():
            shutil.rmtree(folder)
            print(f"  removed {folder}")
    left = leftovers()
    for what, found in left.items():
        print(f"  {what:9} {', '.join(found) if found else 'none left'}")
    if any(left.values()):
        print("Something is left, see above; remove it by hand, or run make demo-clean again.", file=sys.stderr)
        return 1
    print("Nothing of the demo is left; the image cache and the logs that libvirt keeps of every VM stay.")
    return 0


def _remove_vms(fleet: Fleet) -> None:
    for site in fleet.sites.values():
        driver = open_site(site)
        try:
            for vm in driver.list():
                if vm.mark is not None and vm.mark.fleet in (fleet.name, fleet.name + REALM):
                    driver.delete(vm)
                    print(f"  removed the VM {vm.name}")
        finally:
            driver.close()


def leftovers() -> dict[str, list[str]]:
    """What is left of the demo, by kind; asked of libvirt, of the process table and of the file system."""
    pools = virsh("pool-list", "--all", "--name", check=False).split()
    names = "|".join(vm.name for vm in read_fleet(FLEET).vms)
    own = re.compile(rf"^(?:{names})(?:-[0-9a-z-]+)?\.[a-z0-9-]+\.[0-9a-f]{{8}}\.(?:qcow2|iso)")
    volumes = [
        f"{pool}/{line.split()[0]}"
        for pool in pools
        for line in virsh("vol-list", pool, check=False).splitlines()
        if line.split() and own.match(line.split()[0])
    ]
    networks = [name for name in virsh("net-list", "--all", "--name", check=False).split() if "muster" in name]
    domains = []
    for uuid in virsh("list", "--all", "--uuid", check=False).split():
        if "muster-demo" in (xml := virsh("dumpxml", uuid, check=False)) or '"fleet": "acme' in xml:
            domains.append(virsh("domname", uuid, check=False) or uuid)
    processes = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if "qemu" in line and POOL in line:
                processes.append(f"{entry.name} {line[:60]}")
    files = [str(folder) for folder in (pool_folder(), DEMO) if folder.exists()]
    return {
        "domains": domains,
        "pools": [name for name in pools if name == POOL],
        "volumes": volumes,
        "networks": networks,
        "processes": processes,
        "files": files,
    }


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clean", action="store_true", help="take away all that the demo made")
    options, extra = parser.parse_known_args()
    try:
        return clean() if options.clean else demo(extra)
    except (DriverError, ModelError, ToolError) as error:
        print(f"demo: {error}", file=sys.stderr)
    except subprocess.CalledProcessError as error:
        words = " ".join(str(error.stderr or error).split())
        print(f"demo: {' '.join(map(str, error.cmd[:3]))} failed: {words}", file=sys.stderr)
    except KeyboardInterrupt:
        print(
            "demo: interrupted. What is made so far stays; run make demo again to carry on, or make demo-clean.",
            file=sys.stderr,
        )
        return 130
    return 2


if __name__ == "__main__":
    raise SystemExit(main())
