"""The field table: every field of a VM, declared once, in the form of Ansible's ``argument_spec``.

From it come the options of the modules, the validation of the fleet file, the JSON Schema, the Terraform schema and
the reference page. A new field is one entry here (and a line in each driver that can do it).

Beside Ansible's own keys an entry bears ``description`` and ``muster``:

unit
    ``size`` (bytes) or ``duration`` (seconds): the text is parsed by `units` into an int.
min, max, pattern, max_length, max_items
    Bounds of the normal form. A size or an int with ``min=0`` may be 0.
change
    How a change of the field can be done at best: ``live``, ``power_cycle``, ``replace`` or ``mark`` (it lives in the
    ownership mark alone and never touches hardware). A driver may say that it needs more, never less.
key
    For a list of dicts: the field that identifies an item, so that an item is changed and not replaced.
names
    For a list of dicts with names: the name of the first item and of item n, where none was given.
grows
    True for a size that can only grow.
foreign
    True for a list whose items stay where nobody named them: such a disk may be somebody else's data.
one_of
    For a dict: exactly one of these fields must be given.
keys, values
    For a dict whose keys are free (tags, images): the pattern of a key, and the fields of a value (text if absent).
default
    What an absent value means in normal form (Ansible's own ``default`` is not used: absent must stay absent).
told
    True for where something is: a site that has it tells it, so what it does not tell is not compared. Of what only a
    replacement can change this holds always.
observed
    False for what no platform can report back; it is then compared with the ownership mark.
"""

from __future__ import annotations

from typing import Any

from .patterns import CPUSET, FOLDER, IMAGE, LABEL, MAC, NAME, PLACE, TIME, URL_PATH, ZONE

Field = dict[str, Any]

_OURS = ("unit", "min", "max", "pattern", "max_length", "max_items", "key", "names", "grows", "foreign", "one_of",
         "keys", "values", "default", "observed", "told", "example")


def field(type_: str, description: str, change: str = "live", **keys: Any) -> Field:
    """One entry: Ansible's keys stay at the top, ours go under ``muster``."""
    ours = {key: keys.pop(key) for key in _OURS if key in keys}
    return {"type": type_, "description": description, **keys, "muster": {"change": change, **ours}}


def compared(entry: Field, have: Any) -> bool:
    """Whether what is asked for is held against `have`, which a site tells: None is nothing that it told."""
    return have is not None or not (entry["muster"]["change"] == "replace" or entry["muster"].get("told"))


DISK_FIELDS: dict[str, Field] = {
    "name": field("str", "Name of the disk within the VM. The first disk is C(root), the others C(disk1), C(disk2)…",
                  "replace", pattern=NAME),
    "size": field("str", "Virtual size. A disk grows, it never shrinks.", unit="size", required=True, grows=True,
                  min=1 << 20, max=64 << 40, example="10 GiB"),
    "pool": field("str", "Storage pool (libvirt), datastore (vSphere) or storage (Proxmox). The site's own if unset.",
                  pattern=PLACE, told=True),
    "tier": field("str", "Storage tier, a name that the site maps to a pool or a storage policy.",
                  pattern=LABEL),
    "iops_limit": field("int", "Limit of I/O operations per second, reads and writes together. 0 is no limit.",
                        min=0, max=10_000_000, default=0),
    "bandwidth_limit": field("str", "Limit of throughput per second, reads and writes together. 0 is no limit.",
                             unit="size", min=0, default=0, example="100 MiB"),
    "encrypted": field("bool", "Whether the disk must be encrypted at rest.", "replace", default=False),
}

FORWARD_FIELDS: dict[str, Field] = {
    "guest": field("int", "Port inside the guest.", min=1, max=65535, required=True),
    "host": field("int", "Port on the loopback address of the host. A free one is taken if unset.", min=1, max=65535),
}

NIC_FIELDS: dict[str, Field] = {
    "name": field("str", "Name of the NIC within the VM: C(nic0), C(nic1)… if unset.", "replace", pattern=NAME),
    "network": field("str", "Network of the site. C(user) is user-mode networking: no bridge, no privilege, ports "
                     "forwarded from the loopback address.", pattern=PLACE, required=True),
    "vlan": field("int", "VLAN id.", min=1, max=4094),
    "mac": field("str", "MAC address. Derived from the VM's identity if unset.", "power_cycle", pattern=MAC),
    "bandwidth_limit": field("str", "Limit of throughput per second, each way. 0 is no limit.", unit="size", min=0,
                             default=0, example="100 MiB"),
    "connected": field("bool", "Whether the link is up.", default=True),
    "forwards": field("list", "Ports forwarded from the loopback address, for user-mode networking.", "live",
                      elements="dict", options=FORWARD_FIELDS, key="guest"),
}

KEEP_FIELDS: dict[str, Field] = {
    name: field("int", f"Restore points to keep: {what}.", "mark", min=0, max=10_000)
    for name, what in (("last", "the newest ones"), ("daily", "one for each of so many days"),
                       ("weekly", "one for each of so many weeks"), ("monthly", "one for each of so many months"))
}

PROTECTION_FIELDS: dict[str, Field] = {
    "rpo": field("str", "Recovery point objective: how much work may be lost at most.", "mark", unit="duration",
                 example="24h"),
    "rto": field("str", "Recovery time objective: how long a recovery may take at most.", "mark", unit="duration",
                 example="15m"),
    "keep": field("dict", "Restore points to keep.", "mark", options=KEEP_FIELDS),
    "deletion": field("bool", "Protects the VM from deletion and replacement, whoever asks.", "mark", default=False),
}

SCHEDULE_FIELDS: dict[str, Field] = {
    "timezone": field("str", "IANA time zone of the hours.", "mark", pattern=ZONE, max_length=64,
                      example="Europe/Berlin"),
    "start": field("str", "Hour at which the VM is started.", "mark", pattern=TIME, example="07:00"),
    "stop": field("str", "Hour at which the VM is shut down.", "mark", pattern=TIME, example="19:00"),
    "days": field("list", "Days on which the VM runs.", "mark", elements="str",
                  choices=["mon", "tue", "wed", "thu", "fri", "sat", "sun"]),
}

HEALTH_FIELDS: dict[str, Field] = {
    "http": field("dict", "An HTTP request that must be answered.", "mark", options={
        "port": field("int", "Port inside the guest.", "mark", min=1, max=65535, default=80),
        "path": field("str", "Path of the request.", "mark", max_length=1024, pattern=URL_PATH, default="/"),
        "status": field("int", "Status that is expected.", "mark", min=100, max=599, default=200),
        "contains": field("str", "Text that the body must contain.", "mark", max_length=1024),
    }),
    "tcp": field("dict", "A TCP port that must accept a connection.", "mark", options={
        "port": field("int", "Port inside the guest.", "mark", min=1, max=65535, required=True),
    }),
    "command": field("dict", "A command inside the guest that must exit with 0.", "mark", options={
        "run": field("list", "Program and arguments; no shell.", "mark", elements="str", required=True),
        "contains": field("str", "Text that its output must contain.", "mark", max_length=1024),
    }),
}

VM_FIELDS: dict[str, Field] = {
    "image": field("str", "Image that the first disk is made from, by its name at the site.", "replace", pattern=IMAGE),
    "profile": field("str", "Profile of the workload: C(web), C(database), C(batch), C(development)… Rules ask for it.",
                     "mark", pattern=LABEL),
    "cpus": field("int", "Number of virtual CPUs.", min=1, max=1024, example=2),
    "cpu_topology": field("dict", "Topology that the guest sees. Its product equals I(cpus).", "power_cycle", options={
        "sockets": field("int", "CPU sockets.", "power_cycle", min=1, max=64, required=True),
        "cores": field("int", "Cores of a socket.", "power_cycle", min=1, max=256, required=True),
        "threads": field("int", "Threads of a core.", "power_cycle", min=1, max=8, default=1),
    }),
    "cpu_pinning": field("str", "CPUs of the host that the VM may run on.", pattern=CPUSET, example="0-3,8"),
    "cpu_reservation": field("int", "Share of a CPU that is kept for each virtual CPU, in percent.", min=0, max=100),
    "cpu_limit": field("int", "Share of a CPU that each virtual CPU may use at most, in percent. 0 is no limit.", min=0,
                       max=100, default=0),
    "memory": field("str", "Memory.", unit="size", min=16 << 20, max=24 << 40, example="2 GiB"),
    "memory_minimum": field("str", "Memory below which the balloon never shrinks the guest.", unit="size",
                            min=16 << 20),
    "memory_reservation": field("str", "Memory that the host guarantees. 0 is none.", unit="size", min=0, default=0),
    "memory_limit": field("str", "Memory of the host that the VM may use at most. 0 is no limit.", unit="size", min=0,
                          default=0),
    "disks": field("list", "Disks, the root disk first.", elements="dict", options=DISK_FIELDS, key="name",
                   names=("root", "disk{}"), foreign=True),
    "nics": field("list", "NICs.", elements="dict", options=NIC_FIELDS,
                  key="name", names=("nic0", "nic{}")),
    "firmware": field("str", "Firmware.", "replace", choices=["bios", "uefi"]),
    "secure_boot": field("bool", "Secure boot; needs I(firmware=uefi).", "replace"),
    "zone": field("str", "Availability zone or cluster.", pattern=PLACE, told=True),
    "host": field("str", "Host that the VM must run on.", pattern=PLACE, told=True),
    "resource_pool": field("str", "Resource pool: its path below the cluster's own (vSphere), or a pool of the cluster "
                           "(Proxmox). The site's own if unset.", pattern=FOLDER, told=True, example="gold/web"),
    "folder": field("str", "Folder of the VM: its path below the datacenter's folder of VMs. The site's own if unset.",
                    pattern=FOLDER, told=True, example="shop/web"),
    "anti_affinity": field("str", "Group whose VMs must not share a host.", pattern=LABEL),
    "ha_priority": field("str", "Priority at which high availability restarts the VM.",
                         choices=["disabled", "low", "medium", "high"]),
    "tags": field("dict", "Tags: names and values, both text.", "mark", keys=LABEL, max_length=256, max_items=64),
    "protection": field("dict", "How the VM is protected.", "mark", options=PROTECTION_FIELDS),
    "schedule": field("dict", "Hours in which the VM runs.", "mark", options=SCHEDULE_FIELDS),
    "health": field("list", "Checks that tell whether the VM serves. Each item is one check.", "mark",
                    elements="dict", options=HEALTH_FIELDS, one_of=("http", "tcp", "command")),
    "power": field("str", "Whether the VM runs.", choices=["on", "off"]),
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
