"""The field table: every field of a VM, declared once, in the form of Ansible's ``argument_spec``.

From it come the options of the modules, the validation of the fleet file, the JSON Schema, the Terraform schema and
the reference page. A new field is one entry here (and a line in each driver that can do it).

Beside Ansible's own keys an entry bears ``description`` and ``muster``:

unit
    ``size`` (bytes) or ``duration`` (seconds): the text is parsed by `units` into an int.
min, max, pattern, max_length
    Bounds of the normal form.
change
    How a change of the field can be done at best: ``live``, ``power_cycle``, ``replace`` or ``mark`` (it lives in the
    ownership mark alone and never touches hardware). A driver may say that it needs more, never less.
key
    For a list of dicts: the field that identifies an item, so that an item is changed and not replaced.
default
    What an absent value means in normal form (Ansible's own ``default`` is not used: absent must stay absent).
observed
    False for what no platform can report back; it is then compared with the ownership mark.
"""

from __future__ import annotations

from typing import Any

NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"
LABEL = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
IMAGE = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
MAC = r"^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$"
CPUSET = r"^[0-9]{1,4}(?:-[0-9]{1,4})?(?:,[0-9]{1,4}(?:-[0-9]{1,4})?){0,255}$"
TIME = r"^(?:[01][0-9]|2[0-3]):[0-5][0-9]$"

Field = dict[str, Any]


def _field(type_: str, description: str, change: str = "live", **keys: Any) -> Field:
    """One entry: Ansible's keys stay at the top, ours go under ``muster``."""
    ours = {k: keys.pop(k) for k in ("unit", "min", "max", "pattern", "max_length", "key", "default", "observed",
                                     "example") if k in keys}
    return {"type": type_, "description": description, **keys, "muster": {"change": change, **ours}}


DISK_FIELDS: dict[str, Field] = {
    "name": _field("str", "Name of the disk within the VM. The first disk is C(root), the others C(disk1), C(disk2)…",
                   "replace", pattern=NAME),
    "size": _field("str", "Virtual size. A disk grows, it never shrinks.", unit="size", required=True,
                   min=1 << 20, max=64 << 40, example="10 GiB"),
    "pool": _field("str", "Storage pool (libvirt), datastore (vSphere) or storage (Proxmox). The site's default if unset.",
                   "replace", pattern=LABEL),
    "tier": _field("str", "Storage tier, a name that the site maps to a pool or a storage policy.", "replace",
                   pattern=LABEL),
    "iops_limit": _field("int", "Limit of I/O operations per second, reads and writes together. 0 is no limit.",
                         min=0, max=10_000_000, default=0),
    "bandwidth_limit": _field("str", "Limit of throughput per second, reads and writes together.", unit="size",
                              example="100 MiB"),
    "encrypted": _field("bool", "Whether the disk must be encrypted at rest.", "replace", default=False),
}

FORWARD_FIELDS: dict[str, Field] = {
    "guest": _field("int", "Port inside the guest.", min=1, max=65535, required=True),
    "host": _field("int", "Port on the loopback address of the host. A free one is taken if unset.", min=1, max=65535),
}

NIC_FIELDS: dict[str, Field] = {
    "name": _field("str", "Name of the NIC within the VM: C(nic0), C(nic1)… if unset.", "replace", pattern=NAME),
    "network": _field("str", "Network of the site. C(user) is user-mode networking: no bridge, no privilege, ports "
                      "forwarded from the loopback address.", "power_cycle", pattern=LABEL, required=True),
    "vlan": _field("int", "VLAN id.", "power_cycle", min=1, max=4094),
    "mac": _field("str", "MAC address. Derived from the VM's identity if unset.", "power_cycle", pattern=MAC),
    "bandwidth_limit": _field("str", "Limit of throughput per second, each way.", unit="size", example="100 MiB"),
    "connected": _field("bool", "Whether the link is up.", default=True),
    "forwards": _field("list", "Ports forwarded from the loopback address, for user-mode networking.", "live",
                       elements="dict", options=FORWARD_FIELDS, key="guest"),
}

KEEP_FIELDS: dict[str, Field] = {
    name: _field("int", f"Restore points to keep: {what}.", "mark", min=0, max=10_000)
    for name, what in (("last", "the newest ones"), ("daily", "one for each of so many days"),
                       ("weekly", "one for each of so many weeks"), ("monthly", "one for each of so many months"))
}

PROTECTION_FIELDS: dict[str, Field] = {
    "rpo": _field("str", "Recovery point objective: how much work may be lost at most.", "mark", unit="duration",
                  example="24h"),
    "rto": _field("str", "Recovery time objective: how long a recovery may take at most.", "mark", unit="duration",
                  example="15m"),
    "keep": _field("dict", "Restore points to keep.", "mark", options=KEEP_FIELDS),
    "deletion": _field("bool", "Protects the VM from deletion and replacement, whoever asks.", "mark", default=False),
}

SCHEDULE_FIELDS: dict[str, Field] = {
    "timezone": _field("str", "IANA time zone of the hours.", "mark", max_length=64, example="Europe/Berlin"),
    "on": _field("str", "Hour at which the VM is started.", "mark", pattern=TIME, example="07:00"),
    "off": _field("str", "Hour at which the VM is shut down.", "mark", pattern=TIME, example="19:00"),
    "days": _field("list", "Days on which the VM runs.", "mark", elements="str",
                   choices=["mon", "tue", "wed", "thu", "fri", "sat", "sun"]),
}

HEALTH_FIELDS: dict[str, Field] = {
    "http": _field("dict", "An HTTP request that must be answered.", "mark", options={
        "port": _field("int", "Port inside the guest.", "mark", min=1, max=65535, default=80),
        "path": _field("str", "Path of the request.", "mark", max_length=1024, pattern=r"^/[!-~]*$", default="/"),
        "status": _field("int", "Status that is expected.", "mark", min=100, max=599, default=200),
        "contains": _field("str", "Text that the body must contain.", "mark", max_length=1024),
    }),
    "tcp": _field("dict", "A TCP port that must accept a connection.", "mark", options={
        "port": _field("int", "Port inside the guest.", "mark", min=1, max=65535, required=True),
    }),
    "command": _field("dict", "A command inside the guest that must exit with 0.", "mark", options={
        "run": _field("list", "Program and arguments; no shell.", "mark", elements="str", required=True),
        "contains": _field("str", "Text that its output must contain.", "mark", max_length=1024),
    }),
}

VM_FIELDS: dict[str, Field] = {
    "image": _field("str", "Image that the first disk is made from, by its name at the site.", "replace", pattern=IMAGE),
    "profile": _field("str", "Profile of the workload: C(web), C(database), C(batch), C(development)… Rules ask for it.",
                      "mark", pattern=LABEL),
    "cpus": _field("int", "Number of virtual CPUs.", min=1, max=1024, example=2),
    "cpu_topology": _field("dict", "Topology that the guest sees. Its product must equal I(cpus).", "power_cycle", options={
        "sockets": _field("int", "CPU sockets.", "power_cycle", min=1, max=64, required=True),
        "cores": _field("int", "Cores of a socket.", "power_cycle", min=1, max=256, required=True),
        "threads": _field("int", "Threads of a core.", "power_cycle", min=1, max=8, default=1),
    }),
    "cpu_pinning": _field("str", "CPUs of the host that the VM may run on.", pattern=CPUSET, example="0-3,8"),
    "cpu_reservation": _field("int", "Share of a CPU that is kept for each virtual CPU, in percent.", min=0, max=100),
    "memory": _field("str", "Memory.", unit="size", min=16 << 20, max=24 << 40, example="2 GiB"),
    "memory_minimum": _field("str", "Memory below which the balloon never shrinks the guest.", unit="size",
                             min=16 << 20),
    "memory_reservation": _field("str", "Memory that the host guarantees.", unit="size"),
    "disks": _field("list", "Disks, the root disk first.", elements="dict", options=DISK_FIELDS, key="name"),
    "nics": _field("list", "NICs.", "power_cycle", elements="dict", options=NIC_FIELDS, key="name"),
    "firmware": _field("str", "Firmware.", "replace", choices=["bios", "uefi"]),
    "secure_boot": _field("bool", "Secure boot; needs I(firmware=uefi).", "replace"),
    "zone": _field("str", "Availability zone or cluster.", "replace", pattern=LABEL),
    "host": _field("str", "Host that the VM must run on.", "power_cycle", pattern=LABEL),
    "anti_affinity": _field("str", "Group whose VMs must not share a host.", pattern=LABEL),
    "ha_priority": _field("str", "Priority at which high availability restarts the VM.",
                          choices=["disabled", "low", "medium", "high"]),
    "tags": _field("dict", "Tags: names and values, both text.", "mark"),
    "protection": _field("dict", "How the VM is protected.", "mark", options=PROTECTION_FIELDS),
    "schedule": _field("dict", "Hours in which the VM runs.", "mark", options=SCHEDULE_FIELDS),
    "health": _field("list", "Checks that tell whether the VM serves. Each item is one check.", "mark",
                     elements="dict", options=HEALTH_FIELDS),
    "power": _field("str", "Whether the VM runs.", choices=["on", "off"]),
}


def argument_spec(fields: dict[str, Field] | None = None) -> dict[str, Any]:
    """`fields` (all of a VM's by default) as Ansible's ``argument_spec``: our own keys left out, at every depth."""
    spec: dict[str, Any] = {}
    for name, entry in (VM_FIELDS if fields is None else fields).items():
        option = {key: value for key, value in entry.items() if key not in ("description", "muster", "options")}
        if "options" in entry:
            option["options"] = argument_spec(entry["options"])
        spec[name] = option
    return spec
