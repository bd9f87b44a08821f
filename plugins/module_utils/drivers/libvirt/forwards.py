"""Ports on the loopback address that lead into a guest with user-mode networking.

libvirt 9.0 has no element for them, so they are set through QEMU's monitor after each start; the ownership mark keeps
which they are. QEMU's own list is what counts when one asks which are there.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from typing import Any

from ..driver import Conflict, Failed
from .connection import told

try:
    import libvirt_qemu
except ImportError:
    libvirt_qemu = None

Ports = dict[str, dict[int, int]]  # NIC name → guest port → loopback port
_HUB = re.compile(r"\(host(?:ua-)?([a-z0-9-]+)\)")
_RULE = re.compile(r"TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+(\d+)")


def is_free(port: int) -> bool:
    """Whether nothing listens on the loopback port `port` of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A loopback port of this machine that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wanted(nics: list[dict[str, Any]]) -> dict[str, dict[int, int | None]]:
    """The forwards that a spec asks for; None is any free port."""
    return {nic["name"]: {rule["guest"]: rule.get("host") for rule in nic.get("forwards") or ()} for nic in nics}


def choose(
    nics: list[dict[str, Any]],
    known: Mapping[str, Mapping[int, int]],
    site: str,
    vm: str,
    running: Mapping[str, Mapping[int, int]] | None = None,
) -> Ports:
    """A loopback port for each forward: the one asked for, else the one had before if it is free, else a free one.

    Raises Conflict where a port that was asked for is taken; `running` are the ones that this VM itself holds now.
    """
    chosen: Ports = {}
    used = {rule["host"] for nic in nics for rule in nic.get("forwards") or () if rule.get("host")}
    for nic, rules in wanted(nics).items():
        for guest, host in rules.items():
            held = (running or {}).get(nic, {}).get(guest)
            port = host or held or known.get(nic, {}).get(guest)
            if host and host != held and not is_free(host):
                raise Conflict(
                    f"port {host} on the loopback address is taken, and the fleet file asks for it as the "
                    f"forward to port {guest}; the VM was not started",
                    site=site,
                    vm=vm,
                    todo=f"Stop what listens there (ss -ltnp 'sport = :{host}') or name another port",
                )
            if host and any(host in rules.values() for rules in chosen.values()):
                raise Conflict(
                    f"port {host} on the loopback address is asked for twice; the VM was not started",
                    site=site,
                    vm=vm,
                    todo="Name another port for one of the two forwards",
                )
            while not port or (port != host and (port in used or (port != held and not is_free(port)))):
                port = free_port()
            used.add(port)
            chosen.setdefault(nic, {})[guest] = port
    return chosen


def monitor(domain: Any, site: str, command: str) -> str:
    """One command to QEMU's monitor; its answer."""
    with told(site, domain.name(), f"ask QEMU's monitor for '{command.split()[0]}'"):
        return str(libvirt_qemu.qemuMonitorCommand(domain, command, libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP))


def present(domain: Any, site: str) -> Ports:
    """The forwards that a running domain has."""
    ports: Ports = {}
    nic = ""
    for line in monitor(domain, site, "info usernet").splitlines():
        hub, rule = _HUB.search(line), _RULE.search(line)
        if hub:
            nic = hub.group(1)
        elif rule:
            ports.setdefault(nic, {})[int(rule.group(2))] = int(rule.group(1))
    return ports


def ensure(domain: Any, site: str, ports: Ports) -> None:
    """Set what is missing of `ports` on a running domain, and take away what is not among them."""
    there = present(domain, site)
    for nic, rules in there.items():
        for guest, host in rules.items():
            if ports.get(nic, {}).get(guest) != host:
                monitor(domain, site, f"hostfwd_remove hostua-{nic} tcp:127.0.0.1:{host}")
    for nic, rules in ports.items():
        for guest, host in rules.items():
            if there.get(nic, {}).get(guest) != host:
                answer = monitor(domain, site, f"hostfwd_add hostua-{nic} tcp:127.0.0.1:{host}-:{guest}").strip()
                if answer:
                    raise Failed(
                        f"QEMU could not forward the loopback port {host} to port {guest}: {answer[:200]}",
                        site=site,
                        vm=domain.name(),
                        todo="Free the port, then run again",
                    )
