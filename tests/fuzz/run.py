"""``python -m tests.fuzz.run [SECONDS] [TARGET…]``: coverage-guided fuzzing of each target, one after the other.

Needs the extra ``fuzz`` (Atheris). New inputs lie in ``build/fuzz/<target>``; what breaks a target lies in
``build/fuzz/found`` and is printed as a line for ``tests/fuzz/corpus/<target>.txt``. Exit code 1 when something broke.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from .targets import TARGETS, corpus, target

CHECKOUT = Path(__file__).resolve().parents[2]
BUILD = CHECKOUT / "build" / "fuzz"
LIMITS = ("-timeout=10", "-rss_limit_mb=2000", "-print_final_stats=1", "-verbosity=0", "-close_fd_mask=0")


def main(arguments: list[str]) -> int:
    seconds = int(arguments[0]) if arguments else 20
    broken = [name for name in arguments[1:] or TARGETS if not _fuzzed(name, seconds)]
    print(f"fuzz: {'broken: ' + ', '.join(broken) if broken else 'nothing broke'}")
    return 1 if broken else 0


def _fuzzed(name: str, seconds: int) -> bool:
    """Fuzz one target for `seconds`; whether it held."""
    folder, found = BUILD / name, BUILD / "found"
    for one in (folder, found):
        one.mkdir(parents=True, exist_ok=True)
    for data in corpus(name):
        (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    argv = [sys.executable, "-m", __spec__.name, "--one", name, f"-max_total_time={seconds}",
            f"-max_len={max(600, *map(len, corpus(name)), 0)}", f"-artifact_prefix={found}/{name}-", *LIMITS,
            str(folder)]
    done = subprocess.run(argv, cwd=CHECKOUT, capture_output=True, text=True, errors="replace", check=False)
    lines = done.stderr.splitlines() + done.stdout.splitlines()
    runs = next((line.split()[-1] for line in lines if line.startswith("stat::number_of_executed_units")), "0")
    print(f"{name}: {runs} runs in {seconds} s, exit code {done.returncode}", flush=True)
    if done.returncode == 0:
        return True
    print("\n".join(line for line in lines[-40:] if "stat::" not in line))
    artifact = next((line.rpartition(" ")[2] for line in lines if "Test unit written to" in line), "")
    if artifact:
        print(f"keep it as a line of tests/fuzz/corpus/{name}.txt:\n{Path(artifact).read_bytes()!r}")
    return False


def _one(arguments: list[str]) -> None:
    """Fuzz one target in this process; the rest of the arguments are libFuzzer's."""
    import atheris

    sys.path.insert(0, str(CHECKOUT / "tests" / "unit" / "terraform"))  # whose cases are the plans that are changed
    name = arguments[0]
    with atheris.instrument_imports(include=["muster"], enable_loader_override=False):
        run = target(name)
    atheris.Setup([sys.argv[0], *arguments[1:]], run)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        _one(sys.argv[2:])
    else:
        sys.exit(main(sys.argv[1:]))
