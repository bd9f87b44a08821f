"""What must hold between the fields of one VM: the rules that no single field can tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import ModelError, Path
from .units import format_size

Problems = list[ModelError]


def complete(spec: Mapping[str, Any], path: Path, problems: Problems) -> None:
    """Report what does not fit together in `spec`, a whole VM in normal form."""
    for check in (_topology, _memory, _limits, _firmware, _schedule, _keep, _nics):
        check(spec, path, problems)


def _topology(spec: Mapping[str, Any], path: Path, problems: Problems) -> None:
    topology = spec.get("cpu_topology")
    if topology is None:
        return
    here = (*path, "cpu_topology")
    missing = [name for name in ("sockets", "cores") if name not in topology]
    if missing:
        problems.append(ModelError(f"'{missing[0]}' is missing; add it, such as '{missing[0]}: 1'", here))
        return
    product = topology["sockets"] * topology["cores"] * topology.get("threads", 1)
    cpus = spec.get("cpus")
    if cpus is not None and product != cpus:
        problems.append(ModelError(
            f"sockets × cores × threads are {product} and cpus is {cpus}; make them equal", here))


def _memory(spec: Mapping[str, Any], path: Path, problems: Problems) -> None:
    memory = spec.get("memory")
    for name in ("memory_minimum", "memory_reservation"):
        part = spec.get(name)
        if memory is not None and part is not None and part > memory:
            problems.append(ModelError(
                f"{format_size(part)} is more than memory, {format_size(memory)}; lower it or raise memory",
                (*path, name)))


def _limits(spec: Mapping[str, Any], path: Path, problems: Problems) -> None:
    for what, shown in (("cpu", "{} %".format), ("memory", format_size)):
        limit, reserved = spec.get(f"{what}_limit"), spec.get(f"{what}_reservation") or 0
        if limit and limit < reserved:
            other = f"{what}_reservation"
            problems.append(ModelError(
                f"{shown(limit)} is less than {other}, {shown(reserved)}; raise it or lower {other}",
                (*path, f"{what}_limit")))


def _firmware(spec: Mapping[str, Any], path: Path, problems: Problems) -> None:
    if spec.get("secure_boot") and spec.get("firmware") != "uefi":
        problems.append(ModelError("secure boot needs UEFI; add 'firmware: uefi'", (*path, "secure_boot")))


def _schedule(spec: Mapping[str, Any], path: Path, problems: Problems) -> None:
    schedule = spec.get("schedule")
    if schedule is None:
        return
    here = (*path, "schedule")
    missing = [name for name in ("start", "stop") if name not in schedule]
    if len(missing) == 2:
        problems.append(ModelError("no hours are given; add 'start: \"07:00\"' and 'stop: \"19:00\"'", here))
    elif missing:
        problems.append(ModelError(f"'{missing[0]}' is missing; a schedule needs both hours, start and stop", here))
    elif schedule["start"] == schedule["stop"]:
        problems.append(ModelError(
            f"start and stop are both {schedule['start']}; make them differ or remove the schedule", here))


def _keep(spec: Mapping[str, Any], path: Path, problems: Problems) -> None:
    keep = (spec.get("protection") or {}).get("keep")
    if keep is not None and not any(keep.values()):
        problems.append(ModelError("this would keep no restore point at all; keep at least one, such as 'last: 1'",
                                   (*path, "protection", "keep")))


def _nics(spec: Mapping[str, Any], path: Path, problems: Problems) -> None:
    macs: dict[str, int] = {}
    for index, nic in enumerate(spec.get("nics", ())):
        here = (*path, "nics", index)
        if nic.get("forwards") and nic.get("network") != "user":
            problems.append(ModelError(
                f"ports are forwarded on the network 'user' only and this NIC is on '{nic.get('network')}'; remove "
                "'forwards' or change the network", (*here, "forwards")))
        mac = nic.get("mac")
        if mac is None:
            continue
        if mac in macs:
            problems.append(ModelError(f"MAC address {mac} is already that of nics[{macs[mac]}]; choose another",
                                       (*here, "mac")))
        macs.setdefault(mac, index)
