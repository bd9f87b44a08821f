"""``python -m muster_provider.install [FOLDER]``: put the provider where Terraform and OpenTofu look for it.

FOLDER is a filesystem mirror; without it, the one of the user, ``~/.terraform.d/plugins``, which needs no setting.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path

from .provider import SOURCE

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def launcher() -> str:
    """A program that starts the provider with the Python that runs this."""
    return (f"#!{sys.executable}\n"
            "import sys\n\n"
            "from muster_provider.main import main\n\n"
            "sys.exit(main())\n")


def install(mirror: Path) -> Path:
    """The path of the program below `mirror`, replaced as a whole where there is one."""
    version = importlib.metadata.version("muster-fleet")
    machine = platform.machine().lower()
    folder = mirror / SOURCE / version / f"{sys.platform}_{_ARCHITECTURES.get(machine, machine)}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"terraform-provider-muster_v{version}"
    fresh = folder / f".{path.name}.{os.getpid()}"
    fresh.write_text(launcher(), encoding="utf-8")
    fresh.chmod(0o755)
    os.replace(fresh, path)
    return path


def main() -> int:
    mirror = Path(sys.argv[1]) if len(sys.argv) > 1 else Path.home() / ".terraform.d" / "plugins"
    path = install(mirror.expanduser().absolute())
    print(f"{path}\nUse it with: terraform {{ required_providers {{ muster = {{ source = \"{SOURCE}\" }} }} }}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
