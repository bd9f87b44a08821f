"""The guest past its network: QEMU's guest agent, over Proxmox's API. What it says is hostile: bounded, and checked."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Sequence
from typing import Any

from ..driver import Denied, DriverError, Executed, Failed, Progress, Unreachable
from .connection import Api
from .tasks import Tasks

_OUTPUT_LIMIT = 1 << 20
_POLL = 0.5
_MOST = 64  # addresses


def addresses(api: Api, path: str, vm: str) -> list[str]:
    """The addresses by which the guest can be reached, IPv4 first; none where no agent answers."""
    try:
        found = api.get(f"{path}/agent/network-get-interfaces", "ask for the guest's addresses", vm)
    except DriverError:
        return []  # no agent, or none yet: that is no fault of the VM
    known: list[Any] = []
    for interface in _list(found.get("result") if isinstance(found, dict) else None):
        for entry in _list(interface.get("ip-addresses") if isinstance(interface, dict) else None):
            try:
                address = ipaddress.ip_address(str(entry.get("ip-address", ""))[:64])
            except (ValueError, AttributeError):
                continue
            if not (address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified):
                known.append(address)
    return [str(address) for address in sorted(known[:_MOST], key=lambda address: address.version)]


def _list(value: Any) -> list[Any]:
    return value[:_MOST] if isinstance(value, list) else []


def answers(api: Api, path: str, vm: str) -> bool:
    """Whether the agent answers now. Raises Denied: a right that is missing stays missing."""
    try:
        api.post(f"{path}/agent/ping", "ask the guest agent", vm)
    except Denied:
        raise
    except DriverError:
        return False
    return True


def execute(api: Api, path: str, vm: str, argv: Sequence[str], timeout: float) -> Executed:
    """Run a program, without a shell. Raises Unreachable where the agent does not answer, and where the program has not
    ended after `timeout` seconds; it may then still be running."""
    doing = f"run '{argv[0]}' in the guest"
    try:
        answer = api.post(f"{path}/agent/exec", doing, vm, command=list(argv))
        pid = int(answer["pid"])
    except Failed as error:
        raise Unreachable(
            error.what, site=error.site, vm=vm, todo="Check that qemu-guest-agent runs in the guest"
        ) from None
    except (KeyError, TypeError, ValueError) as error:
        raise Failed(f"unable to {doing}: the agent told no process", site=api.site, vm=vm) from error
    end = time.monotonic() + timeout
    while True:
        status = api.get(f"{path}/agent/exec-status", doing, vm, pid=pid)
        if not isinstance(status, dict):
            raise Failed(f"unable to {doing}: the agent told no status", site=api.site, vm=vm)
        if status.get("exited"):
            break
        if time.monotonic() > end:
            raise Unreachable(
                f"'{argv[0]}' has not ended in the guest after {timeout:.0f} s; it may still run",
                site=api.site,
                vm=vm,
                todo="Look into the guest",
            )
        time.sleep(0.1)
    output = "".join(str(status.get(key) or "")[:_OUTPUT_LIMIT] for key in ("out-data", "err-data"))
    try:
        # A program that a signal ended has no exit code.
        return Executed(int(status.get("exitcode", 128 + int(status.get("signal") or 0))), output)
    except (TypeError, ValueError) as error:
        raise Failed(f"unable to {doing}: the agent told no exit code", site=api.site, vm=vm) from error


def wait(tasks: Tasks, path: str, vm: str, progress: Progress, stall: float, timeout: float) -> None:
    """Wait until the guest's agent answers. A guest that neither reads nor writes nor computes for `stall` seconds
    makes no progress: Failed."""
    api, began = tasks.api, time.monotonic()
    moved = said = began
    before: tuple[int, ...] = ()
    while not answers(api, path, vm):
        status = tasks.look(f"{path}/status/current", "its start", "look at the guest", vm, progress)
        now = time.monotonic()
        if status.get("status") != "running":
            raise Failed(
                "it went off while it was waited for", site=api.site, vm=vm, todo="Look at its console and its tasks"
            )
        seen = tuple(int(status.get(key) or 0) for key in ("diskread", "diskwrite", "netin", "netout"))
        if seen != before or float(status.get("cpu") or 0) > 0.4:
            before, moved = seen, now
        if now - moved > stall or now - began > timeout:
            what = f"for {stall:.0f} s" if now - moved > stall else f"within {timeout:.0f} s"
            raise Failed(
                f"its guest agent did not answer, and it made no progress {what}",
                site=api.site,
                vm=vm,
                todo="Look at its console; the guest needs qemu-guest-agent",
            )
        if now - said > 10:
            said = now
            progress(f"{vm}: waiting for the guest agent, {now - began:.0f} s")
        time.sleep(_POLL)
