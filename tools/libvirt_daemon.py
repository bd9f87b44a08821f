"""``python3 -m tools.libvirt_daemon start|stop|status``: a libvirt that answers.

Where a service manager runs, libvirt is its business. Where none runs (a container), root starts ``virtlogd`` and
``libvirtd`` itself and records their process ids under ``build/libvirt``; ``stop`` ends exactly those. Others than root
use ``qemu:///session``, whose daemon the client starts by itself and which ends by itself.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tools.errors import ToolError

BUILD = Path(__file__).resolve().parent.parent / "build" / "libvirt"
DAEMONS = ("virtlogd", "libvirtd")
PATIENCE = 30.0  # seconds until libvirt must have answered
KVM = Path("/dev/kvm")
SBIN = os.pathsep.join(("/usr/local/sbin", "/usr/sbin", "/sbin"))


def uri() -> str:
    """The libvirt of this user."""
    return "qemu:///system" if os.geteuid() == 0 else "qemu:///session"


def answers() -> str:
    """ "" where libvirt answers, else what it said instead."""
    try:
        argv = ["virsh", "--connect", uri(), "--quiet", "uri"]
        answer = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except FileNotFoundError:
        return "virsh is not installed"
    except subprocess.TimeoutExpired:
        return f"no answer within {PATIENCE:.0f} s"
    return "" if answer.returncode == 0 else answer.stderr.strip().replace("\n", " ")


def start(build: Path = BUILD) -> bool:
    """Make libvirt answer; True where this call started it. Raises ToolError."""
    if os.geteuid() == 0:
        _open_kvm(KVM)
    problem = answers()
    if not problem:
        return False
    if os.geteuid() != 0:
        raise ToolError(f"libvirt's session daemon does not start ({problem}); run 'make install', then try again.")
    if Path("/run/systemd/system").is_dir():
        subprocess.run(["systemctl", "start", "libvirtd.service"], check=False)
    else:
        for name in DAEMONS:
            _launch(name, build)
    deadline = time.monotonic() + PATIENCE
    while problem := answers():
        if time.monotonic() > deadline:
            raise ToolError(f"libvirt does not answer at {uri()}: {problem}. Its log says why; then run this again.")
        time.sleep(0.2)
    return (build / "started.json").exists()


def stop(build: Path = BUILD) -> list[str]:
    """End the daemons that `start` recorded, and no other; return their names. Guests go on running."""
    record = build / "started.json"
    if not record.exists():
        return []
    stopped = []
    for name, (pid, born) in reversed(json.loads(record.read_text(encoding="utf-8")).items()):
        if _born(pid) == born:
            os.kill(pid, signal.SIGTERM)
            _await_end(pid, born)
            stopped.append(name)
    record.unlink()
    return stopped


def _open_kvm(device: Path) -> None:
    """Give the group `kvm` a device that is root's alone, as udev does where it runs.

    libvirt 9.0 asks QEMU as root and then looks whether its own user may open the device. Where the two disagree it
    takes what it knows of QEMU for outdated, at each question anew: defining a VM takes minutes.
    """
    try:
        if device.stat().st_mode & 0o077 == 0:
            shutil.chown(device, group="kvm")
            device.chmod(0o660)
    except (OSError, LookupError):  # there is none, or no such group
        return


def _launch(name: str, build: Path) -> None:
    """Start one daemon in the background and record its process id with its birth, which no later process shares."""
    program = shutil.which(name, path=os.environ.get("PATH", "") + os.pathsep + SBIN)
    if not program:
        raise ToolError(f"{name} is not installed; run 'make install', which installs it.")
    if _running(name):
        return
    build.mkdir(parents=True, exist_ok=True)
    pidfile = build / f"{name}.pid"
    done = subprocess.run([program, "-d", "-p", str(pidfile)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolError(f"{name} did not start: {done.stderr.strip() or f'exit code {done.returncode}'}")
    pid = int(pidfile.read_text(encoding="ascii"))
    record = build / "started.json"
    started = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    started[name] = (pid, _born(pid))
    record.write_text(json.dumps(started), encoding="utf-8")


def _running(name: str) -> bool:
    """Whether this user runs such a process: another user's session daemon serves that user alone."""
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            if comm.read_text(encoding="utf-8").strip() == name and comm.stat().st_uid == os.geteuid():
                return True
        except OSError:  # it ended while we looked
            continue
    return False


def _born(pid: int) -> str:
    """When a process started, in clock ticks since boot; "" where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _await_end(pid: int, born: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while _born(pid) == born:
        if time.monotonic() > deadline:
            raise ToolError(f"Process {pid} did not end within {PATIENCE:.0f} s of being asked to; end it by hand.")
        time.sleep(0.1)


def main(arguments: list[str]) -> int:
    try:
        match arguments:
            case ["start"]:
                print(f"libvirt: {'started' if start() else 'answers'} at {uri()}")
            case ["stop"]:
                print(f"libvirt: stopped {', '.join(stop()) or 'nothing: nothing was started here'}")
            case ["status"]:
                problem = answers()
                print(f"libvirt: {problem or 'answers'} at {uri()}")
                return 2 if problem else 0
            case _:
                print("usage: python3 -m tools.libvirt_daemon start|stop|status", file=sys.stderr)
                return 2
    except ToolError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
