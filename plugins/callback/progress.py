# Copyright (c) Muster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Long tasks show that they move."""

from __future__ import annotations

DOCUMENTATION = r"""
name: progress
type: notification
version_added: 0.1.0
short_description: Long tasks show that they move
description:
  - Prints what Muster's modules report while they run, and a sign of life from every other task that takes long.
author:
  - Muster contributors (@muster)
options:
  interval:
    description: Seconds between two lines of one task.
    type: float
    default: 5
    env:
      - name: MUSTER_PROGRESS_INTERVAL
    ini:
      - section: muster
        key: progress_interval
requirements:
  - enable in configuration
"""

import fcntl
import os
import sys
import tempfile
import threading
import time

from ansible.plugins.callback import CallbackBase

VARIABLE = "MUSTER_PROGRESS"  # the environment variable that tells modules where to write


class CallbackModule(CallbackBase):
    """A thread that prints the newest line of a file to which the modules write."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "muster.fleet.progress"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._running = {}  # (host, task) → (name of the task, when it began there)
        self._said = time.monotonic()
        self._over = threading.Event()
        self._folder = None
        self._alive = None

    def v2_playbook_on_start(self, playbook):
        """Open the file and begin to watch it."""
        self._folder = tempfile.TemporaryDirectory(prefix="muster-progress-")
        self._path = os.path.join(self._folder.name, "news")
        # Modules run in sessions of their own and outlive an ansible-playbook that is killed. This lock, which no
        # forked process inherits, tells them that it lives.
        self._alive = open(os.path.join(self._folder.name, "alive"), "w", encoding="utf-8")  # noqa: SIM115 - held on to
        fcntl.lockf(self._alive, fcntl.LOCK_EX)
        os.environ[VARIABLE] = self._path
        threading.Thread(target=self._watch, daemon=True).start()

    def v2_runner_on_start(self, host, task):
        """A task begins on a host; with the strategy C(free) several tasks run at a time."""
        self._running[host.get_name(), task._uuid] = (task.get_name().strip(), time.monotonic())
        self._said = time.monotonic()

    def _ended(self, result):
        self._running.pop((result._host.get_name(), result._task._uuid), None)

    def v2_runner_on_ok(self, result):
        """The task ended on this host."""
        self._ended(result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        """The task ended on this host."""
        self._ended(result)

    def v2_runner_on_skipped(self, result):
        """The task ended on this host."""
        self._ended(result)

    def v2_runner_on_unreachable(self, result):
        """The task ended on this host."""
        self._ended(result)

    def v2_playbook_on_stats(self, stats):
        """The end."""
        self._over.set()
        if self._folder is not None:
            self._folder.cleanup()
            self._alive.close()

    def _watch(self):
        offset, newest = 0, ""
        interval = self.get_option("interval")
        while not self._over.wait(0.5):
            try:
                with open(self._path, encoding="utf-8", errors="replace") as file:
                    file.seek(offset)
                    lines = file.read(1 << 20).splitlines()
                    offset = file.tell()
            except OSError:
                lines = []
            if lines:
                newest = lines[-1].partition("\t")[2]
            now = time.monotonic()
            running = list(self._running.items())  # a copy: the main thread goes on
            # A task without news of its own gives a rarer sign of life.
            if running and now - self._said >= (interval if newest else 3 * interval):
                since = min(began for _key, (_name, began) in running)
                oldest = next(name for _key, (name, began) in running if began == since)
                hosts = ", ".join(sorted(host for (host, _task), (name, _began) in running if name == oldest))
                text = newest or f"{hosts}: {oldest}"
                self._display.display(f"    … {now - since:3.0f} s  {text}", color="bright gray")
                sys.stdout.flush()  # Ansible itself does so at the next task only
                self._said, newest = now, ""
