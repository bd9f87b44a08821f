"""The schemas of what is kept of a VM, snapshots and restore points, and of its drills."""

from __future__ import annotations

import functools

from tf.schema import Attribute, Schema
from tf.types import Bool, Number

from .schema import VERSION, text, timeouts
from .timeouts import OF_RESTORE_POINT, OF_SNAPSHOT

_SITE = "Site of the VM. May be left out where there is one."


@functools.cache
def snapshot() -> Schema:
    """The resource ``muster_vm_snapshot``."""
    return Schema(
        version=VERSION,
        description="A snapshot of a VM: it lies beside the VM's own disks, undoes a change, and is no backup. "
        "Destroying it deletes the snapshot and never reverts to it.",
        attributes=[
            text("vm", "Name of the VM.", required=True),
            text("name", "Name of the snapshot, one of its kind among those of the VM: the `id` that the module "
                 "`vm_snapshot` knows it by.", required=True),
            text("site", _SITE, optional=True, computed=True),
            text("description", "What it is for. Another description is another snapshot.", optional=True,
                 computed=True),
            Attribute("hold", Bool(), optional=True, computed=True,
                      description="Whether retention by `vm_snapshot` leaves it alone. `true` if unset."),
            timeouts(OF_SNAPSHOT),
            text("id", "Id of the snapshot at its site.", computed=True),
            text("created", "When it was taken, such as `2026-11-22T17:35:30Z`.", computed=True),
        ],
    )


@functools.cache
def restore_point() -> Schema:
    """The resource ``muster_restore_point``."""
    return Schema(
        version=VERSION,
        description="A restore point: a backup of a VM, taken once and sealed in the repository of its site. The "
        "retention of the VM, `protection.keep`, counts it and may remove it; the next apply then takes a new one. "
        "Destroying the resource lets it go and deletes no backup.",
        attributes=[
            text("vm", "Name of the VM.", required=True),
            text("name", "Name of the restore point, one of its kind among those of the VM.", required=True),
            text("site", _SITE, optional=True, computed=True),
            text("kind", "How it is to be taken: `full`, `incremental` (a full where it must), or `auto`, incremental "
                 "with a full after each seven. `auto` if unset. One that is there stays as it is, whatever is asked; "
                 "of one that was imported it is how it was taken.", optional=True, computed=True),
            timeouts(OF_RESTORE_POINT),
            text("id", "Id of the restore point in the repository.", computed=True),
            text("created", "The point in time that its disks show, such as `2026-11-22T17:35:30Z`.", computed=True),
            text("taken", "How it was taken: `full` or `incremental`.", computed=True),
            Attribute("bytes", Number(), computed=True, description="Bytes that it takes in the repository."),
            text("consistency", "`filesystem` where the guest was frozen, `crash` or `offline`.", computed=True),
        ],
    )


@functools.cache
def drill_data() -> Schema:
    """The data source ``muster_drill``."""
    return Schema(
        description="The last recovery drill of a VM, as the repository of its site recorded it.",
        attributes=[
            text("vm", "Name of the VM.", required=True),
            text("site", _SITE, optional=True, computed=True),
            text("outcome", "`passed`, `failed`, `not_tested`, or `never` where no drill is recorded.", computed=True),
            text("time", "When it was asked for, such as `2026-11-22T17:35:30Z`; null where there was none.",
                 computed=True),
            text("restore_point", "The restore point that was drilled.", computed=True),
            Attribute("rto_seconds", Number(), computed=True,
                      description="Seconds from the request until the twin's services answered."),
            Attribute("rpo_seconds", Number(), computed=True,
                      description="Seconds of work that would have been lost."),
            text("last_passed", "When a drill last passed; null where none did.", computed=True),
        ],
    )
