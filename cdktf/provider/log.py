"""The provider's log: one JSON line for each message on standard error, which Terraform shows with TF_LOG."""

from __future__ import annotations

import json
import sys
import threading
import time

_lock = threading.Lock()


def log(message: str, level: str = "info") -> None:
    """Write one line. Messages hold no settings and no values of secrets: what drivers say of their progress."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + ".000000Z"
    line = json.dumps({"@level": level, "@message": message, "@module": "muster", "@timestamp": stamp})
    with _lock:
        print(line, file=sys.stderr, flush=True)
