"""Apply a plan: exactly its steps, what is gated behind the deadman."""

from __future__ import annotations

import os
from dataclasses import dataclass

from . import gate
from .host import GuestError, Host
from .plan import Part, Plan

ORIGINALS = "/var/lib/muster/original"  # readable by root alone, as some of what lies there


@dataclass(frozen=True)
class Applied:
    """`gate` is the id that the controller confirms after it came in anew; None where nothing was gated."""

    gate: str | None
    reboot: bool


def apply(plan: Plan, host: Host, seconds: int) -> Applied:
    """Run the steps of `plan`. `seconds` is how long the guest waits for the confirmation of what is gated.

    Raises GuestError; gated files are then put back at once, ungated parts that were done stay done.
    """
    gated = [part for part in plan.parts if part.gated]
    if gated and not host.live:
        raise GuestError("No systemd runs in the guest, so nothing could put the settings back if they locked us "
                         "out. Nothing was changed.")
    if gated and gate.status(host) is not None:
        raise GuestError("Settings of an earlier run still wait for their confirmation in the guest. Nothing was "
                         "changed. Wait until the guest puts them back, or confirm them, then run again.")
    plain = [part for part in plan.parts if not part.gated]
    for part in plain:
        _run(part, host)
    _reload(plain, host)
    identity = _apply_gated(gated, host, seconds) if gated else None
    return Applied(identity, any(part.reboot for part in plan.parts))


def keep_originals(paths: list[str], host: Host) -> None:
    """Copy files below `ORIGINALS` before they are written for the first time; a copy that is there is kept."""
    for path in paths:
        copy = ORIGINALS + path
        if host.exists(path) and not host.exists(copy):
            os.makedirs(host.path(ORIGINALS), mode=0o700, exist_ok=True)
            os.makedirs(os.path.dirname(host.path(copy)), exist_ok=True)
            host.copy(path, copy)


def _run(part: Part, host: Host) -> None:
    for step in part.steps:
        try:
            keep_originals(step.touches(), host)
            step.run(host)
        except OSError as error:
            raise GuestError(f"{part.kind}: {error.strerror} ({error.filename}). What was applied before it stays; "
                             "run again when this is mended.") from error


def _reload(parts: list[Part], host: Host) -> None:
    commands: list[tuple[str, ...]] = list(dict.fromkeys(argv for part in parts for argv in part.reload))
    if not host.live:
        return
    for argv in commands:
        host.must(argv, 120)


def _apply_gated(parts: list[Part], host: Host, seconds: int) -> str:
    paths = [path for part in parts for step in part.steps for path in step.touches()]
    reload = list(dict.fromkeys(argv for part in parts for argv in part.reload))
    identity = gate.arm(host, paths, reload, seconds)
    try:
        for part in parts:
            _run(part, host)
        for argv in dict.fromkeys(argv for part in parts for argv in part.validate):
            host.must(argv, 60)
        _reload(parts, host)
    except BaseException as error:
        gate.revert(host)
        if isinstance(error, GuestError):
            raise GuestError(f"{error} The files for logging in were put back as they were.") from error
        raise
    return identity
