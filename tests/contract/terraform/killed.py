"""The provider as Terraform starts it, killed at a chosen moment: a launcher for the tests.

MUSTER_TEST_KILL is ``N``: the process kills itself with SIGKILL around its N-th change of the world, before it if N is
even and after it if N is odd. Each change adds a line to the file MUSTER_TEST_CHANGES.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
from typing import Any

import libvirt
from muster.operations import named
from muster.operations.repository import Repository

_CHANGES = ((libvirt.virConnect, "defineXML"), (libvirt.virConnect, "defineXMLFlags"),
            (libvirt.virStoragePool, "createXML"), (libvirt.virDomain, "setMetadata"), (libvirt.virDomain, "create"),
            (libvirt.virDomain, "undefineFlags"), (libvirt.virStorageVol, "delete"),
            (libvirt.virDomain, "snapshotCreateXML"), (libvirt.virDomainSnapshot, "delete"),
            (Repository, "begin"), (named, "give"), (Repository, "finish"))


def plant() -> None:
    kill, counted, lock = int(os.environ.get("MUSTER_TEST_KILL", "-1")), itertools.count(), threading.Lock()

    def around(original: Any, name: str) -> Any:
        def call(*words: Any, **more: Any) -> Any:
            with lock:
                number = next(counted)
                with open(os.environ["MUSTER_TEST_CHANGES"], "a", encoding="ascii") as file:
                    file.write(f"{number} {name}\n")
            if 2 * number == kill:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = original(*words, **more)
            if 2 * number + 1 == kill:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return call

    for holder, name in _CHANGES:
        if hasattr(holder, name):
            setattr(holder, name, around(getattr(holder, name), name))


if __name__ == "__main__":
    plant()
    from muster_provider.main import main

    sys.exit(main())
