"""What a platform sees of a VM's use, at the moment of the list."""

from __future__ import annotations


def of(power: str, cpus: float | None, memory: int, whole: int, uptime: int) -> dict[str, dict[str, float]]:
    """The key ``usage`` of a VM's state, for one that runs: `cpus` is the part of its CPUs that is busy (1 is all of
    them), `memory` the bytes that its memory of `whole` bytes takes, `uptime` seconds."""
    if power != "on":
        return {}
    found: dict[str, float] = {"memory": memory, "uptime": uptime}
    if cpus is not None:
        found["cpu_percent"] = round(100 * cpus, 1)
    if whole:
        found["memory_percent"] = round(100 * memory / whole, 1)
    return {"usage": found}
