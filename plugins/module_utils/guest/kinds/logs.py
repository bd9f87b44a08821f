"""`logs: {access: restricted}`: log files that only the system, its services and the group adm read."""

from __future__ import annotations

import stat
from typing import Any

from ..facts.logs import allowed, files
from ..host import GuestError, Host
from ..plan import Change, Context, Part, Step
from ..steps import Access


def plan_logs(wanted: Any, host: Host, context: Context) -> Part:
    """Bits beyond what a log file of its name allows go; owner and group stay, for a service writes as it runs."""
    if wanted != {"access": "restricted"}:
        raise GuestError("logs takes access: restricted. Nothing was changed.")
    changes: list[Change] = []
    steps: list[Step] = []
    for path, status in sorted(files(host), key=lambda found: found[0]):
        have, most = stat.S_IMODE(status.st_mode), allowed(path)[0]
        if have & ~most:
            changes.append(Change("logs", path, f"{have:04o}", f"{have & most:04o}"))
            steps.append(Access(path, have & most))
    return Part("logs", tuple(changes), tuple(steps))
