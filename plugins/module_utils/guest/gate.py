"""The deadman: what could lock us out is put back by the guest itself unless somebody who came in anew says "good".

Saved files, a shell script that puts them back and a marker lie in `FOLDER`; a transient timer runs the script after
so many seconds, and a unit that is enabled meanwhile runs it at the next boot, for a timer does not outlive one.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import time
from collections.abc import Sequence
from typing import Any

from .host import GuestError, Host

FOLDER = "/var/lib/muster/gate"
PENDING = FOLDER + "/pending"
REVERTING = FOLDER + "/reverting"
REVERTED = FOLDER + "/reverted"
CONFIRMED = FOLDER + "/confirmed"
TIMER = "muster-gate"
BOOT_UNIT = "/etc/systemd/system/muster-gate-boot.service"
BOOT_WANT = "/etc/systemd/system/multi-user.target.wants/muster-gate-boot.service"

TOO_LATE = ("The confirmation came too late: the guest has put the previous settings back. Run the role again, with a "
            "longer gate if the guest is slow.")
UNIT_TEXT = f"""[Unit]
Description=Muster: put back settings that nobody confirmed before the reboot
ConditionPathExists=|{PENDING}/restore
ConditionPathExists=|{REVERTING}/restore
After=local-fs.target
Before=ssh.service

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'test -d {REVERTING} && exec /bin/sh {REVERTING}/restore boot; exec /bin/sh {PENDING}/restore boot'

[Install]
WantedBy=multi-user.target
"""


def status(host: Host) -> dict[str, Any] | None:
    """The gate that waits for its confirmation, None if none does."""
    text = host.read(PENDING + "/gate.json")
    return None if text is None else json.loads(text)


def script(saved: dict[str, str | None], reload: Sequence[Sequence[str]], folder: str = FOLDER) -> str:
    """The shell script that puts every file back: plain commands, for it must run when all else is broken.

    `saved` maps a path to the name of its copy in the gate's folder, None for a file that was not there. Renaming that
    folder decides who was first, this script or a confirmation; one that was interrupted begins again at the boot.
    """
    lines = ["#!/bin/sh", "# Written by Muster: puts back what was not confirmed in time.", f"cd {folder} || exit 0",
             "test -d reverting || mv pending reverting || exit 0"]
    for path, copy in saved.items():
        if copy is None:
            lines.append(f"rm -f -- {shlex.quote(path)}")
        else:  # rename is atomic: a reader never meets half a file
            temporary = shlex.quote(path + ".muster-restore")
            lines.append(f"cp -p -- reverting/{copy} {temporary} && mv -f -- {temporary} {shlex.quote(path)}")
    lines += ["sync", "rm -rf reverted", "mv reverting reverted", f"rm -f {BOOT_WANT} {BOOT_UNIT}",
              '[ "$1" = boot ] && exit 0']
    lines += [" ".join(shlex.quote(word) for word in argv) for argv in reload]
    return "\n".join(lines) + "\nexit 0\n"


def arm(host: Host, paths: Sequence[str], reload: Sequence[Sequence[str]], seconds: int) -> str:
    """Save `paths`, start the timer; returns the gate's id. Nothing gated may be changed before this returns."""
    if status(host) is not None:
        raise GuestError("Settings of an earlier run still wait for their confirmation in the guest. Nothing was "
                         "changed. Wait until the guest puts them back, or confirm them, then run again.")
    host.run(["systemctl", "stop", TIMER + ".timer"], 30)  # of a run that died before it changed anything
    shutil.rmtree(host.path(PENDING), ignore_errors=True)
    os.makedirs(host.path(PENDING), mode=0o700)
    os.chmod(host.path("/var/lib/muster"), 0o700)
    saved: dict[str, str | None] = {}
    for number, path in enumerate(dict.fromkeys(paths)):
        if host.exists(path):
            host.copy(path, f"{PENDING}/{number}")
            saved[path] = str(number)
        else:
            saved[path] = None
    identity = os.urandom(8).hex()
    host.write(PENDING + "/restore", script(saved, reload), 0o700)
    host.write(BOOT_UNIT, UNIT_TEXT, 0o644)
    os.makedirs(os.path.dirname(host.path(BOOT_WANT)), exist_ok=True)
    if not os.path.lexists(host.path(BOOT_WANT)):
        os.symlink(BOOT_UNIT, host.path(BOOT_WANT))
    os.sync()
    host.run(["systemctl", "reset-failed", TIMER + ".service", TIMER + ".timer"], 30)
    host.must(["systemd-run", f"--on-active={seconds}", "--timer-property=AccuracySec=1s", f"--unit={TIMER}",
               "--description=Muster: put back settings that nobody confirmed", "/bin/sh", PENDING + "/restore"])
    host.write(PENDING + "/gate.json",
               json.dumps({"id": identity, "seconds": seconds, "armed": int(time.time()), "files": list(saved)}), 0o600)
    return identity


def revert(host: Host) -> None:
    """Put everything back now."""
    host.run(["systemctl", "stop", TIMER + ".timer"], 30)
    ran = host.run(["/bin/sh", PENDING + "/restore"], 120)
    if host.exists(PENDING) or host.exists(REVERTING):
        raise GuestError(f"The files for logging in could not be put back: {ran.said()} Keep this session open and run "
                         f"/bin/sh {PENDING}/restore as root.")


def confirm(host: Host, identity: str) -> bool:
    """Disarm the gate `identity`; False where it was confirmed already. Raises GuestError when it has reverted."""
    waiting = status(host)
    if waiting is None:
        reverted = host.read(REVERTED + "/gate.json")
        if reverted is not None and json.loads(reverted).get("id") == identity:
            raise GuestError(TOO_LATE)
        return False
    if waiting.get("id") != identity:
        raise GuestError("Another run's settings wait for their confirmation in the guest, not these. Nothing was "
                         "confirmed; the guest puts them back by itself.")
    shutil.rmtree(host.path(CONFIRMED), ignore_errors=True)
    try:
        os.rename(host.path(PENDING), host.path(CONFIRMED))  # the last one is kept: it holds the original files
    except FileNotFoundError:  # the timer was first
        raise GuestError(TOO_LATE) from None
    host.must(["systemctl", "stop", TIMER + ".timer"], 60)
    for path in (BOOT_WANT, BOOT_UNIT):
        if os.path.lexists(host.path(path)):
            os.unlink(host.path(path))
    return True
