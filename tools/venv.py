"""``python3 -m tools.venv``: ``.venv`` with Muster (editable) and all that it, its tests and its checks need.

Exit code 0: ready; 2: a few lines say what pip said; the whole is in ``build/install.log``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tools.errors import ToolError
from tools.progress import Progress, run

CHECKOUT = Path(__file__).resolve().parent.parent
VENV = CHECKOUT / ".venv"
PYTHON = VENV / "bin" / "python"
LOG = CHECKOUT / "build" / "install.log"
EXTRAS = "libvirt,proxmox,vsphere,vault,test,lint"


def works() -> bool:
    """Whether there is an environment with pip; an interrupted creation leaves one without."""
    argv = [str(PYTHON), "-m", "pip", "--version"]
    return PYTHON.exists() and subprocess.run(argv, capture_output=True, check=False).returncode == 0


def main() -> int:
    progress = Progress("preparing .venv")
    LOG.parent.mkdir(parents=True, exist_ok=True)
    LOG.write_text("", encoding="utf-8")
    try:
        if not works():
            with progress.during("creating it"):
                run([sys.executable, "-m", "venv", "--clear", str(VENV)], LOG)
        with progress.during("installing Muster and what it needs from the Python package index"):
            run([str(PYTHON), "-m", "pip", "install", "--no-input", "--editable", f"{CHECKOUT}[{EXTRAS}]"], LOG)
    except ToolError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("preparing .venv: interrupted; the next run carries on.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
