"""``python3 -m tools.lint``: every check of the sources. Exit code 1 when one of them found something.

ansible-test sanity takes as long as all others together, so it runs beside them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
BUILD = CHECKOUT / "build"
BIN = Path(sys.executable).parent
PACKAGES = {"muster": "plugins/module_utils", "muster_cdktf": "cdktf", "muster_provider": "cdktf/provider"}
STRICT = ("command", "model", "policy", "operations", "terraform")


def programs() -> dict[str, list[str]]:
    """The checks that run one after the other: name and argument list."""
    return {
        "ruff": [str(BIN / "ruff"), "check", "."],
        "mypy": [str(BIN / "mypy"), *[word for room in STRICT for word in ("-p", f"muster.{room}")],
                 "-m", "muster_cdktf.main", "-m", "muster_cdktf.cdk", "-p", "muster_cdktf.stacks",
                 "-p", "muster_provider", "-p", "tools"],
        "import-linter": [str(BIN / "lint-imports"), "--cache-dir", str(BUILD / "import-linter-cache")],
        "ansible-lint": [str(BIN / "ansible-lint"), "--offline", "--profile", "production"],
        "changelog": [str(BIN / "antsibull-changelog"), "lint"],
    }


def environment() -> dict[str, str]:
    """mypy finds the packages by links, as it does not read editable installs."""
    links = BUILD / "mypy"
    links.mkdir(parents=True, exist_ok=True)
    for name, folder in PACKAGES.items():
        link = links / name
        if not link.is_symlink():
            link.symlink_to(CHECKOUT / folder)
    return {**os.environ, "MYPYPATH": str(links), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


def main() -> int:
    began = time.monotonic()
    failed: list[str] = []
    env = environment()
    sanity_log = BUILD / "sanity.log"
    with sanity_log.open("w", encoding="utf-8") as log:
        sanity = subprocess.Popen(
            [sys.executable, "-m", "tools.sanity"], cwd=CHECKOUT, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            for name, argv in programs().items():
                print(f"== {name}", flush=True)
                if subprocess.run(argv, cwd=CHECKOUT, env=env, check=False).returncode != 0:
                    failed.append(name)
            while sanity.poll() is None:
                print(f"== ansible-test sanity, {time.monotonic() - began:.0f} s", flush=True)
                try:
                    sanity.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            sanity.terminate()
            sanity.wait()
    print(sanity_log.read_text(encoding="utf-8", errors="replace"), end="")
    if sanity.returncode != 0:
        failed.append("ansible-test sanity")
    found = f"findings in {', '.join(failed)}" if failed else "all clean"
    print(f"lint: {found}, {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
