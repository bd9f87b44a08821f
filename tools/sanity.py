"""``ansible-test sanity`` over a copy of the checkout at the place where it must lie, without an ignore file.

ansible-test works only under ``…/ansible_collections/muster/fleet`` and looks at the real path, so a link will not do.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
WORK = CHECKOUT / "build" / "sanity"
COPY = WORK / "ansible_collections" / "muster" / "fleet"
# ansible-test downloads pip's bootstrap script unless it lies in its cache; Python brings one.
BOOTSTRAP = "import ensurepip\n\nensurepip.bootstrap()\n"


def files() -> list[str]:
    """The files of the checkout: tracked ones and new ones that are not ignored."""
    argv = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(argv, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    return sorted(name for name in listed.split("\0") if name and (CHECKOUT / name).is_file())


def copy() -> None:
    """Make the copy equal to the checkout; files that did not change keep their times."""
    wanted = set(files())
    for path in [p for p in COPY.rglob("*") if p.is_file() or p.is_symlink()]:
        name = str(path.relative_to(COPY))
        if name not in wanted and not name.startswith((".git/", "tests/output/")):
            path.unlink()
    for name in wanted:
        target = COPY / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(CHECKOUT / name, target)
    # A repository of its own: the one around it ignores build/, and with it every file that should be looked at.
    subprocess.run(["git", "init", "--quiet"], cwd=COPY, check=True)


def home() -> Path:
    """A home folder of its own, so that nothing is written into the operator's."""
    cache = WORK / "home" / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    spec = find_spec("ansible_test")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(next(iter(spec.submodule_search_locations)))
    source = (folder / "_internal" / "python_requirements.py").read_text(encoding="utf-8")
    for version in re.findall(r"pip='([0-9.]+)'", source):
        (cache / f"get_pip_{version.replace('.', '_')}.py").write_text(BOOTSTRAP, encoding="utf-8")
    return WORK / "home"


def command() -> list[str]:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return [str(Path(sys.executable).parent / "ansible-test"), "sanity", "--local", "--python", python, "--color", "no"]


def main(arguments: list[str]) -> int:
    ignore = [name for name in files() if name.startswith("tests/sanity/ignore")]
    if ignore:
        print(f"There is no ignore file in this project: mend what {', '.join(ignore)} hides.", file=sys.stderr)
        return 2
    COPY.mkdir(parents=True, exist_ok=True)
    copy()
    binaries = f"{Path(sys.executable).parent}{os.pathsep}{Path(sys.executable).resolve().parent}"
    environment = {**os.environ, "HOME": str(home()), "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run([*command(), *arguments], cwd=COPY, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
